// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations of userspace on one VF of a HiSilicon accelerator, with accesses to
 * its registers among them.
 *
 * usage: acc_ops_fuzz [OPERATIONS SEED VF]
 *
 * Without arguments, as run_kselftest.sh runs it, a few operations on the VF that
 * VFIO_SELFTESTS_BDF of the environment names.
 *
 * Each result must be one that the uAPI allows, nothing may hang, and after a reset
 * the VF must be saved as before. The kernel log is not checked here.
 */
#include <stdlib.h>

#include "acc_fuzz.h"
#include "migration_fuzz.h"

#define FEW	2000

static struct hisi_acc_vf vf;
static uint8_t data[DATA_END];

/* Read any register, or write an interrupt mask */
static void access_guest(uint64_t *random)
{
	if (below(random, 2))
		hisi_acc_guest_read(&vf.guest, 4 * below(random, GUEST_BAR_SIZE / 4));
	else
		hisi_acc_guest_write(&vf.guest, below(random, 2) ? QM_EQ_INT_MASK : QM_AEQ_INT_MASK,
				     below(random, 2));
}

static int usage(const char *name)
{
	fprintf(stderr, "usage: %s [OPERATIONS SEED VF]\n", name);
	return 2;
}

static bool saves(struct data_match *match)
{
	int fd, length;

	hisi_acc_guest_up(&vf.guest);
	if (device_set_state(vf.fd, STOP_COPY, &fd))
		return false;
	length = data_receive(fd, data, sizeof(data));
	close(fd);
	*match = data_match_of(data);
	return length == DATA_END && is_valid_data(data, length, match) &&
	       !device_set_state(vf.fd, RUNNING, NULL);
}

static int fuzz(const char *bdf, long operations, unsigned long seed)
{
	static const int rejections[] = {
		EBADMSG, EPROTONOSUPPORT, EOPNOTSUPP, ERANGE, EPROTO, EFBIG, 0
	};
	const struct migration_data saved = { .bytes = data, .len = sizeof(data) };
	struct migration_fuzz fuzz = {
		.data = &saved,
		.access = access_guest,
		.rejections = rejections,
		.operations = operations,
		.seed = seed,
	};
	struct data_match before, after;

	setlinebuf(stdout);
	hisi_acc_vf_open(&vf, bdf);
	fuzz.fd = vf.fd;
	if (!saves(&before)) {
		fprintf(stderr, "acc_ops_fuzz: %s cannot be saved\n", bdf);
		return 1;
	}
	migration_fuzz_run(&fuzz);
	if (*fuzz.wrong) {
		printf("not ok %s\n", fuzz.wrong);
		return 1;
	}
	if (device_reset(vf.fd) || device_get_state(vf.fd) != RUNNING || !saves(&after) ||
	    memcmp(&before, &after, sizeof(before))) {
		printf("not ok the VF is not saved as before\n");
		return 1;
	}
	printf("ok %ld operations, %lu of them resets\n", operations, fuzz.resets);
	hisi_acc_vf_close(&vf);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long seed;
	const char *bdf;
	long operations;
	char *end;

	if (argc == 1) {
		bdf = vfio_selftests_get_bdf(&argc, argv);
		hisi_acc_vf_require(bdf);
		return fuzz(bdf, FEW, 1);
	}
	if (argc != 4)
		return usage(argv[0]);
	operations = strtol(argv[1], &end, 10);
	if (*end || operations < 1)
		return usage(argv[0]);
	seed = strtoul(argv[2], &end, 10);
	return *end ? usage(argv[0]) : fuzz(argv[3], operations, seed);
}
