// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: which migration data is accepted, which is not, and for which reason.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/unaligned.h>

#include "../vf_data.c"

static const struct hisi_acc_match match = {
	.dev_id = 0xa256,
	.qp_num = 16,
	.que_iso_cfg = 1,
	.qp_base = 48,
	.hw_version = 0x30,
	.bar_layout = HISI_ACC_BAR_HALF,
};

/* As Linux 7.2 sends it, word for word */
static const u8 golden_v2[HISI_ACC_DATA_SIZE] __aligned(HISI_ACC_DATA_ALIGN) = {
	0xde, 0xde, 0xca, 0xde, 0xed, 0xfe, 0xcc, 0xaa,	/* magic */
	0x10, 0x00, 0x00, 0x00, 0x56, 0xa2, 0x00, 0x00,	/* queues, device */
	0x01, 0x00, 0x00, 0x00, 0x30, 0x00, 0x00, 0x00,	/* isolation, base */
	0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,	/* state, version */
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,	/* AEQ, EQ mask */
	0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,	/* IFC source, mask */
	0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,	/* IFC set, page */
	0x07, 0x00, 0x09, 0x00, 0x00, 0x40, 0x56, 0x34,	/* EQC */
	0x12, 0x00, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0xff, 0x03, 0x01, 0x00,
	0x01, 0x00, 0x01, 0x00, 0x00, 0x60, 0x56, 0x34,	/* AEQC */
	0x12, 0x00, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0xff, 0x03, 0x01, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,	/* reserved */
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x40, 0x56, 0x34, 0x12, 0x00, 0x00, 0x00,	/* EQ ring */
	0x00, 0x60, 0x56, 0x34, 0x12, 0x00, 0x00, 0x00,	/* AEQ ring */
	0x00, 0x80, 0x56, 0x34, 0x12, 0x00, 0x00, 0x00,	/* SQC table */
	0x00, 0xa0, 0x56, 0x34, 0x12, 0x00, 0x00, 0x00,	/* CQC table */
};

static const struct hisi_acc_saved golden_state = {
	.guest = HISI_ACC_GUEST_UP,
	.eq_int_mask = 1,
	.ifc_int_mask = 1,
	.page_size = 2,
	.eqc = { 0x90007, 0x34564000, 0x12, 0x2000, 0, 0, 0x103ff },
	.aeqc = { 0x10001, 0x34566000, 0x12, 0x2000, 0, 0, 0x103ff },
	.sqc_table = 0x1234568000,
	.cqc_table = 0x123456a000,
};

static int decode(const u8 *bytes, size_t len, struct hisi_acc_saved *saved)
{
	struct hisi_acc_mismatch why;

	return hisi_acc_vf_data_check(bytes, len, &match, &why) ?:
	       hisi_acc_vf_data_decode(bytes, len, saved, &why);
}

static void expect_golden(struct kunit *test, const u8 *bytes)
{
	struct hisi_acc_saved saved;

	KUNIT_ASSERT_EQ(test, decode(bytes, HISI_ACC_DATA_SIZE, &saved), 0);
	KUNIT_EXPECT_EQ(test, saved.guest, HISI_ACC_GUEST_UP);
	KUNIT_EXPECT_EQ(test, saved.eq_int_mask, golden_state.eq_int_mask);
	KUNIT_EXPECT_EQ(test, saved.aeq_int_mask, golden_state.aeq_int_mask);
	KUNIT_EXPECT_EQ(test, saved.ifc_int_source, golden_state.ifc_int_source);
	KUNIT_EXPECT_EQ(test, saved.ifc_int_mask, golden_state.ifc_int_mask);
	KUNIT_EXPECT_EQ(test, saved.page_size, golden_state.page_size);
	KUNIT_EXPECT_MEMEQ(test, saved.eqc, golden_state.eqc,
			   sizeof(saved.eqc));
	KUNIT_EXPECT_MEMEQ(test, saved.aeqc, golden_state.aeqc,
			   sizeof(saved.aeqc));
	KUNIT_EXPECT_EQ(test, saved.sqc_table, golden_state.sqc_table);
	KUNIT_EXPECT_EQ(test, saved.cqc_table, golden_state.cqc_table);
}

/* Computed by another program */
#define GOLDEN_CHECKSUM 0xf49427b5

static void put_checksum(u8 *bytes)
{
	struct acc_vf_data wire;

	memcpy(&wire, bytes, sizeof(wire));
	put_unaligned_le32(hisi_acc_data_checksum(wire), bytes + 136);
}

/* What minor version 1 adds to the golden state */
static void make_v2_1(u8 *bytes)
{
	memcpy(bytes, golden_v2, HISI_ACC_DATA_SIZE);
	put_unaligned_le16(1, bytes + 30);
	put_unaligned_le32(0x30, bytes + 32);
	put_unaligned_le32(1, bytes + 36);
	put_unaligned_le32(1, bytes + 120);
	put_unaligned_le32(GOLDEN_CHECKSUM, bytes + 136);
}

/* Only the additions differ from what Linux 7.2 sends */
static void encodes_version_2_1(struct kunit *test)
{
	u8 bytes[HISI_ACC_DATA_SIZE] __aligned(HISI_ACC_DATA_ALIGN);
	u8 want[HISI_ACC_DATA_SIZE];

	make_v2_1(want);
	memset(bytes, 0xff, sizeof(bytes));
	hisi_acc_vf_data_encode(bytes, &golden_state, &match);
	KUNIT_EXPECT_MEMEQ(test, bytes, want, sizeof(bytes));

	memset(bytes, 0xff, sizeof(bytes));
	hisi_acc_vf_data_encode_match(bytes, &match);
	KUNIT_EXPECT_MEMEQ(test, bytes, want, HISI_ACC_MATCH_SIZE);
	KUNIT_EXPECT_EQ(test, bytes[HISI_ACC_MATCH_SIZE], 0xff);
}

/* R2: each field is read from its place */
static void decodes_version_2(struct kunit *test)
{
	u8 bytes[HISI_ACC_DATA_SIZE] __aligned(HISI_ACC_DATA_ALIGN);

	expect_golden(test, golden_v2);
	make_v2_1(bytes);
	expect_golden(test, bytes);
}

/* Ring addresses as 5.18 to 6.0 wrote them, then as 6.1 to 6.15 did */
static void decodes_version_1(struct kunit *test)
{
	u8 bytes[HISI_ACC_DATA_SIZE] __aligned(HISI_ACC_DATA_ALIGN);

	memcpy(bytes, golden_v2, sizeof(bytes));
	put_unaligned_le64(DATA_MAGIC_V1, bytes);
	put_unaligned_le32(0, bytes + 28);
	expect_golden(test, bytes);

	memcpy(bytes + 144, bytes + 64, 8);
	memcpy(bytes + 152, bytes + 92, 8);
	expect_golden(test, bytes);
}

/* R12: fields of data without a guest driver are not read */
static void guest_not_up(struct kunit *test)
{
	struct hisi_acc_saved saved = { .guest = HISI_ACC_GUEST_UP };
	u8 bytes[HISI_ACC_DATA_SIZE] __aligned(HISI_ACC_DATA_ALIGN);

	KUNIT_EXPECT_EQ(test, decode(golden_v2, HISI_ACC_MATCH_SIZE, &saved), 0);
	KUNIT_EXPECT_EQ(test, saved.guest, HISI_ACC_GUEST_NONE);

	hisi_acc_vf_data_encode(bytes, &saved, &match);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(bytes + 120), 2);
	KUNIT_EXPECT_TRUE(test, !memchr_inv(bytes + HISI_ACC_MATCH_SIZE, 0,
					    120 - HISI_ACC_MATCH_SIZE));
	KUNIT_EXPECT_TRUE(test, !memchr_inv(bytes + 144, 0, 32));
	saved.guest = HISI_ACC_GUEST_UP;
	KUNIT_EXPECT_EQ(test, decode(bytes, sizeof(bytes), &saved), 0);
	KUNIT_EXPECT_EQ(test, saved.guest, HISI_ACC_GUEST_NONE);
}

/* Each prefix of valid data is valid, and only two lengths are complete */
static void truncated(struct kunit *test)
{
	u8 bytes[HISI_ACC_DATA_SIZE] __aligned(HISI_ACC_DATA_ALIGN);

	make_v2_1(bytes);
	for (size_t len = 0; len < HISI_ACC_DATA_SIZE; len++) {
		struct hisi_acc_saved saved;
		struct hisi_acc_mismatch why;

		KUNIT_EXPECT_EQ(test, hisi_acc_vf_data_check(golden_v2, len,
							     &match, &why), 0);
		KUNIT_EXPECT_EQ(test, decode(golden_v2, len, &saved),
				len == HISI_ACC_MATCH_SIZE ? 0 : -ENODATA);
		KUNIT_EXPECT_EQ(test, hisi_acc_vf_data_check(bytes, len, &match,
							     &why), 0);
		KUNIT_EXPECT_EQ(test, decode(bytes, len, &saved), -ENODATA);
	}
}

/* Each flipped bit of the match part is rejected, except in @qp_base */
static void flipped_bits(struct kunit *test)
{
	u8 bytes[HISI_ACC_DATA_SIZE] __aligned(HISI_ACC_DATA_ALIGN);
	struct hisi_acc_saved saved;

	for (unsigned int bit = 0; bit < HISI_ACC_MATCH_SIZE * 8; bit++) {
		unsigned int at = bit / 8;

		/* informative, and the minor version */
		if ((at >= 20 && at < 24) || (at >= 30 && at < 32))
			continue;
		memcpy(bytes, golden_v2, sizeof(bytes));
		bytes[at] ^= BIT(bit % 8);
		KUNIT_EXPECT_NE_MSG(test, decode(bytes, sizeof(bytes), &saved),
				    0, "bit %u of byte %u", bit % 8, at);
	}
}

/* With a checksum, each flipped bit is rejected */
static void flipped_bits_2_1(struct kunit *test)
{
	struct hisi_acc_saved saved;
	u8 bytes[HISI_ACC_DATA_SIZE] __aligned(HISI_ACC_DATA_ALIGN);

	for (unsigned int bit = 0; bit < HISI_ACC_DATA_SIZE * 8; bit++) {
		make_v2_1(bytes);
		bytes[bit / 8] ^= BIT(bit % 8);
		KUNIT_EXPECT_NE_MSG(test, decode(bytes, sizeof(bytes), &saved),
				    0, "bit %u of byte %u", bit % 8, bit / 8);
	}
}

/* What a newer minor version has in reserved words can be ignored */
static void newer_minor(struct kunit *test)
{
	u8 bytes[HISI_ACC_DATA_SIZE] __aligned(HISI_ACC_DATA_ALIGN);
	struct hisi_acc_saved saved;

	make_v2_1(bytes);
	bytes[128] = 1;
	put_checksum(bytes);
	KUNIT_EXPECT_EQ(test, decode(bytes, sizeof(bytes), &saved), -EPROTO);
	bytes[30] = 2;
	put_checksum(bytes);
	expect_golden(test, bytes);
}

/* Data of all Linux releases is accepted */
static void masks_have_one_bit(struct kunit *test)
{
	u8 bytes[HISI_ACC_DATA_SIZE] __aligned(HISI_ACC_DATA_ALIGN);

	memcpy(bytes, golden_v2, sizeof(bytes));
	put_unaligned_le32(0xfffffffe, bytes + 40);
	put_unaligned_le32(0x80000001, bytes + 44);
	put_unaligned_le32(2, bytes + 48);
	put_unaligned_le32(3, bytes + 52);
	expect_golden(test, bytes);
}

static const struct hisi_acc_saved idle_state = {
	.guest = HISI_ACC_GUEST_IDLE,
	.aeq_int_mask = 1,
	.eq_int_mask = 1,
	.page_size = 1,
	.eqc = { 0x90007, 0x34564000, 0x12, 0x2000, 0, 0, 0x103ff },
	.sqc_table = 0x1234568000,
	.pending_read = HISI_ACC_MB_READ_QUEUES,
};

/* State that a driver has set in part is neither lost nor treated as complete */
static void idle(struct kunit *test)
{
	u8 bytes[HISI_ACC_DATA_SIZE] __aligned(HISI_ACC_DATA_ALIGN);
	struct hisi_acc_saved saved;

	hisi_acc_vf_data_encode(bytes, &idle_state, &match);
	KUNIT_ASSERT_EQ(test, decode(bytes, sizeof(bytes), &saved), 0);
	KUNIT_EXPECT_MEMEQ(test, &saved, &idle_state, sizeof(saved));
	/* one address that is 0 is what other readers go by */
	KUNIT_EXPECT_EQ(test, get_unaligned_le64(bytes + 144), 0);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(bytes + 120), 2);

	put_unaligned_le64(0x1234564000, bytes + 144);
	put_checksum(bytes);
	KUNIT_EXPECT_EQ(test, decode(bytes, sizeof(bytes), &saved), -ERANGE);

	/* what it holds has to fit registers as any other's */
	put_unaligned_le64(0, bytes + 144);
	put_unaligned_le32(3, bytes + 60);
	put_checksum(bytes);
	KUNIT_EXPECT_EQ(test, decode(bytes, sizeof(bytes), &saved), -ERANGE);
	put_unaligned_le32(0, bytes + 60);
	put_unaligned_le64(0x10, bytes + 168);
	put_checksum(bytes);
	KUNIT_EXPECT_EQ(test, decode(bytes, sizeof(bytes), &saved),
			-EBADMSG);
}

static const struct reject {
	const char *name;
	unsigned int offset;
	u32 value;
	int err;
} rejects[] = {
	{ "magic", 4, 0, -EBADMSG },
	{ "major version", 28, 2, -EPROTONOSUPPORT },
	{ "device", 12, 0xa259, -EOPNOTSUPP },
	{ "queues", 8, U32_MAX, -EOPNOTSUPP },
	{ "isolation", 16, 0, -EOPNOTSUPP },
	{ "state", 24, 2, -ERANGE },
	{ "state of a live VF", 24, 1, -ERANGE },
	{ "reserved in the match part", 36, 1, -EPROTO },
	{ "message under way", 56, 1, -ERANGE },
	{ "page size", 60, 3, -ERANGE },
	{ "EQ head", 64, 0x0400, -ERANGE },
	{ "AEQ tail", 92, 0x4000000, -ERANGE },
	{ "EQ base against its context", 68, 0x34564020, -EBADMSG },
	{ "reserved", 140, 1, -EPROTO },
	{ "SQC table alignment", 160, 0x10, -EBADMSG },
};

static const struct reject rejects_2_1[] = {
	{ "hardware version", 32, 0x50, -EOPNOTSUPP },
	{ "BAR layout", 36, HISI_ACC_BAR_WHOLE, -EOPNOTSUPP },
	{ "guest", 120, 0, -ERANGE },
	{ "guest down", 120, 2, -ERANGE },
	{ "reserved", 132, 1, -EPROTO },
	{ "padding", 140, 1, -EPROTO },
	{ "SQC table alignment", 160, 0x10, -EBADMSG },
};

static void reject_name(const struct reject *r, char *name)
{
	strscpy(name, r->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(reject, rejects, reject_name);

/* R1, D16: each check rejects with its own errno */
static void rejected(struct kunit *test)
{
	const struct reject *r = test->param_value;
	struct hisi_acc_saved saved = golden_state;
	u8 bytes[HISI_ACC_DATA_SIZE] __aligned(HISI_ACC_DATA_ALIGN);

	memcpy(bytes, golden_v2, sizeof(bytes));
	put_unaligned_le32(r->value, bytes + r->offset);
	KUNIT_EXPECT_EQ(test, decode(bytes, sizeof(bytes), &saved), r->err);
	KUNIT_EXPECT_MEMEQ(test, &saved, &golden_state, sizeof(saved));
}

KUNIT_ARRAY_PARAM(reject_2_1, rejects_2_1, reject_name);

/* Each check of minor version 1 rejects with its own errno */
static void rejected_2_1(struct kunit *test)
{
	const struct reject *r = test->param_value;
	struct hisi_acc_saved saved;
	u8 bytes[HISI_ACC_DATA_SIZE] __aligned(HISI_ACC_DATA_ALIGN);

	make_v2_1(bytes);
	put_unaligned_le32(r->value, bytes + r->offset);
	put_checksum(bytes);
	KUNIT_EXPECT_EQ(test, decode(bytes, sizeof(bytes), &saved), r->err);
}

/* A missing address is not used as one */
static void missing_addresses(struct kunit *test)
{
	/* each in its own word, that of a ring in its context as well */
	static const unsigned int places[][2] = {
		{ 144, 68 }, { 152, 96 }, { 160, 160 }, { 168, 168 },
	};
	struct hisi_acc_saved saved;
	u8 bytes[HISI_ACC_DATA_SIZE] __aligned(HISI_ACC_DATA_ALIGN);

	for (int i = 0; i < ARRAY_SIZE(places); i++) {
		make_v2_1(bytes);
		put_unaligned_le64(0, bytes + places[i][0]);
		put_unaligned_le64(0, bytes + places[i][1]);
		put_checksum(bytes);
		KUNIT_EXPECT_EQ_MSG(test, decode(bytes, sizeof(bytes), &saved),
				    -EBADMSG, "at %u", places[i][0]);

		/* Linux treats it as a VF that is not in use */
		memcpy(bytes, golden_v2, sizeof(bytes));
		put_unaligned_le64(0, bytes + places[i][0]);
		KUNIT_EXPECT_EQ(test, decode(bytes, sizeof(bytes), &saved), 0);
		KUNIT_EXPECT_EQ_MSG(test, saved.guest, HISI_ACC_GUEST_NONE,
				    "at %u", places[i][0]);
	}
}

/* No byte beyond the data is read */
static void too_long(struct kunit *test)
{
	struct hisi_acc_mismatch why;

	KUNIT_EXPECT_EQ(test,
			hisi_acc_vf_data_check(golden_v2, HISI_ACC_DATA_SIZE + 1,
					       &match, &why), -EFBIG);
}

static struct kunit_case vf_data_cases[] = {
	KUNIT_CASE(encodes_version_2_1),
	KUNIT_CASE(decodes_version_2),
	KUNIT_CASE(decodes_version_1),
	KUNIT_CASE(guest_not_up),
	KUNIT_CASE(truncated),
	KUNIT_CASE(flipped_bits),
	KUNIT_CASE(flipped_bits_2_1),
	KUNIT_CASE(newer_minor),
	KUNIT_CASE(masks_have_one_bit),
	KUNIT_CASE(idle),
	KUNIT_CASE_PARAM(rejected, reject_gen_params),
	KUNIT_CASE_PARAM(rejected_2_1, reject_2_1_gen_params),
	KUNIT_CASE(missing_addresses),
	KUNIT_CASE(too_long),
	{ }
};

static struct kunit_suite vf_data_suite = {
	.name = "hisi_acc_vf_data",
	.test_cases = vf_data_cases,
};

kunit_test_suite(vf_data_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit tests of the VFIO PCI driver for HiSilicon VFs");
