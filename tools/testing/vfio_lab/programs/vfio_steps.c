// SPDX-License-Identifier: GPL-2.0
/*
 * Drives one VF through VFIO, a step at a time: a letter and up to two
 * numbers per line of standard input, one line of answer each. The test that
 * sends the lines breaks the device in between.
 *
 *   u      the stand-in for the guest's driver brings the VF up
 *   e N    the same, with N unconsumed events in its queue
 *   s N    SET_STATE to N          -> errno or 0, then the state
 *   g      the state
 *   m      the flags of VFIO_DEVICE_FEATURE_MIGRATION, 0 without it
 *   r      VFIO_DEVICE_RESET       -> errno or 0, then the state
 *   h      VFIO_DEVICE_PCI_HOT_RESET -> errno or 0, then the state
 *   F      function-level reset by config space -> errno or 0, then the state
 *   C      write Device Control as it is -> errno or 0, then the state
 *   Y N    set (1) or clear (0) bus mastering -> errno or 0
 *   P N    power state DN: 0 or 3 (D3hot) -> errno or 0
 *   t      the address of the SQC table, by the guest's mailbox
 *   d N    read N bytes of the last migration file -> bytes or -errno
 *   w      write what was read last to the last migration file -> bytes or -errno
 *   p      VFIO_MIG_GET_PRECOPY_INFO of the last migration file -> errno or 0
 *   k      keep the last migration file open for ever, and forget it
 *   K N    make N migration files, and keep them all -> how many
 *   V N    the same with event descriptors, for comparison
 *   i      what was read last, in hexadecimal
 *   I HEX  take this for what was read last
 *   l N    load of the guest's register N
 *   x N V  store of V to it
 *   a N V  mailbox command N with address V, and wait for its end
 *   f N    open no more than N files from now on
 *   b N    start mailbox command N as the guest does, without waiting
 *   B      wait for its end: the answer
 *   c      close the device, not the migration file
 *
 * Given the address of a physical function too, that one is opened first, and
 * its VF token is set and used.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "vfio_config.h"

#define FILES	8192
#define TOKEN	"5c5f6f12-4d4e-4f50-8152-535455565758"

static uint8_t data[DATA_SIZE];
static int data_fd = -1, held;

static void keep_data(const char *hex)
{
	unsigned int byte;

	for (held = 0; held < DATA_SIZE && sscanf(hex + 2 * held, "%2x", &byte) == 1; held++)
		data[held] = byte;
}

static void show_data(void)
{
	for (int i = 0; i < held; i++)
		printf("%02x", data[i]);
	printf("\n");
}

static int hot_reset(struct device *d)
{
	uint64_t buf[2] = {};
	struct vfio_pci_hot_reset *reset = (void *)buf;

	reset->argsz = sizeof(buf);
	reset->count = 1;
	reset->group_fds[0] = d->group;
	return ioctl(d->fd, VFIO_DEVICE_PCI_HOT_RESET, reset) ? -errno : 0;
}

static int set_state(struct device *d, int state)
{
	int fd, err = device_set_state(d->fd, state, &fd);

	if (fd >= 0) {
		if (data_fd >= 0)
			close(data_fd);
		data_fd = fd;
	}
	return err;
}

/* From STOP: each time through STOP_COPY leaves a file */
static int keep_migfs(struct device *d, int count)
{
	int fd, n = 0;

	while (n < count && !device_set_state(d->fd, STOP_COPY, &fd) &&
	       !device_set_state(d->fd, STOP, NULL))
		n++;
	return n;
}

static int keep_events(int count)
{
	int n = 0;

	while (n < count && event_fd() >= 0)
		n++;
	return n;
}

/* What is open already stays open, whatever its number */
static int limit_files(int count)
{
	struct rlimit files = { count, FILES };

	return setrlimit(RLIMIT_NOFILE, &files) ? -errno : 0;
}

static void step_transfer(char what, int n)
{
	struct vfio_precopy_info info;
	int len;

	switch (what) {
	case 'd':
		len = data_receive(data_fd, data, n);
		if (len > 0)
			held = len;
		printf("%d\n", len);
		break;
	case 'w':
		printf("%zd\n", data_send(data_fd, data, held));
		break;
	case 'p':
		printf("%d\n", migf_precopy_info(data_fd, &info));
		break;
	default:
		printf("what is '%c'?\n", what);
	}
}

static void step(struct device *d, char what, int n, int value)
{
	uint64_t flags;
	int err;

	switch (what) {
	case 'u':
		device_guest_up(d);
		printf("0\n");
		break;
	case 'e':
		device_guest_up_owed(d, n);
		printf("0\n");
		break;
	case 's':
		err = set_state(d, n);
		printf("%d %d\n", err, device_get_state(d->fd));
		break;
	case 'g':
		printf("%d\n", device_get_state(d->fd));
		break;
	case 'm':
		device_migration_flags(d->fd, &flags);
		printf("%llu\n", (unsigned long long)flags);
		break;
	case 'r':
		err = device_reset_retried(d);
		printf("%d %d\n", err, device_get_state(d->fd));
		break;
	case 'h':
		err = hot_reset(d);
		printf("%d %d\n", err, device_get_state(d->fd));
		break;
	case 'F':
		err = config_flr(d);
		printf("%d %d\n", err, device_get_state(d->fd));
		break;
	case 'C':
		err = config_restore(d);
		printf("%d %d\n", err, device_get_state(d->fd));
		break;
	case 'Y':
		printf("%d\n", config_bus_master(d, n));
		break;
	case 'P':
		printf("%d\n", config_power(d, n));
		break;
	case 'f':
		printf("%d\n", limit_files(n));
		break;
	case 'a':
		device_mailbox_start(d, n, value);
		device_mailbox_end(d);
		printf("0\n");
		break;
	case 't':
		printf("%llu\n", (unsigned long long)device_sqc_table(d));
		break;
	case 'l':
		printf("%u\n", device_read(d, n));
		break;
	case 'x':
		device_write(d, n, value);
		printf("0\n");
		break;
	case 'b':
		device_mailbox_start(d, n, 0);
		printf("0\n");
		break;
	case 'B':
		printf("%llu\n", (unsigned long long)device_mailbox_end(d));
		break;
	case 'K':
		printf("%d\n", keep_migfs(d, n));
		break;
	case 'V':
		printf("%d\n", keep_events(n));
		break;
	case 'c':
		device_close(d);
		printf("0\n");
		break;
	default:
		step_transfer(what, n);
	}
}

static void open_physical(struct device *pf, const char *bdf)
{
	uint8_t token[16] = { 0x5c, 0x5f, 0x6f, 0x12, 0x4d, 0x4e, 0x4f, 0x50,
			      0x81, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58 };
	int err;

	device_open(pf, bdf);
	err = device_feature(pf->fd, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
			     token, sizeof(token), FEATURE_HEADER + sizeof(token));
	if (err) {
		fprintf(stderr, "VFIO_DEVICE_FEATURE_PCI_VF_TOKEN: %s\n", strerror(-err));
		exit(1);
	}
}

int main(int argc, char **argv)
{
	struct rlimit files = { FILES, FILES };
	char line[2 * DATA_SIZE + 16], name[96];
	struct device d, pf;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: vfio_steps ADDRESS [PHYSICAL-FUNCTION]\n");
		return 2;
	}
	setbuf(stdout, NULL);
	setrlimit(RLIMIT_NOFILE, &files);
	snprintf(name, sizeof(name), "%s", argv[1]);
	if (argc == 3) {
		open_physical(&pf, argv[2]);
		snprintf(name, sizeof(name), "%s vf_token=" TOKEN, argv[1]);
	}
	device_open_as(&d, argv[1], name);
	printf("open\n");
	while (fgets(line, sizeof(line), stdin)) {
		char what = line[0];
		int n = 0, value = 0;

		if (what == 'I') {
			keep_data(line + 2);
			printf("%d\n", held);
		} else if (what == 'i') {
			show_data();
		} else {
			sscanf(line + 1, "%i %i", &n, &value);
			step(&d, what, n, value);
		}
	}
	return 0;
}
