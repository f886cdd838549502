// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of HiSilicon accelerators: data that must be rejected. Nothing of it may
 * reach the device.
 */
#include "hisi_acc_fixture.h"

struct rejection {
	unsigned int offset, size;
	u64 value;
	int err;		/* of this driver; others may return any */
};

/* Another errno than that of this driver is logged, and no failure */
static void expect_rejection(struct __test_metadata *_metadata, struct hisi_acc_vf *vf,
			     const u8 *bad, const struct rejection *r)
{
	int data_fd, err;

	EXPECT_EQ(device_set_state(vf->fd, RESUMING, &data_fd), 0);
	err = data_send(data_fd, bad, DATA_SIZE);
	if (err < 0 && err != r->err)
		TH_LOG("offset %u: rejected with %d, not %d", r->offset, err, r->err);
	EXPECT_LT(err, 0);
	EXPECT_EQ(device_reset(vf->fd), 0);
	close(data_fd);
}

static void expect_rejections(struct __test_metadata *_metadata,
			      const struct rejection *cases, unsigned int count)
{
	u8 data[DATA_SIZE], bad[DATA_SIZE];
	struct hisi_acc_vf vf;

	save_data(_metadata, data, true);
	hisi_acc_vf_open(&vf, destination_bdf);
	for (unsigned int i = 0; i < count; i++) {
		memcpy(bad, data, sizeof(bad));
		data_put(bad, cases[i].offset, cases[i].size, cases[i].value);
		data_sign(bad);
		expect_rejection(_metadata, &vf, bad, &cases[i]);
	}
	hisi_acc_vf_close(&vf);
}

/* D2: Data that write() rejected cannot be loaded, and the session not be continued */
TEST(refusal_stays)
{
	static const struct rejection cases[] = {
		{ .offset = MAGIC, .size = 1, .value = 0 },
		{ .offset = QUEUES, .size = 4, .value = 1 },
		{ .offset = DEVICE, .size = 4, .value = 0xa259 },
		{ .offset = ISOLATION, .size = 4, .value = 0x8000 },
		{ .offset = MAJOR, .size = 2, .value = 2 },
	};
	u8 data[DATA_SIZE], bad[DATA_SIZE];
	struct hisi_acc_vf vf;
	int data_fd;

	save_data(_metadata, data, true);
	hisi_acc_vf_open(&vf, destination_bdf);
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		memcpy(bad, data, sizeof(bad));
		data_put(bad, cases[i].offset, cases[i].size, cases[i].value);
		EXPECT_EQ(device_set_state(vf.fd, RESUMING, &data_fd), 0);
		EXPECT_LT(data_send(data_fd, bad, DATA_SIZE), 0);
		EXPECT_LT(data_send(data_fd, data, DATA_SIZE), 0);
		EXPECT_LT(device_set_state(vf.fd, STOP, NULL), 0);
		EXPECT_LT(device_set_state(vf.fd, RUNNING, NULL), 0);
		EXPECT_EQ(device_get_state(vf.fd), RESUMING);
		EXPECT_EQ(hisi_acc_guest_sqc_table(&vf.guest), 0);
		EXPECT_EQ(device_reset(vf.fd), 0);
		EXPECT_EQ(device_get_state(vf.fd), RUNNING);
		close(data_fd);
	}
	hisi_acc_vf_close(&vf);
}

/* The magic number is checked */
TEST(refused_magic)
{
	static const struct rejection cases[] = {
		{ MAGIC, 8, 0, -EBADMSG },
		{ MAGIC, 1, 0xff, -EBADMSG },
		{ MAGIC + 7, 1, 0xab, -EBADMSG },
	};

	expect_rejections(_metadata, cases, ARRAY_SIZE(cases));
}

/* R7: The major version is checked */
TEST(refused_major_version)
{
	static const struct rejection cases[] = {
		{ MAJOR, 2, 2, -EPROTONOSUPPORT },
		{ MAJOR, 2, 0, -EPROTONOSUPPORT },
	};

	expect_rejections(_metadata, cases, ARRAY_SIZE(cases));
}

/* Data of another kind of accelerator is rejected */
TEST(refused_device)
{
	static const struct rejection cases[] = {
		{ DEVICE, 4, 0x1234, -EOPNOTSUPP },
		{ DEVICE, 4, 0xa259, -EOPNOTSUPP },
		{ DEVICE, 4, 0x1a256, -EOPNOTSUPP },
	};

	expect_rejections(_metadata, cases, ARRAY_SIZE(cases));
}

/* Data of a VF with more or fewer queues is rejected */
TEST(refused_number_of_queues)
{
	static const struct rejection cases[] = {
		{ QUEUES, 4, 0, -EOPNOTSUPP },
		{ QUEUES, 4, 1, -EOPNOTSUPP },
		{ QUEUES, 4, 0x10001, -EOPNOTSUPP },
	};

	expect_rejections(_metadata, cases, ARRAY_SIZE(cases));
}

/* R1: Data of a VF with another doorbell isolation is rejected */
TEST(refused_isolation)
{
	static const struct rejection cases[] = {
		{ ISOLATION, 4, 0x8000, -EOPNOTSUPP },
	};

	expect_rejections(_metadata, cases, ARRAY_SIZE(cases));
}

/* Data of other hardware is rejected, by the fields of minor version 1 */
TEST(refused_hardware)
{
	struct rejection cases[] = {
		{ HW_VERSION, 4, 0x50, -EOPNOTSUPP },
		{ HW_VERSION, 4, 0, -EOPNOTSUPP },
		{ BAR_LAYOUT, 4, 2, -EOPNOTSUPP },
		{ GUEST, 4, 0, -ERANGE },
		{ GUEST, 4, 2, -ERANGE },
		{ PENDING_READ, 4, 1, -ERANGE },
		{ RESERVED, 4, 1, -EPROTO },
		{ PADDING, 4, 1, -EPROTO },
	};
	u8 data[DATA_SIZE];

	save_data(_metadata, data, true);
	if (!data_get(data, MINOR, 2))
		SKIP(return, "the data has no checksum");
	if (data_get(data, HW_VERSION, 4) == cases[0].value)
		cases[0].value = 0x30;
	if (data_get(data, BAR_LAYOUT, 4) == cases[2].value)
		cases[2].value = 1;
	expect_rejections(_metadata, cases, ARRAY_SIZE(cases));
}

/* A bit that flipped is found, in each byte */
TEST(refused_checksum)
{
	u8 data[DATA_SIZE], bad[DATA_SIZE];
	const struct rejection r = { 40, 0, 0, -EBADMSG };
	struct hisi_acc_vf vf;

	save_data(_metadata, data, true);
	if (!data_get(data, MINOR, 2))
		SKIP(return, "the data has no checksum");
	hisi_acc_vf_open(&vf, destination_bdf);
	for (unsigned int at = MATCH_SIZE; at < DATA_SIZE; at++) {
		memcpy(bad, data, sizeof(bad));
		bad[at] ^= 1 << (at % 8);
		expect_rejection(_metadata, &vf, bad, &r);
	}
	hisi_acc_vf_close(&vf);
}

/* Register values that no guest can set are rejected */
TEST(refused_registers)
{
	static const struct rejection cases[] = {
		{ GUEST_STATE, 4, 2, -ERANGE },
		{ GUEST_STATE, 4, 1, -ERANGE },
		{ MESSAGE_SET, 4, 1, -ERANGE },
		{ PAGE_CODE, 4, 3, -ERANGE },
		{ EQC, 4, 0xffff, -ERANGE },
		{ AEQC + 2, 2, 0xffff, -ERANGE },
		{ EQC + 4, 4, 0x10001001, -EBADMSG },
		{ EQ_RING, 8, 0, -EBADMSG },
		{ SQC_TABLE, 8, 0, -EBADMSG },
		{ SQC_TABLE, 8, 8, -EBADMSG },
		{ CQC_TABLE, 8, 0, -EBADMSG },
	};

	expect_rejections(_metadata, cases, ARRAY_SIZE(cases));
}

/* One more byte is rejected, in the same write() and in another */
TEST(too_long)
{
	u8 data[DATA_SIZE + 1] = {};
	struct hisi_acc_vf vf;
	int data_fd;

	save_data(_metadata, data, true);
	data_fd = begin_resume(_metadata, &vf);
	EXPECT_EQ(data_send(data_fd, data, DATA_SIZE), DATA_SIZE);
	EXPECT_LT(data_send(data_fd, data, 1), 0);
	EXPECT_LT(device_set_state(vf.fd, STOP, NULL), 0);
	EXPECT_EQ(device_reset(vf.fd), 0);
	close(data_fd);
	EXPECT_EQ(device_set_state(vf.fd, RESUMING, &data_fd), 0);
	EXPECT_LT(data_send(data_fd, data, DATA_SIZE + 1), 0);
	EXPECT_LT(device_set_state(vf.fd, STOP, NULL), 0);
	hisi_acc_vf_close(&vf);
}

/* RESUMING cannot be left with a part of the data, and the part can be completed */
TEST(too_short)
{
	u8 data[DATA_SIZE];
	struct hisi_acc_vf vf;
	int data_fd;

	save_data(_metadata, data, true);
	data_fd = begin_resume(_metadata, &vf);
	for (int i = 0; i < DATA_SIZE; i++) {
		if (i != MATCH_SIZE || data_get(data, MINOR, 2))
			EXPECT_LT(device_set_state(vf.fd, STOP, NULL), 0);
		EXPECT_EQ(device_get_state(vf.fd), RESUMING);
		EXPECT_EQ(data_send(data_fd, data + i, 1), 1);
		if (device_get_state(vf.fd) != RESUMING)
			return;
	}
	EXPECT_EQ(device_set_state(vf.fd, STOP, NULL), 0);
	EXPECT_EQ(hisi_acc_guest_sqc_table(&vf.guest), data_get(data, SQC_TABLE, 8));
	hisi_acc_vf_close(&vf);
}

/* D12: Match data is checked if nothing comes after it */
TEST(forty_wrong_bytes)
{
	u8 bad[MATCH_SIZE];
	struct hisi_acc_vf vf;
	int data_fd;

	memset(bad, 0x5a, sizeof(bad));
	data_fd = begin_resume(_metadata, &vf);
	EXPECT_LT(data_send(data_fd, bad, sizeof(bad)), 0);
	EXPECT_LT(device_set_state(vf.fd, STOP, NULL), 0);
	hisi_acc_vf_close(&vf);
}

static void check_second_data(struct __test_metadata *_metadata, bool reopen)
{
	u8 data[DATA_SIZE], bad[DATA_SIZE];
	struct hisi_acc_vf vf;
	int data_fd;

	save_data(_metadata, data, true);
	memcpy(bad, data, sizeof(bad));
	data_put(bad, QUEUES, 4, 1);
	data_fd = begin_resume(_metadata, &vf);
	EXPECT_EQ(data_send(data_fd, data, DATA_SIZE), DATA_SIZE);
	EXPECT_EQ(device_set_state(vf.fd, STOP, NULL), 0);
	close(data_fd);
	if (reopen) {
		hisi_acc_vf_close(&vf);
		hisi_acc_vf_open(&vf, destination_bdf);
	}
	EXPECT_EQ(device_set_state(vf.fd, RESUMING, &data_fd), 0);
	EXPECT_LT(data_send(data_fd, bad, DATA_SIZE), 0);
	if (!reopen)
		EXPECT_LT(device_set_state(vf.fd, STOP, NULL), 0);
	hisi_acc_vf_close(&vf);
}

/* D2: Data is checked again after valid data was loaded */
TEST(second_data)
{
	check_second_data(_metadata, false);
}

/* R16: The same for the next user */
TEST(second_data_of_another)
{
	check_second_data(_metadata, true);
}

/* D24: Rejected data writes no register */
TEST(nothing_is_written)
{
	u8 data[DATA_SIZE];
	struct hisi_acc_vf vf;
	int data_fd;

	save_data(_metadata, data, true);
	data_put(data, SQC_TABLE, 8, 8);
	data_sign(data);
	data_fd = begin_resume(_metadata, &vf);
	data_send(data_fd, data, DATA_SIZE);
	device_set_state(vf.fd, STOP, NULL);
	EXPECT_EQ(hisi_acc_guest_read(&vf.guest, QM_VF_STATE), 1);
	EXPECT_EQ(hisi_acc_guest_sqc_table(&vf.guest), 0);
	hisi_acc_vf_close(&vf);
}

int main(int argc, char *argv[])
{
	return hisi_acc_test_run(argc, argv);
}
