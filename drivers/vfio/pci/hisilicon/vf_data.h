/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The migration data of one VF, as bytes.
 *
 * Nothing in this file touches a device, takes a lock or allocates: bytes and
 * match data go in, fields or an errno come out.
 */
#ifndef HISI_ACC_VF_DATA_H
#define HISI_ACC_VF_DATA_H

#include <linux/types.h>

#define HISI_ACC_MATCH_SIZE	40	/* enough to check compatibility */
#define HISI_ACC_DATA_SIZE	176
#define HISI_ACC_DATA_ALIGN	8
#define HISI_ACC_XQC_WORDS	7	/* of the 8 words of an EQC or AEQC */

/**
 * enum hisi_acc_bar_layout - BAR layout, as numbered in migration data
 * @HISI_ACC_BAR_HALF: the guest sees the lower half of the BAR
 * @HISI_ACC_BAR_WHOLE: the guest sees all of it
 */
enum hisi_acc_bar_layout {
	HISI_ACC_BAR_HALF = 1,
	HISI_ACC_BAR_WHOLE = 2,
};

/**
 * enum hisi_acc_mb_read - pending mailbox read: the guest's last command, whose answer
 * it may not have read when it was stopped; numbered as the command
 * @HISI_ACC_MB_READ_NOTHING: none
 * @HISI_ACC_MB_READ_SQC_TABLE: address of the table of submission queues
 * @HISI_ACC_MB_READ_CQC_TABLE: address of the table of completion queues
 * @HISI_ACC_MB_READ_QUEUES: queues that the VF owns
 * @HISI_ACC_MB_READ_MESSAGE: message of the PF; not in migration data, as it is
 *	another one's at the destination
 */
enum hisi_acc_mb_read {
	HISI_ACC_MB_READ_NOTHING = 0,
	HISI_ACC_MB_READ_SQC_TABLE = 4,
	HISI_ACC_MB_READ_CQC_TABLE = 5,
	HISI_ACC_MB_READ_QUEUES = 6,
	HISI_ACC_MB_READ_MESSAGE = 0xd,
};

/**
 * struct hisi_acc_match - match data: what migration data must agree with
 * @dev_id: PCI device id of the VF
 * @qp_num: queues that the VF owns
 * @que_iso_cfg: doorbell isolation of the whole device
 * @qp_base: first of the device's queues that belong to this VF; sent for
 *	debugging, never compared
 * @hw_version: of the whole device; the guest's driver goes by it
 * @bar_layout: how much of the BAR the guest sees
 *
 * Never taken from migration data.
 */
struct hisi_acc_match {
	u16 dev_id;
	u32 qp_num;
	u32 que_iso_cfg;
	u32 qp_base;
	u32 hw_version;
	enum hisi_acc_bar_layout bar_layout;
};

/**
 * enum hisi_acc_guest - what a guest's driver does with a VF
 * @HISI_ACC_GUEST_NONE: nothing since the last reset; no other field of the state
 *	has a meaning then
 * @HISI_ACC_GUEST_IDLE: it is being started, or was stopped: the VF holds what
 *	was set, some addresses may be 0, and no queue is active
 * @HISI_ACC_GUEST_UP: queues may be active
 */
enum hisi_acc_guest {
	HISI_ACC_GUEST_NONE,
	HISI_ACC_GUEST_IDLE,
	HISI_ACC_GUEST_UP,
};

/**
 * struct hisi_acc_saved - the saved state of a stopped VF
 * @guest: what the guest's driver did with it
 * @aeq_int_mask: AEQ interrupt mask
 * @eq_int_mask: EQ interrupt mask
 * @ifc_int_source: message pending from the PF
 * @ifc_int_mask: message interrupt mask
 * @page_size: code of the guest's page size
 * @eqc: words of the event queue's context
 * @aeqc: words of the asynchronous event queue's context
 * @sqc_table: IOVA of the table of submission queue contexts
 * @cqc_table: IOVA of the table of completion queue contexts
 * @pending_read: command whose answer the guest may not have read
 *
 * Queue contexts themselves are guest memory once they were written back.
 */
struct hisi_acc_saved {
	enum hisi_acc_guest guest;
	u32 aeq_int_mask;
	u32 eq_int_mask;
	u32 ifc_int_source;
	u32 ifc_int_mask;
	u32 page_size;
	u32 eqc[HISI_ACC_XQC_WORDS];
	u32 aeqc[HISI_ACC_XQC_WORDS];
	u64 sqc_table;
	u64 cqc_table;
	enum hisi_acc_mb_read pending_read;
};

/**
 * struct hisi_acc_mismatch - why migration data was rejected
 * @what: the field, for the log
 * @got: its value in the migration data
 * @want: the value that this VF requires, if that is a single one
 */
struct hisi_acc_mismatch {
	const char *what;
	u64 got;
	u64 want;
};

/**
 * hisi_acc_xqc_head() - first entry of a ring that was not consumed
 * @xqc: words of its context
 *
 * Return: the entry.
 */
static inline u16 hisi_acc_xqc_head(const u32 *xqc)
{
	return xqc[0];
}

/**
 * hisi_acc_xqc_base() - where a ring is
 * @xqc: words of its context
 *
 * Return: its IOVA.
 */
static inline u64 hisi_acc_xqc_base(const u32 *xqc)
{
	return (u64)xqc[2] << 32 | xqc[1];
}

bool hisi_acc_vf_data_is_mb_read(u32 value);
void hisi_acc_vf_data_encode_match(u8 bytes[HISI_ACC_DATA_SIZE],
				   const struct hisi_acc_match *match);
void hisi_acc_vf_data_encode(u8 bytes[HISI_ACC_DATA_SIZE],
			     const struct hisi_acc_saved *saved,
			    const struct hisi_acc_match *match);
int hisi_acc_vf_data_check(const u8 *bytes, size_t len,
			   const struct hisi_acc_match *match,
			  struct hisi_acc_mismatch *why);
int hisi_acc_vf_data_decode(const u8 *bytes, size_t len,
			    struct hisi_acc_saved *saved,
			   struct hisi_acc_mismatch *why);

#endif
