// SPDX-License-Identifier: GPL-2.0-only
/*
 * Encode, decode and validate migration data.
 *
 * The layout is the one that Linux has sent since 6.16 and that is called
 * version 2 here: a match part of 40 bytes, then the registers. Linux before
 * 6.16 sent the same layout under another magic, without a version and, from
 * 6.1 on, with the two ring addresses assembled from the wrong words. They are
 * therefore ignored in version 1: the context words hold the same
 * addresses, in the same place in all versions.
 *
 * Minor version 1, written here, uses words that are 0 in minor version 0 and that no
 * reader of it reads: what the guest sees of the hardware, in the match part; in the
 * rest whether the guest's driver was up, its pending mailbox read, and a checksum.
 *
 * Without these words "the guest's driver is not up" has two forms: data of
 * 40 bytes, as Linux writes it, and a whole one in which one of the four addresses
 * is 0. The second is also how minor version 1 sends the state of an idle VF:
 * the address of the event queue is left out, which its context has anyway, and
 * other readers load nothing, as they would have done for such a VF. The state in
 * the match part is not used for this: that part is sent while the guest runs and may
 * yet load its driver, or remove it.
 */
#include <asm/byteorder.h>
#include <linux/align.h>
#include <linux/build_bug.h>
#include <linux/crc32.h>
#include <linux/errno.h>
#include <linux/string.h>
#include <linux/stddef.h>

#include "vf_data.h"

#define DATA_MAGIC_V1		0xCDCDCDCDFEEDAACCULL
#define DATA_MAGIC_V2		0xAACCFEEDDECADEDEULL
#define DATA_MAJOR		1
#define DATA_MINOR		1

#define DATA_GUEST_READY	0
#define DATA_GUEST_NOT_READY	1

#define DATA_GUEST_UP		1	/* of minor version 1 */
#define DATA_GUEST_DOWN	2

#define FLAG			1	/* all that is used of most registers */
#define PAGE_SIZE_CODE_MAX	2	/* 0, 1, 2: 4, 16 and 64 KiB */
#define XQC_DEPTH_MASK		0xffff	/* word 6, entries - 1 */
#define ADDRESS_ALIGN		32	/* rings and context tables alike */

struct acc_vf_data {
	__le64 magic;
	__le32 qp_num;
	__le32 dev_id;
	__le32 que_iso_cfg;
	__le32 qp_base;			/* of no use to a reader */
	__le32 guest_state;
	__le16 major;
	__le16 minor;
	__le32 hw_version;		/* since minor version 1 */
	__le32 bar_layout;
	/* the match part ends here */
	__le32 aeq_int_mask;
	__le32 eq_int_mask;
	__le32 ifc_int_source;
	__le32 ifc_int_mask;
	__le32 ifc_int_set;
	__le32 page_size;
	__le32 eqc[HISI_ACC_XQC_WORDS];
	__le32 aeqc[HISI_ACC_XQC_WORDS];
	__le32 guest;			/* since minor version 1 */
	__le32 pending_read;		/* since minor version 1 */
	__le32 reserved[2];
	__le32 checksum;		/* since minor version 1 */
	__le32 padding;
	__le64 eqe_dma;
	__le64 aeqe_dma;
	__le64 sqc_dma;
	__le64 cqc_dma;
};

static_assert(sizeof(struct acc_vf_data) == HISI_ACC_DATA_SIZE);
static_assert(__alignof__(struct acc_vf_data) <= HISI_ACC_DATA_ALIGN);
static_assert(offsetof(struct acc_vf_data, qp_num) == 8);
static_assert(offsetof(struct acc_vf_data, dev_id) == 12);
static_assert(offsetof(struct acc_vf_data, que_iso_cfg) == 16);
static_assert(offsetof(struct acc_vf_data, qp_base) == 20);
static_assert(offsetof(struct acc_vf_data, guest_state) == 24);
static_assert(offsetof(struct acc_vf_data, major) == 28);
static_assert(offsetof(struct acc_vf_data, minor) == 30);
static_assert(offsetof(struct acc_vf_data, hw_version) == 32);
static_assert(offsetof(struct acc_vf_data, bar_layout) == 36);
static_assert(offsetof(struct acc_vf_data, aeq_int_mask) == HISI_ACC_MATCH_SIZE);
static_assert(offsetof(struct acc_vf_data, eq_int_mask) == 44);
static_assert(offsetof(struct acc_vf_data, ifc_int_source) == 48);
static_assert(offsetof(struct acc_vf_data, ifc_int_mask) == 52);
static_assert(offsetof(struct acc_vf_data, ifc_int_set) == 56);
static_assert(offsetof(struct acc_vf_data, page_size) == 60);
static_assert(offsetof(struct acc_vf_data, eqc) == 64);
static_assert(offsetof(struct acc_vf_data, aeqc) == 92);
static_assert(offsetof(struct acc_vf_data, guest) == 120);
static_assert(offsetof(struct acc_vf_data, pending_read) == 124);
static_assert(offsetof(struct acc_vf_data, checksum) == 136);
static_assert(offsetof(struct acc_vf_data, padding) == 140);
static_assert(offsetof(struct acc_vf_data, eqe_dma) == 144);
static_assert(offsetof(struct acc_vf_data, aeqe_dma) == 152);
static_assert(offsetof(struct acc_vf_data, sqc_dma) == 160);
static_assert(offsetof(struct acc_vf_data, cqc_dma) == 168);

static int hisi_acc_data_reject(struct hisi_acc_mismatch *why, int err,
				const char *what, u64 got, u64 want)
{
	*why = (struct hisi_acc_mismatch) { what, got, want };
	return err;
}

static bool hisi_acc_data_is_v1(const struct acc_vf_data *wire)
{
	return le64_to_cpu(wire->magic) == DATA_MAGIC_V1;
}

static u16 hisi_acc_data_minor(const struct acc_vf_data *wire)
{
	return hisi_acc_data_is_v1(wire) ? 0 : le16_to_cpu(wire->minor);
}

static u32 hisi_acc_data_checksum(struct acc_vf_data wire)
{
	wire.checksum = 0;
	return ~crc32_le(~0, (const u8 *)&wire, sizeof(wire));
}

/* From one offset to another, both of words */
static bool hisi_acc_data_all_zero(const struct acc_vf_data *wire, size_t from,
				   size_t to)
{
	const __le32 *words = (const __le32 *)wire;

	for (size_t i = from / sizeof(*words); i < to / sizeof(*words); i++)
		if (words[i])
			return false;
	return true;
}

static int hisi_acc_data_check_version(const struct acc_vf_data *wire,
				       struct hisi_acc_mismatch *why)
{
	u64 magic = le64_to_cpu(wire->magic);
	u16 major = le16_to_cpu(wire->major);

	if (magic != DATA_MAGIC_V1 && magic != DATA_MAGIC_V2)
		return hisi_acc_data_reject(why, -EBADMSG, "magic", magic,
					    DATA_MAGIC_V2);
	if (hisi_acc_data_is_v1(wire))
		return 0;
	if (major != DATA_MAJOR)
		return hisi_acc_data_reject(why, -EPROTONOSUPPORT,
					    "major version", major, DATA_MAJOR);
	return 0;
}

/*
 * A newer minor version may use what is reserved here, in a way that an older reader
 * can ignore; in the versions supported here it is 0.
 */
static int hisi_acc_data_check_reserved(const struct acc_vf_data *wire,
					size_t from, size_t to,
					struct hisi_acc_mismatch *why)
{
	if (hisi_acc_data_minor(wire) > DATA_MINOR ||
	    hisi_acc_data_all_zero(wire, from, to))
		return 0;
	return hisi_acc_data_reject(why, -EPROTO, "reserved word near offset",
				    from, 0);
}

static int hisi_acc_data_check_hardware(const struct acc_vf_data *wire,
					const struct hisi_acc_match *match,
					struct hisi_acc_mismatch *why)
{
	size_t reserved = hisi_acc_data_is_v1(wire) ?
			  offsetof(struct acc_vf_data, major) :
			  offsetof(struct acc_vf_data, hw_version);
	u32 version = le32_to_cpu(wire->hw_version);
	u32 bar_layout = le32_to_cpu(wire->bar_layout);

	if (!hisi_acc_data_minor(wire))
		return hisi_acc_data_check_reserved(wire, reserved,
						    HISI_ACC_MATCH_SIZE, why);
	if (version != match->hw_version)
		return hisi_acc_data_reject(why, -EOPNOTSUPP,
					    "hardware version", version,
					    match->hw_version);
	if (bar_layout != match->bar_layout)
		return hisi_acc_data_reject(why, -EOPNOTSUPP, "BAR layout",
					    bar_layout, match->bar_layout);
	return 0;
}

static int hisi_acc_data_check_match(const struct acc_vf_data *wire,
				     const struct hisi_acc_match *match,
				     struct hisi_acc_mismatch *why)
{
	u32 dev_id = le32_to_cpu(wire->dev_id);
	u32 qp_num = le32_to_cpu(wire->qp_num);
	u32 iso = le32_to_cpu(wire->que_iso_cfg);
	u32 state = le32_to_cpu(wire->guest_state);

	if (dev_id != match->dev_id)
		return hisi_acc_data_reject(why, -EOPNOTSUPP, "device id",
					    dev_id, match->dev_id);
	if (qp_num != match->qp_num)
		return hisi_acc_data_reject(why, -EOPNOTSUPP,
					    "number of queues", qp_num,
					    match->qp_num);
	if (iso != match->que_iso_cfg)
		return hisi_acc_data_reject(why, -EOPNOTSUPP,
					    "doorbell isolation", iso,
					    match->que_iso_cfg);
	if (state > DATA_GUEST_NOT_READY)
		return hisi_acc_data_reject(why, -ERANGE, "guest driver state",
					    state, DATA_GUEST_READY);
	return hisi_acc_data_check_hardware(wire, match, why);
}

static void hisi_acc_xqc_to_cpu(u32 *words, const __le32 *wire)
{
	memcpy(words, wire, HISI_ACC_XQC_WORDS * sizeof(*words));
	le32_to_cpu_array(words, HISI_ACC_XQC_WORDS);
}

static int hisi_acc_data_check_address(const char *what, u64 address,
				       struct hisi_acc_mismatch *why)
{
	if (!IS_ALIGNED(address, ADDRESS_ALIGN))
		return hisi_acc_data_reject(why, -EBADMSG, what, address,
					    ADDRESS_ALIGN);
	return 0;
}

static u64 hisi_acc_data_ring_base(const __le32 *wire_xqc)
{
	u32 xqc[HISI_ACC_XQC_WORDS];

	hisi_acc_xqc_to_cpu(xqc, wire_xqc);
	return hisi_acc_xqc_base(xqc);
}

static int hisi_acc_data_check_ring(const char *what, const __le32 *wire_xqc,
				    struct hisi_acc_mismatch *why)
{
	u32 xqc[HISI_ACC_XQC_WORDS];
	u16 head, tail, last;

	hisi_acc_xqc_to_cpu(xqc, wire_xqc);
	head = hisi_acc_xqc_head(xqc);
	tail = xqc[0] >> 16;
	last = xqc[6] & XQC_DEPTH_MASK;
	if (head > last || tail > last)
		return hisi_acc_data_reject(why, -ERANGE, what, xqc[0], last);
	return hisi_acc_data_check_address(what, hisi_acc_xqc_base(xqc), why);
}

/* Version 1 assembles them from the wrong words */
static int hisi_acc_data_check_base(const struct acc_vf_data *wire,
				    const char *what, const __le32 *wire_xqc,
				    __le64 wire_base,
				    struct hisi_acc_mismatch *why)
{
	u64 sent = le64_to_cpu(wire_base);

	if (hisi_acc_data_is_v1(wire) ||
	    sent == hisi_acc_data_ring_base(wire_xqc))
		return 0;
	return hisi_acc_data_reject(why, -EBADMSG, what, sent,
				    hisi_acc_data_ring_base(wire_xqc));
}

static int hisi_acc_data_check_registers(const struct acc_vf_data *wire,
					 struct hisi_acc_mismatch *why)
{
	u32 page_size = le32_to_cpu(wire->page_size);
	u32 set = le32_to_cpu(wire->ifc_int_set);

	if (set)	/* the state of such a VF is not saved */
		return hisi_acc_data_reject(why, -ERANGE, "IFC interrupt set",
					    set, 0);
	if (page_size > PAGE_SIZE_CODE_MAX)
		return hisi_acc_data_reject(why, -ERANGE, "page size",
					    page_size, PAGE_SIZE_CODE_MAX);
	return hisi_acc_data_check_ring("EQ ring", wire->eqc, why) ?:
	       hisi_acc_data_check_ring("AEQ ring", wire->aeqc, why) ?:
	       hisi_acc_data_check_address("SQC table",
					   le64_to_cpu(wire->sqc_dma), why) ?:
	       hisi_acc_data_check_address("CQC table",
					   le64_to_cpu(wire->cqc_dma), why);
}

/* All four, in fields of their own or in the words of the context */
static bool hisi_acc_data_has_addresses(const struct acc_vf_data *wire)
{
	return wire->sqc_dma && wire->cqc_dma &&
	       hisi_acc_data_ring_base(wire->eqc) &&
	       hisi_acc_data_ring_base(wire->aeqc) &&
	       (hisi_acc_data_is_v1(wire) || (wire->eqe_dma && wire->aeqe_dma));
}

/* What the guest's driver did: a field since minor version 1, else derived */
static enum hisi_acc_guest hisi_acc_data_guest(const struct acc_vf_data *wire)
{
	if (!hisi_acc_data_minor(wire))
		return hisi_acc_data_has_addresses(wire) ? HISI_ACC_GUEST_UP :
							   HISI_ACC_GUEST_NONE;
	if (le32_to_cpu(wire->guest) == DATA_GUEST_UP)
		return HISI_ACC_GUEST_UP;
	return hisi_acc_data_all_zero(wire, offsetof(struct acc_vf_data, eqc),
				      offsetof(struct acc_vf_data, guest)) &&
	       !wire->sqc_dma && !wire->cqc_dma ? HISI_ACC_GUEST_NONE :
						  HISI_ACC_GUEST_IDLE;
}

/**
 * hisi_acc_vf_data_is_mb_read() - whether a number is one of enum
 * hisi_acc_mb_read
 * @value: the number
 *
 * Return: true when it is.
 */
bool hisi_acc_vf_data_is_mb_read(u32 value)
{
	return value == HISI_ACC_MB_READ_NOTHING ||
	       value == HISI_ACC_MB_READ_SQC_TABLE ||
	       value == HISI_ACC_MB_READ_CQC_TABLE ||
	       value == HISI_ACC_MB_READ_QUEUES;
}

static int hisi_acc_data_check_additions(const struct acc_vf_data *wire,
					 struct hisi_acc_mismatch *why)
{
	u32 guest = le32_to_cpu(wire->guest);
	u32 pending_read = le32_to_cpu(wire->pending_read);

	if (!hisi_acc_data_minor(wire))
		return hisi_acc_data_check_reserved(wire,
						    offsetof(struct acc_vf_data, guest),
						    offsetof(struct acc_vf_data, eqe_dma),
						    why);
	if (le32_to_cpu(wire->checksum) != hisi_acc_data_checksum(*wire))
		return hisi_acc_data_reject(why, -EBADMSG, "checksum",
					    le32_to_cpu(wire->checksum),
					    hisi_acc_data_checksum(*wire));
	if (guest != DATA_GUEST_UP && guest != DATA_GUEST_DOWN)
		return hisi_acc_data_reject(why, -ERANGE, "guest driver", guest,
					    DATA_GUEST_UP);
	/* left out, so that no other reader treats it as a live VF */
	if (guest == DATA_GUEST_DOWN && (wire->eqe_dma || wire->aeqe_dma))
		return hisi_acc_data_reject(why, -ERANGE,
					    "guest driver of a live VF",
					    guest, DATA_GUEST_UP);
	if (guest == DATA_GUEST_UP && !hisi_acc_data_has_addresses(wire))
		return hisi_acc_data_reject(why, -EBADMSG,
					    "an address of a live VF", 0,
					    ADDRESS_ALIGN);
	if (!hisi_acc_vf_data_is_mb_read(pending_read))
		return hisi_acc_data_reject(why, -ERANGE,
					    "pending mailbox read",
					    pending_read,
					    HISI_ACC_MB_READ_NOTHING);
	return hisi_acc_data_check_reserved(wire, offsetof(struct acc_vf_data, reserved),
					    offsetof(struct acc_vf_data, checksum), why) ?:
	       hisi_acc_data_check_reserved(wire, offsetof(struct acc_vf_data, padding),
					    offsetof(struct acc_vf_data, eqe_dma), why);
}

static int hisi_acc_data_check_body(const struct acc_vf_data *wire,
				    struct hisi_acc_mismatch *why)
{
	u32 state = le32_to_cpu(wire->guest_state);
	int err;

	err = hisi_acc_data_check_additions(wire, why);
	if (err || hisi_acc_data_guest(wire) == HISI_ACC_GUEST_NONE)
		return err;
	err = hisi_acc_data_check_registers(wire, why);
	if (err || hisi_acc_data_guest(wire) == HISI_ACC_GUEST_IDLE)
		return err;
	if (state != DATA_GUEST_READY)
		return hisi_acc_data_reject(why, -ERANGE,
					    "guest driver state of a live VF",
					    state, DATA_GUEST_READY);
	return hisi_acc_data_check_base(wire, "EQ ring", wire->eqc,
					wire->eqe_dma, why) ?:
	       hisi_acc_data_check_base(wire, "AEQ ring", wire->aeqc,
					wire->aeqe_dma, why);
}

/**
 * hisi_acc_vf_data_check() - check as much of the migration data as has arrived
 * @bytes: the migration data so far, aligned to HISI_ACC_DATA_ALIGN
 * @len: how much of it there is
 * @match: what it must agree with
 * @why: filled in when it is rejected
 *
 * The answer for a prefix holds for all data that begins with it, however
 * it was cut into writes.
 *
 * Return: 0 if it is valid so far, otherwise
 * -EBADMSG: other data, or not what was sent, or with an address
 * that is missing, misaligned or contradicts another;
 * -EPROTONOSUPPORT: a major version from the future;
 * -EOPNOTSUPP: of a VF that this one is not compatible with: another kind of
 * accelerator, version of the hardware, number of queues, layout of doorbells or
 * BAR layout;
 * -ERANGE: a value that the register or context cannot hold;
 * -EPROTO: a reserved word is in use;
 * -EFBIG: more bytes than migration data has.
 */
int hisi_acc_vf_data_check(const u8 *bytes, size_t len,
			   const struct hisi_acc_match *match,
			  struct hisi_acc_mismatch *why)
{
	const struct acc_vf_data *wire = (const struct acc_vf_data *)bytes;
	int err;

	if (len > sizeof(*wire))
		return hisi_acc_data_reject(why, -EFBIG, "length", len,
					    sizeof(*wire));
	if (len < HISI_ACC_MATCH_SIZE)
		return 0;
	err = hisi_acc_data_check_version(wire, why) ?:
	      hisi_acc_data_check_match(wire, match, why);
	if (err || len < sizeof(*wire))
		return err;
	return hisi_acc_data_check_body(wire, why);
}

/**
 * hisi_acc_vf_data_decode() - the fields of complete migration data
 * @bytes: the data, all of it valid for hisi_acc_vf_data_check(); aligned to
 *	HISI_ACC_DATA_ALIGN
 * @len: its length
 * @saved: where the fields go
 * @why: filled in when it is rejected
 *
 * Return: 0, or -ENODATA when the data is not complete. @saved is untouched
 * unless 0 is returned.
 */
int hisi_acc_vf_data_decode(const u8 *bytes, size_t len,
			    struct hisi_acc_saved *saved,
			   struct hisi_acc_mismatch *why)
{
	const struct acc_vf_data *wire = (const struct acc_vf_data *)bytes;
	bool whole = len == sizeof(*wire);

	if (!whole && (len != HISI_ACC_MATCH_SIZE || hisi_acc_data_minor(wire)))
		return hisi_acc_data_reject(why, -ENODATA, "length", len,
					    sizeof(*wire));

	*saved = (struct hisi_acc_saved) {
		.guest = whole ? hisi_acc_data_guest(wire) :
			 HISI_ACC_GUEST_NONE,
	};
	if (saved->guest == HISI_ACC_GUEST_NONE)
		return 0;
	/* Linux sends all bits of a register of which one is used */
	saved->aeq_int_mask = le32_to_cpu(wire->aeq_int_mask) & FLAG;
	saved->eq_int_mask = le32_to_cpu(wire->eq_int_mask) & FLAG;
	saved->ifc_int_source = le32_to_cpu(wire->ifc_int_source) & FLAG;
	saved->ifc_int_mask = le32_to_cpu(wire->ifc_int_mask) & FLAG;
	saved->page_size = le32_to_cpu(wire->page_size);
	hisi_acc_xqc_to_cpu(saved->eqc, wire->eqc);
	hisi_acc_xqc_to_cpu(saved->aeqc, wire->aeqc);
	saved->sqc_table = le64_to_cpu(wire->sqc_dma);
	saved->cqc_table = le64_to_cpu(wire->cqc_dma);
	if (hisi_acc_data_minor(wire))
		saved->pending_read = le32_to_cpu(wire->pending_read);
	return 0;
}

static void hisi_acc_xqc_to_wire(__le32 *wire, const u32 *words)
{
	memcpy(wire, words, HISI_ACC_XQC_WORDS * sizeof(*wire));
	cpu_to_le32_array((__force u32 *)wire, HISI_ACC_XQC_WORDS);
}

static void hisi_acc_match_to_wire(struct acc_vf_data *wire,
				   const struct hisi_acc_match *match)
{
	wire->magic = cpu_to_le64(DATA_MAGIC_V2);
	wire->qp_num = cpu_to_le32(match->qp_num);
	wire->dev_id = cpu_to_le32(match->dev_id);
	wire->que_iso_cfg = cpu_to_le32(match->que_iso_cfg);
	wire->qp_base = cpu_to_le32(match->qp_base);
	wire->guest_state = cpu_to_le32(DATA_GUEST_READY);
	wire->major = cpu_to_le16(DATA_MAJOR);
	wire->minor = cpu_to_le16(DATA_MINOR);
	wire->hw_version = cpu_to_le32(match->hw_version);
	wire->bar_layout = cpu_to_le32(match->bar_layout);
}

/**
 * hisi_acc_vf_data_encode_match() - encode what can be sent while the guest runs
 * @bytes: where it goes, the match part of it is written; aligned to
 *	HISI_ACC_DATA_ALIGN
 * @match: of the VF
 */
void hisi_acc_vf_data_encode_match(u8 bytes[HISI_ACC_DATA_SIZE],
				   const struct hisi_acc_match *match)
{
	hisi_acc_match_to_wire((struct acc_vf_data *)bytes, match);
}

/**
 * hisi_acc_vf_data_encode() - encode all migration data
 * @bytes: where it goes, all of it is written, the match part as
 *	hisi_acc_vf_data_encode_match() does; aligned as there
 * @saved: the state
 * @match: of the VF that it was read from
 */
void hisi_acc_vf_data_encode(u8 bytes[HISI_ACC_DATA_SIZE],
			     const struct hisi_acc_saved *saved,
			    const struct hisi_acc_match *match)
{
	struct acc_vf_data *wire = (struct acc_vf_data *)bytes;

	hisi_acc_match_to_wire(wire, match);
	memset(bytes + HISI_ACC_MATCH_SIZE, 0,
	       HISI_ACC_DATA_SIZE - HISI_ACC_MATCH_SIZE);
	wire->guest = cpu_to_le32(saved->guest == HISI_ACC_GUEST_UP ?
				  DATA_GUEST_UP : DATA_GUEST_DOWN);
	if (saved->guest != HISI_ACC_GUEST_NONE) {
		wire->aeq_int_mask = cpu_to_le32(saved->aeq_int_mask);
		wire->eq_int_mask = cpu_to_le32(saved->eq_int_mask);
		wire->ifc_int_source = cpu_to_le32(saved->ifc_int_source);
		wire->ifc_int_mask = cpu_to_le32(saved->ifc_int_mask);
		wire->page_size = cpu_to_le32(saved->page_size);
		hisi_acc_xqc_to_wire(wire->eqc, saved->eqc);
		hisi_acc_xqc_to_wire(wire->aeqc, saved->aeqc);
		if (saved->guest == HISI_ACC_GUEST_UP) {
			u64 eqe = hisi_acc_xqc_base(saved->eqc);
			u64 aeqe = hisi_acc_xqc_base(saved->aeqc);

			wire->eqe_dma = cpu_to_le64(eqe);
			wire->aeqe_dma = cpu_to_le64(aeqe);
		}
		wire->sqc_dma = cpu_to_le64(saved->sqc_table);
		wire->cqc_dma = cpu_to_le64(saved->cqc_table);
		wire->pending_read = cpu_to_le32(saved->pending_read);
	}
	wire->checksum = cpu_to_le32(hisi_acc_data_checksum(*wire));
}
