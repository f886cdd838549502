// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of HiSilicon accelerators: the states that they have, and how much data
 * comes in which state.
 */
#include "hisi_acc_fixture.h"

/* QEMU migrates a guest with several devices only if each of them has P2P */
TEST(p2p_is_offered)
{
	struct hisi_acc_vf vf;
	u64 flags;

	hisi_acc_vf_open(&vf, source_bdf);
	ASSERT_EQ(device_migration_flags(vf.fd, &flags), 0);
	EXPECT_EQ(flags, VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
			 VFIO_MIGRATION_PRE_COPY);
	hisi_acc_vf_close(&vf);
}

/* A VF works as before when a migration is cancelled in any state */
TEST(back_to_running)
{
	struct hisi_acc_vf vf;
	u64 flags, table;
	int data_fd;

	hisi_acc_vf_open(&vf, source_bdf);
	ASSERT_EQ(device_migration_flags(vf.fd, &flags), 0);
	hisi_acc_guest_up(&vf.guest);
	table = hisi_acc_guest_sqc_table(&vf.guest);
	for (unsigned int i = 0; i < ARRAY_SIZE(device_states); i++) {
		if (device_states[i] == RESUMING || !state_exists(flags, device_states[i]))
			continue;
		EXPECT_EQ(device_set_state(vf.fd, device_states[i], &data_fd), 0);
		close(data_fd);
		EXPECT_EQ(device_set_state(vf.fd, RUNNING, NULL), 0);
		EXPECT_EQ(hisi_acc_guest_sqc_table(&vf.guest), table);
		EXPECT_EQ(hisi_acc_guest_read(&vf.guest, QM_VF_STATE), 0);
	}
	hisi_acc_vf_close(&vf);
}

/* MIG_DATA_SIZE is exact in each state, with and without a guest driver */
TEST(data_size)
{
	u8 data[DATA_SIZE];
	struct hisi_acc_vf vf;
	u64 flags, value;
	size_t len;
	int data_fd;

	hisi_acc_vf_open(&vf, source_bdf);
	ASSERT_EQ(device_migration_flags(vf.fd, &flags), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(device_states); i++) {
		if (!state_exists(flags, device_states[i]))
			continue;
		EXPECT_EQ(device_set_state(vf.fd, device_states[i], &data_fd), 0);
		EXPECT_EQ(device_data_size(vf.fd, &value), 0);
		EXPECT_EQ(value, DATA_SIZE);
		close(data_fd);
		EXPECT_EQ(device_reset(vf.fd), 0);
	}
	hisi_acc_vf_close(&vf);
	len = save_data(_metadata, data, false);
	EXPECT_EQ(len, value);
}

/* The source in PRE_COPY; returns its migration file, -1 if it has no PRE_COPY */
static int open_precopy(struct __test_metadata *_metadata, struct hisi_acc_vf *vf,
			bool guest_up)
{
	int data_fd;

	hisi_acc_vf_open(vf, source_bdf);
	if (!has_pre_copy(vf))
		return -1;
	if (guest_up)
		hisi_acc_guest_up(&vf->guest);
	ASSERT_EQ(device_set_state(vf->fd, PRE_COPY, &data_fd), 0);
	return data_fd;
}

/* D12: The match data ends with ENOMSG, and the rest comes after the stop */
TEST(precopy_end)
{
	u8 data[DATA_SIZE];
	struct hisi_acc_vf vf;
	int data_fd;

	data_fd = open_precopy(_metadata, &vf, true);
	if (data_fd < 0)
		SKIP(return, "no PRE_COPY");
	EXPECT_EQ(data_receive(data_fd, data, 1), 1);
	EXPECT_EQ(data_receive(data_fd, data + 1, DATA_SIZE - 1), MATCH_SIZE - 1);
	EXPECT_EQ(data_receive(data_fd, data, DATA_SIZE), -ENOMSG);
	EXPECT_EQ(device_set_state(vf.fd, STOP_COPY, NULL), 0);
	EXPECT_EQ(data_receive(data_fd, data, DATA_SIZE), DATA_SIZE - MATCH_SIZE);
	EXPECT_EQ(data_receive(data_fd, data, DATA_SIZE), 0);
	EXPECT_EQ(data_receive(data_fd, data, DATA_SIZE), 0);
	hisi_acc_vf_close(&vf);
}

/* Data is the same with and without PRE_COPY */
TEST(precopy_data)
{
	u8 data[DATA_SIZE] = {}, straight[DATA_SIZE];
	struct hisi_acc_vf vf;

	for (int up = 0; up < 2; up++) {
		size_t len = save_data(_metadata, straight, up);
		int data_fd = open_precopy(_metadata, &vf, up);

		if (data_fd < 0)
			SKIP(return, "no PRE_COPY");
		EXPECT_EQ(data_receive(data_fd, data, MATCH_SIZE), MATCH_SIZE);
		EXPECT_EQ(device_set_state(vf.fd, STOP_COPY, NULL), 0);
		EXPECT_EQ(data_receive(data_fd, data + MATCH_SIZE, DATA_SIZE - MATCH_SIZE),
			  len - MATCH_SIZE);
		EXPECT_EQ(memcmp(data, straight, len), 0);
		close(data_fd);
		hisi_acc_vf_close(&vf);
	}
}

/* VFIO_MIG_GET_PRECOPY_INFO says how much of the match data is left */
TEST(precopy_info)
{
	static const unsigned int chunks[] = { 30, 10 };
	struct vfio_precopy_info info;
	unsigned int left = MATCH_SIZE;
	u8 data[DATA_SIZE];
	struct hisi_acc_vf vf;
	int data_fd;

	data_fd = open_precopy(_metadata, &vf, true);
	if (data_fd < 0)
		SKIP(return, "no PRE_COPY");
	for (unsigned int i = 0; i <= ARRAY_SIZE(chunks); i++) {
		EXPECT_EQ(migf_precopy_info(data_fd, &info), 0);
		EXPECT_EQ(info.initial_bytes, left);
		EXPECT_EQ(info.dirty_bytes, 0);
		if (i == ARRAY_SIZE(chunks))
			break;
		EXPECT_EQ(data_receive(data_fd, data, chunks[i]), chunks[i]);
		left -= chunks[i];
	}
	hisi_acc_vf_close(&vf);
}

int main(int argc, char *argv[])
{
	return hisi_acc_test_run(argc, argv);
}
