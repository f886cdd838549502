// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <string.h>
#include <unistd.h>

#include <linux/io.h>
#include <linux/log2.h>

#include "hisi_acc_probe.h"

/* Of requests that complete at all */
#define REQUEST_TIME	(10 * PROBE_SECOND)

#define SQC_PASID	(1 << 7)	/* in w11: addresses are those of a process */

void probe_doorbell(struct probe_vf *vf, unsigned int queue, u64 command, u64 index,
		    u64 priority)
{
	unsigned int offset = command == DB_EQ ? QM_DOORBELL_EQ_AEQ : QM_DOORBELL_SQ_CQ;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	writeq(queue | command << 12 | index << 32 | priority << 48,
	       vf->device->bars[2].vaddr + offset);
}

static int set_context(struct probe_vf *vf, u32 command, unsigned int queue,
		       const void *ring, struct xqc context)
{
	u64 base = probe_iova(vf, ring), address = probe_iova(vf, &vf->ram->context);

	context.base_l = htole32((u32)base);
	context.base_h = htole32(base >> 32);
	vf->ram->context = context;
	return probe_mailbox(vf, command, queue, &address);
}

static int set_sqc(struct probe_vf *vf, unsigned int queue, u16 w11)
{
	u32 order = ilog2(vf->engine->entry);

	vf->queue[queue] = (struct probe_queue) {};
	return set_context(vf, MB_SQC, queue, vf->ram->sq[queue], (struct xqc) {
		.dw3 = htole32((PROBE_DEPTH - 1) | order << 12),
		.w11 = htole16(w11),
		.sqc.cq_num = htole16(queue),
		.sqc.w13 = htole16(1 << 4 | vf->engine->queue_type << 8),
	});
}

int probe_set_sqc(struct probe_vf *vf, unsigned int queue)
{
	return set_sqc(vf, queue, 0);
}

int probe_set_sqc_of_process(struct probe_vf *vf, unsigned int queue)
{
	return set_sqc(vf, queue, SQC_PASID);
}

int probe_set_cqc(struct probe_vf *vf, unsigned int queue)
{
	memset(vf->ram->cq[queue], 0, sizeof(vf->ram->cq[queue]));
	return set_context(vf, MB_CQC, queue, vf->ram->cq[queue], (struct xqc) {
		.dw3 = htole32((PROBE_DEPTH - 1) | 4 << 12),
		.dw6 = htole32(1),
	});
}

static int set_events(struct probe_vf *vf, u32 command, const void *ring)
{
	return set_context(vf, command, 0, ring, (struct xqc) {
		.dw6 = htole32((HISI_ACC_DEPTH - 1) | EQE_PHASE),
	});
}

int probe_set_up(struct probe_vf *vf, unsigned int queues)
{
	struct probe_ram *ram = vf->ram;
	u64 sqc = probe_iova(vf, ram->sqc), cqc = probe_iova(vf, ram->cqc);
	int ret;

	probe_reset(vf);
	vf->used = true;
	/* all but the data */
	memset(ram, 0, offsetof(struct probe_ram, data));
	vf->engine->prepare(vf);
	ret = set_events(vf, MB_EQC, ram->eq) ?: set_events(vf, MB_AEQC, ram->aeq) ?:
	      probe_mailbox(vf, MB_SQC_BT, 0, &sqc) ?:
	      probe_mailbox(vf, MB_CQC_BT, 0, &cqc);
	for (unsigned int i = 0; i < queues && !ret; i++)
		ret = probe_set_sqc(vf, i) ?: probe_set_cqc(vf, i);
	probe_write(vf, QM_VF_STATE, 0);
	return ret;
}

void probe_put(struct probe_vf *vf, unsigned int queue, unsigned int count, u32 len)
{
	struct probe_queue *q = &vf->queue[queue];

	while (count--) {
		u32 at = q->sent++ % PROBE_DEPTH;

		vf->engine->fill(vf, vf->ram->sq[queue] + at * vf->engine->entry, len);
	}
}

void probe_ring(struct probe_vf *vf, unsigned int queue)
{
	probe_doorbell(vf, queue, DB_SQ, vf->queue[queue].sent % PROBE_DEPTH, 0);
}

void probe_resume(struct probe_vf *vf, unsigned int queue)
{
	probe_doorbell(vf, queue, DB_SQ, 0, 1);
}

void probe_submit(struct probe_vf *vf, unsigned int queue, unsigned int count, u32 len)
{
	probe_put(vf, queue, count, len);
	probe_ring(vf, queue);
}

u32 probe_done(struct probe_vf *vf, unsigned int queue)
{
	struct probe_queue *q = &vf->queue[queue];

	for (;;) {
		const struct cqe *cqe = &vf->ram->cq[queue][q->done % PROBE_DEPTH];
		u32 at;

		/* the phase turns with each round of the ring */
		if ((le16toh(READ_ONCE(cqe->w7)) & 1) == (q->done / PROBE_DEPTH % 2))
			return q->done;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		at = le16toh(cqe->sq_head) % PROBE_DEPTH;
		q->failed += vf->engine->failed(vf->ram->sq[queue] + at * vf->engine->entry);
		q->done++;
	}
}

bool probe_wait(struct probe_vf *vf, unsigned int queue, u32 done, u64 time)
{
	u64 end = probe_now() + time;

	while (probe_done(vf, queue) < done) {
		if (probe_now() > end)
			return probe_done(vf, queue) >= done;
		usleep(50);
	}
	return true;
}

bool probe_finish(struct probe_vf *vf, unsigned int queue)
{
	return probe_wait(vf, queue, vf->queue[queue].sent, REQUEST_TIME);
}

void probe_consume(struct probe_vf *vf, unsigned int queue, bool arm)
{
	probe_doorbell(vf, queue, DB_CQ, probe_done(vf, queue) % PROBE_DEPTH,
		       arm ? DB_ARM : 0);
}

u64 probe_duration(struct probe_vf *vf, u32 len)
{
	u64 start = probe_now();

	probe_submit(vf, 0, 1, len);
	if (!probe_finish(vf, 0) || vf->queue[0].failed)
		return 0;
	start = probe_now() - start;
	probe_consume(vf, 0, false);
	return start;
}
