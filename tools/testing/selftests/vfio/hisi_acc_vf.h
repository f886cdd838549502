/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VF of a HiSilicon accelerator, with the driver of a guest.
 */
#ifndef HISI_ACC_VF_H
#define HISI_ACC_VF_H

#include "hisi_acc_guest.h"
#include "migration.h"

#define DATA_SIZE	176	/* of struct acc_vf_data */
#define MATCH_SIZE	40	/* of its first part, which is sent in PRE_COPY */

struct hisi_acc_vf {
	const char *bdf;
	struct migration_device *device;
	int fd;
	u64 bar2;		/* offset in fd */
	struct dma_region ram;
	struct hisi_acc_guest guest;
};

/*
 * End the program with KSFT_SKIP if this is no VF of a HiSilicon accelerator, or
 * its driver offers no migration
 */
void hisi_acc_vf_require(const char *bdf);

/* The pair of migration_device_pair(), both required to be such VFs */
void hisi_acc_vf_pair(int *argc, char *argv[], const char *bdfs[2]);

/* Open, in RUNNING and without a guest driver; exits with a message if that fails */
void hisi_acc_vf_open(struct hisi_acc_vf *vf, const char *bdf);
void hisi_acc_vf_close(struct hisi_acc_vf *vf);

#endif
