/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the hisi_acc_migration tests share.
 *
 * usage: hisi_acc_migration_THEME_test [options of the harness] SOURCE DESTINATION
 *
 * SOURCE and DESTINATION are PCI addresses of two VFs of one accelerator, bound to
 * the driver under test, see migration_device_pair(). The guest driver is that of
 * hisi_acc_guest.c.
 *
 * Only what is special to these devices, or to their drivers, is checked here, see
 * migration_fixture.h for what every device has. R and D with a number name a defect
 * of the in-tree driver that a test finds: R is fixed there, D is in Linux 7.2.
 */
#ifndef HISI_ACC_FIXTURE_H
#define HISI_ACC_FIXTURE_H

#include "kselftest_harness.h"

#include "acc_data.h"
#include "hisi_acc_vf.h"

/* A reset takes 0.1 s, and some tests need dozens */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	120

static const char *source_bdf, *destination_bdf;

/* The data of the source, with or without a guest driver; returns its size */
static inline size_t save_data(struct __test_metadata *_metadata, u8 *data, bool guest_up)
{
	struct hisi_acc_vf vf;
	ssize_t len;
	int data_fd;
	u8 byte;

	memset(data, 0, DATA_SIZE);
	hisi_acc_vf_open(&vf, source_bdf);
	if (guest_up)
		hisi_acc_guest_up(&vf.guest);
	EXPECT_EQ(device_set_state(vf.fd, STOP_COPY, &data_fd), 0);
	len = data_receive(data_fd, data, DATA_SIZE);
	EXPECT_EQ(data_receive(data_fd, &byte, 1), 0);
	if (guest_up)
		EXPECT_EQ(len, DATA_SIZE);
	close(data_fd);
	hisi_acc_vf_close(&vf);
	return len < 0 ? 0 : len;
}

/* Open the destination in RESUMING; returns the migration file */
static inline int begin_resume(struct __test_metadata *_metadata, struct hisi_acc_vf *vf)
{
	int data_fd;

	hisi_acc_vf_open(vf, destination_bdf);
	ASSERT_EQ(device_set_state(vf->fd, RESUMING, &data_fd), 0);
	return data_fd;
}

static inline bool has_pre_copy(struct hisi_acc_vf *vf)
{
	u64 flags;

	return !device_migration_flags(vf->fd, &flags) && state_exists(flags, PRE_COPY);
}

/*
 * From V4 on, a kernel that knows the version has the migration registers elsewhere,
 * and all of BAR 2 is the guest's
 */
static inline bool whole_bar_is_guests(struct hisi_acc_vf *vf)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_BAR2_REGION_INDEX,
	};

	ioctl_assert(vf->fd, VFIO_DEVICE_GET_REGION_INFO, &info);
	return hisi_acc_guest_read(&vf->guest, QM_HW_VERSION) &&
	       info.size == 2 * GUEST_BAR_SIZE;
}

/* What main() of such a test does */
static inline int hisi_acc_test_run(int argc, char *argv[])
{
	const char *bdfs[2];

	hisi_acc_vf_pair(&argc, argv, bdfs);
	source_bdf = bdfs[0];
	destination_bdf = bdfs[1];
	return test_harness_run(argc, argv);
}

#endif
