// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of HiSilicon accelerators: what migration data contains, and data that
 * must be loaded.
 */
#include "hisi_acc_fixture.h"

#define HIGH_IOVA	0x100000000ull

/* R2, R7: Each field is at its offset, and addresses are those of the guest driver */
TEST(contents)
{
	u8 data[DATA_SIZE];
	u32 version = 0x30;
	unsigned int queues;
	struct hisi_acc_vf vf;
	bool whole;

	hisi_acc_vf_open(&vf, source_bdf);
	whole = whole_bar_is_guests(&vf);
	if (whole)
		version = hisi_acc_guest_read(&vf.guest, QM_HW_VERSION);
	queues = hisi_acc_guest_queues(&vf.guest);
	hisi_acc_vf_close(&vf);
	save_data(_metadata, data, true);
	EXPECT_EQ(data_get(data, MAGIC, 8), DATA_MAGIC_2);
	EXPECT_EQ(data_get(data, QUEUES, 4), queues);
	EXPECT_EQ(data_get(data, DEVICE, 4), 0xa256);
	EXPECT_EQ(data_get(data, GUEST_STATE, 4), 0);
	EXPECT_EQ(data_get(data, MAJOR, 2), 1);
	EXPECT_EQ(data_get(data, MESSAGE_SET, 4), 0);
	EXPECT_EQ(data_get(data, EQC + 4, 4), data_get(data, EQ_RING, 8));
	EXPECT_EQ(data_get(data, AEQC + 4, 4), data_get(data, AEQ_RING, 8));
	EXPECT_EQ(data_get(data, SQC_TABLE, 8), GUEST_SQC_TABLE);
	if (data_get(data, MINOR, 2)) {
		EXPECT_EQ(data_get(data, HW_VERSION, 4), version);
		EXPECT_EQ(data_get(data, BAR_LAYOUT, 4), whole ? 2 : 1);
		EXPECT_EQ(data_get(data, GUEST, 4), 1);
		EXPECT_EQ(data_get(data, CHECKSUM, 4), data_sum(data));
	}
}

/* Load data, and check the guest driver that the VF has then */
static void load(struct __test_metadata *_metadata, const u8 *data, size_t len,
		 u64 want_table)
{
	struct hisi_acc_vf vf;
	int data_fd = begin_resume(_metadata, &vf);

	EXPECT_EQ(data_send(data_fd, data, len), len);
	EXPECT_EQ(device_set_state(vf.fd, RUNNING, NULL), 0);
	EXPECT_EQ(hisi_acc_guest_read(&vf.guest, QM_VF_STATE), want_table ? 0 : 1);
	EXPECT_EQ(hisi_acc_guest_sqc_table(&vf.guest), want_table);
	hisi_acc_vf_close(&vf);
	close(data_fd);
}

/* R12: Data of a VF without a guest driver loads nothing */
TEST(guest_not_up)
{
	u8 data[DATA_SIZE];
	size_t len = save_data(_metadata, data, false);

	load(_metadata, data, len, 0);
}

/* The same for what the in-tree driver sends then: match data, or zeros after it */
TEST(guest_not_up_elsewhere)
{
	u8 data[DATA_SIZE];

	save_data(_metadata, data, true);
	data_put(data, MINOR, 2, 0);
	memset(data + HW_VERSION, 0, DATA_SIZE - HW_VERSION);
	load(_metadata, data, DATA_SIZE, 0);
	load(_metadata, data, MATCH_SIZE, 0);
	data_put(data, GUEST_STATE, 4, 1);
	load(_metadata, data, DATA_SIZE, 0);
	load(_metadata, data, MATCH_SIZE, 0);
}

/* The state of a guest driver is loaded: flags, rings, tables */
TEST(guest_up)
{
	u8 data[DATA_SIZE], again[DATA_SIZE];
	struct hisi_acc_vf vf;
	int data_fd;

	save_data(_metadata, data, true);
	data_fd = begin_resume(_metadata, &vf);
	EXPECT_EQ(data_send(data_fd, data, DATA_SIZE), DATA_SIZE);
	EXPECT_EQ(device_set_state(vf.fd, STOP, NULL), 0);
	EXPECT_LT(data_send(data_fd, data, 1), 0);
	close(data_fd);
	EXPECT_EQ(hisi_acc_guest_read(&vf.guest, QM_VF_STATE), 0);
	EXPECT_EQ(hisi_acc_guest_sqc_table(&vf.guest), data_get(data, SQC_TABLE, 8));

	/* and saved again as it was loaded */
	EXPECT_EQ(device_set_state(vf.fd, STOP_COPY, &data_fd), 0);
	EXPECT_EQ(data_receive(data_fd, again, DATA_SIZE), DATA_SIZE);
	data_put(again, FIRST_QUEUE, 4, data_get(data, FIRST_QUEUE, 4));
	/* D22: a restart unmasks it */
	data_put(again, MESSAGE_MASK, 4, data_get(data, MESSAGE_MASK, 4));
	data_sign(again);
	EXPECT_EQ(memcmp(data, again, DATA_SIZE), 0);
	EXPECT_EQ(device_set_state(vf.fd, RUNNING, NULL), 0);
	EXPECT_LT(data_receive(data_fd, again, DATA_SIZE), 0);
	hisi_acc_vf_close(&vf);
}

/* R4: Data can be split at any byte, in writes and in reads */
TEST(pieces)
{
	u8 data[DATA_SIZE], got[DATA_SIZE];
	struct hisi_acc_vf vf;
	int data_fd;

	save_data(_metadata, data, true);
	hisi_acc_vf_open(&vf, destination_bdf);
	for (unsigned int cut = 0; cut <= DATA_SIZE; cut++) {
		EXPECT_EQ(device_set_state(vf.fd, RESUMING, &data_fd), 0);
		/* 0: byte by byte */
		for (int i = 0; !cut && i < DATA_SIZE; i++)
			EXPECT_EQ(data_send(data_fd, data + i, 1), 1);
		if (cut)
			EXPECT_EQ(data_send(data_fd, data, cut), cut);
		if (cut && cut < DATA_SIZE)
			EXPECT_EQ(data_send(data_fd, data + cut, DATA_SIZE - cut),
				  DATA_SIZE - cut);
		EXPECT_EQ(device_set_state(vf.fd, STOP, NULL), 0);
		close(data_fd);

		EXPECT_EQ(device_set_state(vf.fd, STOP_COPY, &data_fd), 0);
		EXPECT_EQ(data_receive(data_fd, got, cut), cut);
		EXPECT_EQ(data_receive(data_fd, got + cut, DATA_SIZE - cut), DATA_SIZE - cut);
		data_put(got, MESSAGE_MASK, 4, data_get(data, MESSAGE_MASK, 4));
		EXPECT_EQ(memcmp(got + MATCH_END, data + MATCH_END, GUEST - MATCH_END), 0);
		EXPECT_EQ(memcmp(got + EQ_RING, data + EQ_RING, DATA_END - EQ_RING), 0);
		close(data_fd);
		EXPECT_EQ(device_set_state(vf.fd, STOP, NULL), 0);
	}
	hisi_acc_vf_close(&vf);
}

/* Fields of a newer version are reserved in an older one */
static void make_older(u8 *data)
{
	data_put(data, MINOR, 2, 0);
	memset(data + HW_VERSION, 0, MATCH_END - HW_VERSION);
	memset(data + GUEST, 0, EQ_RING - GUEST);
}

/* Data of the in-tree driver since Linux 6.16 is loaded */
TEST(version_2_0)
{
	u8 data[DATA_SIZE];

	save_data(_metadata, data, true);
	make_older(data);
	load(_metadata, data, DATA_SIZE, data_get(data, SQC_TABLE, 8));
}

/* R7: Version 1 is loaded, whether its separate ring addresses are right or wrong */
TEST(version_1)
{
	u8 data[DATA_SIZE];

	save_data(_metadata, data, true);
	make_older(data);
	data_put(data, MAGIC, 8, DATA_MAGIC_1);
	data_put(data, MAJOR, 4, 0);
	load(_metadata, data, DATA_SIZE, data_get(data, SQC_TABLE, 8));
	data_put(data, EQ_RING, 8, data_get(data, EQC, 8));
	data_put(data, AEQ_RING, 8, data_get(data, AEQC, 8));
	load(_metadata, data, DATA_SIZE, data_get(data, SQC_TABLE, 8));
}

/* D23: A word that is 0, as a wrong address may be, does not end the data */
TEST(version_1_in_two)
{
	u8 data[DATA_SIZE];
	struct hisi_acc_vf vf;
	int data_fd;

	save_data(_metadata, data, true);
	make_older(data);
	data_put(data, MAGIC, 8, DATA_MAGIC_1);
	data_put(data, MAJOR, 4, 0);
	data_put(data, EQC + 4, 8, HIGH_IOVA);
	data_put(data, EQ_RING, 8, data_get(data, EQC, 8));
	data_put(data, AEQ_RING, 8, data_get(data, AEQC, 8));

	data_fd = begin_resume(_metadata, &vf);
	EXPECT_EQ(data_send(data_fd, data, MATCH_SIZE), MATCH_SIZE);
	EXPECT_EQ(data_send(data_fd, data + MATCH_SIZE, DATA_SIZE - MATCH_SIZE),
		  DATA_SIZE - MATCH_SIZE);
	EXPECT_EQ(device_set_state(vf.fd, RUNNING, NULL), 0);
	EXPECT_EQ(hisi_acc_guest_sqc_table(&vf.guest), data_get(data, SQC_TABLE, 8));
	hisi_acc_vf_close(&vf);
}

/* Fields that a newer minor version adds are ignored */
TEST(newer_minor)
{
	u8 data[DATA_SIZE];

	save_data(_metadata, data, true);
	data_put(data, MINOR, 2, 0xffff);
	data_put(data, RESERVED, 4, 0x12345678);
	data_sign(data);
	load(_metadata, data, DATA_SIZE, data_get(data, SQC_TABLE, 8));
}

int main(int argc, char *argv[])
{
	return hisi_acc_test_run(argc, argv);
}
