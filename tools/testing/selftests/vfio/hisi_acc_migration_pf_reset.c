// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of HiSilicon accelerators: a reset of the PF while a VF is stopped.
 *
 * It resets all VFs of the accelerator, and the driver of the PF waits for a minute
 * first. So this is not run by run_kselftest.sh.
 */
#include "hisi_acc_fixture.h"

static bool can_reset_pf(void)
{
	char path[128];

	snprintf_assert(path, sizeof(path), "/sys/bus/pci/devices/%s/physfn/reset",
			source_bdf);
	return !access(path, F_OK);
}

static void reset_pf(struct __test_metadata *_metadata)
{
	char path[128];
	int fd;

	snprintf_assert(path, sizeof(path), "/sys/bus/pci/devices/%s/physfn/reset",
			source_bdf);
	fd = open(path, O_WRONLY);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(write(fd, "1", 1), 1);
	close(fd);
}

/* D19: A VF that lost its state is neither saved nor run with what is left of it */
TEST(lost_in_reset_of_all)
{
	struct hisi_acc_vf vf;
	u8 data[DATA_SIZE];
	int data_fd, ret;

	if (!can_reset_pf())
		SKIP(return, "the PF cannot be reset");
	hisi_acc_vf_open(&vf, source_bdf);
	hisi_acc_guest_up(&vf.guest);
	EXPECT_EQ(device_set_state(vf.fd, STOP, NULL), 0);
	reset_pf(_metadata);
	/* the error may come late, and the guest goes on and notices */
	ret = device_set_state(vf.fd, STOP_COPY, &data_fd);
	EXPECT_TRUE(ret < 0 || data_receive(data_fd, data, DATA_SIZE) < 0);
	EXPECT_EQ(device_set_state(vf.fd, RUNNING, NULL), 0);
	EXPECT_EQ(hisi_acc_guest_read(&vf.guest, QM_VF_STATE), 1);
	close(data_fd);
	EXPECT_EQ(device_reset(vf.fd), 0);
	EXPECT_EQ(device_get_state(vf.fd), RUNNING);
	hisi_acc_vf_close(&vf);

	/* bus mastering was reset, too, and is enabled by the open */
	hisi_acc_vf_open(&vf, source_bdf);
	hisi_acc_guest_up(&vf.guest);
	EXPECT_EQ(device_set_state(vf.fd, STOP_COPY, NULL), 0);
	hisi_acc_vf_close(&vf);
}

int main(int argc, char *argv[])
{
	return hisi_acc_test_run(argc, argv);
}
