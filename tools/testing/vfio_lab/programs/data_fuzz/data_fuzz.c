// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer on the driver's decoder of migration data, built for this machine
 * with sanitizers.
 *
 * An input is one byte that selects the match data of a VF, then migration data.
 * Decoder and acc_data_rules.h must agree on each input. With a wrong checksum
 * nothing behind it would be decoded, so most inputs are given a valid one.
 */
#include <stdio.h>
#include <stdlib.h>

/* of the kernel's tools, as is what the decoder includes */
#include <linux/kernel.h>

/* What these lack of the kernel's byteorder.h */
static void le32_to_cpu_array(u32 *words, unsigned int count)
{
	while (count--)
		words[count] = le32_to_cpu(words[count]);
}

static void cpu_to_le32_array(u32 *words, unsigned int count)
{
	while (count--)
		words[count] = cpu_to_le32(words[count]);
}

#include "vf_data.c"

#include "acc_data_rules.h"

#define MATCH_BYTE	1
#define LONGEST		(MATCH_BYTE + HISI_ACC_DATA_SIZE + 8)
#define POISON		0xa5

#define must(what) \
	do { \
		if (!(what)) { \
			fprintf(stderr, "data_fuzz: not so: %s\n", #what); \
			abort(); \
		} \
	} while (0)

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
			       unsigned int seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct hisi_acc_match match_of(uint8_t choice)
{
	static const u16 devices[] = { 0xa256, 0xa259, 0xa251 };

	return (struct hisi_acc_match) {
		.dev_id = devices[choice % 3],
		.qp_num = choice & 4 ? 1 : 1024,
		.que_iso_cfg = !!(choice & 8),
		.qp_base = choice,
		.hw_version = choice & 16 ? 0x30 : 0x51,
		.bar_layout = choice & 32 ? HISI_ACC_BAR_HALF : HISI_ACC_BAR_WHOLE,
	};
}

static struct data_match rules_of(const struct hisi_acc_match *match)
{
	return (struct data_match) { match->dev_id, match->qp_num, match->que_iso_cfg,
				      match->hw_version, match->bar_layout };
}

static uint32_t data_sum(const uint8_t *saved)
{
	uint8_t copy[HISI_ACC_DATA_SIZE];

	memcpy(copy, saved, sizeof(copy));
	data_put(copy, CHECKSUM, 4, 0);
	return (uint32_t)crc32(0, copy, sizeof(copy));
}

static bool is_known(int err)
{
	static const int known[] = { EBADMSG, EPROTONOSUPPORT, EOPNOTSUPP, ERANGE, EPROTO, EFBIG,
				     ENODATA };

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (err == -known[i])
			return true;
	return false;
}

/* As the driver does it: checked when it is written, decoded when it is loaded */
static int decode(const uint8_t *bytes, size_t len, const struct hisi_acc_match *match, struct hisi_acc_saved *saved,
		  struct hisi_acc_mismatch *why)
{
	int err = hisi_acc_vf_data_check(bytes, len, match, why);

	return err ? err : hisi_acc_vf_data_decode(bytes, len, saved, why);
}

static enum data_guest decoded_guest(const struct hisi_acc_saved *saved)
{
	return saved->guest == HISI_ACC_GUEST_UP ? GUEST_UP :
	       saved->guest == HISI_ACC_GUEST_IDLE ? GUEST_IDLE : GUEST_NONE;
}

/* What is decoded is what the bytes say, and goes the same way back */
static void look_at(const struct hisi_acc_saved *saved, const uint8_t *bytes, size_t len,
		    const struct hisi_acc_match *match)
{
	struct data_match rules = rules_of(match);
	struct hisi_acc_mismatch why;
	struct hisi_acc_saved again;
	u8 sent[HISI_ACC_DATA_SIZE] __attribute__((aligned(HISI_ACC_DATA_ALIGN)));

	must(decoded_guest(saved) == (len == HISI_ACC_DATA_SIZE ? data_guest_of(bytes) : GUEST_NONE));
	if (decoded_guest(saved) != GUEST_NONE) {
		/* of each, one bit has a meaning */
		must(saved->aeq_int_mask == (bytes[FLAGS] & 1) && saved->eq_int_mask == (bytes[FLAGS + 4] & 1));
		must(saved->ifc_int_source == (bytes[FLAGS + 8] & 1) && saved->ifc_int_mask == (bytes[FLAGS + 12] & 1));
		must(saved->page_size == data_get(bytes, PAGE_CODE, 4));
		for (unsigned int i = 0; i < HISI_ACC_XQC_WORDS; i++)
			must(saved->eqc[i] == data_get(bytes, EQC + 4 * i, 4) && saved->aeqc[i] == data_get(bytes, AEQC + 4 * i, 4));
		must(saved->sqc_table == data_get(bytes, SQC_TABLE, 8) && saved->cqc_table == data_get(bytes, CQC_TABLE, 8));
		must(saved->pending_read == (data_minor(bytes) ? data_get(bytes, PENDING_READ, 4) : 0));
	}
	hisi_acc_vf_data_encode(sent, saved, match);
	must(is_valid_data(sent, sizeof(sent), &rules));
	must(data_guest_of(sent) == decoded_guest(saved));
	must(!decode(sent, sizeof(sent), match, &again, &why));
	must(!memcmp(&again, saved, sizeof(again)));
}

static void judge(uint8_t choice, const uint8_t *bytes, size_t len)
{
	struct hisi_acc_match match = match_of(choice);
	struct data_match rules = rules_of(&match);
	struct hisi_acc_saved saved, untouched;
	struct hisi_acc_mismatch why = {};
	int err, so_far;

	memset(&saved, POISON, sizeof(saved));
	memcpy(&untouched, &saved, sizeof(saved));

	err = decode(bytes, len, &match, &saved, &why);
	must(!err == is_valid_data(bytes, len, &rules));
	if (err) {
		must(is_known(err) && why.what && *why.what);
		must(!memcmp(&saved, &untouched, sizeof(saved)));
	} else {
		look_at(&saved, bytes, len, &match);
	}
	/* what a prefix is refused for, all of it is */
	for (size_t part = 0; part <= len && len <= HISI_ACC_DATA_SIZE; part += 1 + choice % 13) {
		so_far = hisi_acc_vf_data_check(bytes, part, &match, &why);
		must(!so_far || so_far == err);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *own;

	if (size < MATCH_BYTE)
		return 0;
	/* aligned, and with nothing behind it */
	own = malloc(size - MATCH_BYTE);
	must(own);
	memcpy(own, data + MATCH_BYTE, size - MATCH_BYTE);
	judge(data[0], own, size - MATCH_BYTE);
	free(own);
	return 0;
}

static unsigned int below(unsigned int *seed, unsigned int limit)
{
	*seed = *seed * 1664525 + 1013904223;
	return (unsigned int)((uint64_t)(*seed ^ *seed >> 15) * limit >> 32);
}

static void set_up_ring(u32 *xqc, unsigned int *seed)
{
	xqc[1] = below(seed, ~0u) & ~31u;
	xqc[2] = 1 + below(seed, 0xffff);
	xqc[6] = below(seed, 0x10000) | 0x10000;
	xqc[0] = below(seed, (xqc[6] & 0xffff) + 1) | below(seed, (xqc[6] & 0xffff) + 1) << 16;
}

/* Valid migration data for the match data: of either version, with each of what a guest's driver does */
static size_t valid_data(uint8_t *bytes, const struct hisi_acc_match *match, unsigned int *seed)
{
	static const unsigned int rings[][2] = { { EQC, EQ_RING }, { AEQC, AEQ_RING } };
	u8 whole[HISI_ACC_DATA_SIZE] __attribute__((aligned(HISI_ACC_DATA_ALIGN)));
	unsigned int choice = below(seed, 8);
	struct hisi_acc_saved saved = {
		.guest = !choice ? HISI_ACC_GUEST_NONE : choice < 4 ? HISI_ACC_GUEST_IDLE : HISI_ACC_GUEST_UP,
	};
	bool first = !below(seed, 4), up = saved.guest == HISI_ACC_GUEST_UP;

	if (saved.guest != HISI_ACC_GUEST_NONE) {
		saved.aeq_int_mask = below(seed, 2);
		saved.eq_int_mask = below(seed, 2);
		saved.ifc_int_mask = below(seed, 2);
		saved.page_size = below(seed, 3);
		/* a driver that is being started has set some of it */
		if (up || below(seed, 2))
			set_up_ring(saved.eqc, seed);
		if (up || below(seed, 2))
			set_up_ring(saved.aeqc, seed);
		if (up || below(seed, 2))
			saved.sqc_table = 32 + 32ull * below(seed, ~0u);
		if (up || below(seed, 2))
			saved.cqc_table = 32 + 32ull * below(seed, ~0u);
		saved.pending_read = below(seed, 2) ? HISI_ACC_MB_READ_QUEUES : HISI_ACC_MB_READ_NOTHING;
	}
	hisi_acc_vf_data_encode(whole, &saved, match);
	memcpy(bytes, whole, sizeof(whole));
	if (!first && below(seed, 3))
		return HISI_ACC_DATA_SIZE;
	/* as others wrote it */
	data_put(bytes, MINOR, 2, 0);
	data_put(bytes, HW_VERSION, 8, 0);
	memset(bytes + GUEST, 0, EQ_RING - GUEST);
	if (first) {
		data_put(bytes, MAGIC, 8, DATA_MAGIC_1);
		data_put(bytes, MAJOR, 4, 0);
	}
	for (int i = 0; i < 2; i++) {
		uint64_t base = data_get(bytes, rings[i][0] + 4, 8);

		data_put(bytes, rings[i][1], 8, first && base ? data_get(bytes, rings[i][0] + 8, 8) << 32 | 1 : base);
	}
	if (data_guest_of(bytes) == GUEST_UP)
		return HISI_ACC_DATA_SIZE;
	data_put(bytes, GUEST_STATE, 4, below(seed, 2));
	return below(seed, 2) ? HISI_ACC_DATA_SIZE : HISI_ACC_MATCH_SIZE;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	static const uint32_t values[] = { 0, 1, 2, 3, 4, 5, 6, 7, 31, 32, 0xffff, 0x10000, 0x7fffffff, 0xffffffff };
	uint8_t *saved = data + MATCH_BYTE;

	if (max_size < LONGEST)
		return LLVMFuzzerMutate(data, size, max_size);
	if (size < MATCH_BYTE + HISI_ACC_MATCH_SIZE || !below(&seed, 3)) {
		struct hisi_acc_match match;

		data[0] = (uint8_t)below(&seed, 256);
		match = match_of(data[0]);
		size = MATCH_BYTE + valid_data(saved, &match, &seed);
	}
	for (unsigned int changes = below(&seed, 4); changes; changes--)
		if (size == MATCH_BYTE + HISI_ACC_DATA_SIZE && below(&seed, 4))
			data_put(saved, 4 * below(&seed, HISI_ACC_DATA_SIZE / 4), 4,
			    values[below(&seed, sizeof(values) / sizeof(*values))]);
		else
			size = LLVMFuzzerMutate(data, size, LONGEST);
	if (size >= MATCH_BYTE + HISI_ACC_DATA_SIZE && data_minor(saved) && below(&seed, 8))
		data_put(saved, CHECKSUM, 4, data_sum(saved));
	return size;
}
