/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VF of the HiSilicon cipher engine SEC2: registers, contexts, requests, and the
 * state of its driver.
 */
#ifndef SELFTESTS_VFIO_HISI_ACC_H
#define SELFTESTS_VFIO_HISI_ACC_H

#include <assert.h>
#include <endian.h>

#include <linux/compiler.h>
#include <linux/sizes.h>
#include <linux/types.h>

#include <libvfio/iommu.h>

#include "registers.h"

#define DB_SQ			0
#define DB_CQ			1
#define DB_EQ			2
#define DB_ARM			1	/* as priority: an event at the next one */

/* Context of a queue's rings, as the mailbox takes it */
struct xqc {
	__le16 head;
	__le16 tail;
	__le32 base_l;
	__le32 base_h;
	__le32 dw3;		/* of queues: depth - 1 | log2(entry) << 12 */
	__le16 tag;
	__le16 rsv0[2];
	__le16 w11;
	union {
		struct {
			__le16 cq_num;
			__le16 w13;	/* order 4, algorithm type 8 */
		} sqc;
		__le32 dw6;	/* of a CQC: phase; of events: depth - 1 | phase << 16 */
	};
	__le32 rsv1;
};

struct cqe {
	__le32 rsv0[2];
	__le16 sq_head;
	__le16 sq_num;
	__le16 rsv1;
	__le16 w7;		/* phase in bit 0 */
};

#define EQE_PHASE		(1 << 16)

/* A request to the cipher engine, type 3 */
struct sec_bd {
	__le32 param;
	__le16 cipher;
	__u8 mode_alg;
	__u8 order;
	__le64 tag;
	__le64 src;
	__le64 rsv0[3];
	__le64 key;
	__le32 auth;
	__le32 rsv1[3];
	__le32 len;
	__le64 dst;
	__le64 mac;
	__le64 iv;
	__le32 rsv2[3];
	__le16 done;
	__u8 error;
	__u8 warning;
	__le32 rsv3[3];
} __packed __aligned(4);

#define SEC_BD_TYPE3		3
#define SEC_OWN_DST		(1 << 9)
#define SEC_ENCRYPT		1
#define SEC_DECRYPT		2
#define SEC_MODE_CTR		4
#define SEC_ALG_AES		(2 << 4)
#define SEC_CTR_128_BIT		(2 << 25)
#define SEC_DONE		1

#define HISI_ACC_DEPTH		256
#define HISI_ACC_COPIES		63
#define HISI_ACC_COPY		SZ_16K
#define HISI_ACC_QUEUES		1024

/*
 * The rings and tables of the device, and the state of the driver. At the start of
 * driver.region.
 */
struct hisi_acc_state {
	struct xqc context;
	u8 key[16];
	u8 iv[16];
	/* not read by the device */
	u32 sent;		/* requests ever */
	u32 done;		/* of them, completed and seen */
	u32 events;
	u32 copies;		/* whose second half is not submitted */
	u64 size;
	iova_t dst;
	/* not first: a ring at IOVA 0 is no ring */
	struct sec_bd sq[HISI_ACC_DEPTH] __aligned(4096);
	struct cqe cq[HISI_ACC_DEPTH];
	__le32 eq[HISI_ACC_DEPTH];
	__le32 aeq[HISI_ACC_DEPTH];
	struct xqc sqc[HISI_ACC_QUEUES];
	struct xqc cqc[HISI_ACC_QUEUES];
	u8 buffer[HISI_ACC_COPY] __aligned(4096);
} __aligned(4096);

/* Whether the device has finished the request of this number */
static inline bool hisi_acc_is_done(const struct hisi_acc_state *state, u32 number)
{
	const struct cqe *cqe = &state->cq[number % HISI_ACC_DEPTH];

	/* the phase turns with each round of the ring */
	return (le16toh(READ_ONCE(cqe->w7)) & 1) ==
	       !(number / HISI_ACC_DEPTH % 2);
}

static_assert(sizeof(struct xqc) == 32, "context");
static_assert(sizeof(struct cqe) == 16, "completion");
static_assert(sizeof(struct sec_bd) == 128, "request");
static_assert(__builtin_offsetof(struct sec_bd, done) == 112, "result");

#endif
