// SPDX-License-Identifier: GPL-2.0
/*
 * Drives one function through VFIO, a step at a time: a letter and a number
 * per line of standard input, one line of answer each. The test that sends the
 * lines breaks the device in between.
 *
 *   u      the stand-in for the guest's driver brings the function up
 *   s N    SET_STATE to N          -> errno or 0, then the state
 *   g      the state
 *   r      VFIO_DEVICE_RESET       -> errno or 0, then the state
 *   t      the address of the SQC table, by the guest's mailbox
 *   d N    read N bytes of the last data file -> bytes or -errno
 *   w      write what was read last to the last data file -> bytes or -errno
 *   l N    load of the guest's register N
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../selftests/vfio/hisi_acc_test_device.h"

static uint8_t image[IMAGE_SIZE];

static void step(struct device *d, char what, int n)
{
	static int data_fd = -1, held;
	int err, fd;

	switch (what) {
	case 'u':
		device_guest_up(d);
		printf("0\n");
		break;
	case 's':
		err = device_set_state(d, n, &fd);
		if (fd >= 0) {
			if (data_fd >= 0)
				close(data_fd);
			data_fd = fd;
		}
		printf("%d %d\n", err, device_state(d));
		break;
	case 'g':
		printf("%d\n", device_state(d));
		break;
	case 'r':
		err = device_reset(d);
		printf("%d %d\n", err, device_state(d));
		break;
	case 't':
		printf("%llu\n", (unsigned long long)device_sqc_table(d));
		break;
	case 'd':
		err = receive_image(data_fd, image, n);
		if (err > 0)
			held = err;
		printf("%d\n", err);
		break;
	case 'w':
		printf("%zd\n", send_image(data_fd, image, held));
		break;
	case 'l':
		printf("%u\n", device_read(d, n));
		break;
	default:
		printf("what is '%c'?\n", what);
	}
}

int main(int argc, char **argv)
{
	struct device d;
	char line[64];

	if (argc != 2) {
		fprintf(stderr, "usage: vfio_steps ADDRESS\n");
		return 2;
	}
	setbuf(stdout, NULL);
	device_open(&d, argv[1]);
	printf("open\n");
	while (fgets(line, sizeof(line), stdin))
		step(&d, line[0], atoi(line + 1));
	device_close(&d);
	return 0;
}
