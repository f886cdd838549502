// SPDX-License-Identifier: GPL-2.0
/*
 * Experiments with contexts of queues: when the device writes them to the tables in
 * memory, and when it reads them there.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "hisi_acc_probe.h"

#define SEVERAL		20

/* What context_fetch() saw, without which the next says nothing */
static bool drops_contexts;

/* Whether the device has written an SQC to its place in the table */
static bool is_written(struct probe_vf *vf, unsigned int queue)
{
	static const struct xqc zeros;

	return memcmp((void *)&vf->ram->sqc[queue], &zeros, sizeof(zeros));
}

/*
 * Put a request into the ring of queue 0, and let its context in the table name a copy
 * of that. Returns the request in the copy, before gets it as it is now.
 */
static const u8 *divert(struct probe_vf *vf, u8 before[sizeof(struct sec_bd)])
{
	struct probe_ram *ram = vf->ram;
	u64 base = probe_iova(vf, ram->other_sq);
	u32 at = vf->queue[0].sent % PROBE_DEPTH * vf->engine->entry;

	probe_put(vf, 0, 1, vf->engine->brief);
	memcpy(before, ram->sq[0] + at, vf->engine->entry);
	memcpy(ram->other_sq, ram->sq[0], sizeof(ram->other_sq));
	ram->sqc[0].base_l = htole32((u32)base);
	ram->sqc[0].base_h = htole32(base >> 32);
	return ram->other_sq + at;
}

/*
 * A queue is written back, and its context in the table then points to another ring
 * with the same request: only a device that reads the table works on that one.
 */
static void context_fetch(struct probe_vf *vf, struct probe_vf *other,
			  const struct probe_options *options)
{
	static const char name[] = "context-fetch", drops[] = "write-back-drops";
	u8 before[sizeof(struct sec_bd)];
	const u8 *request;
	bool by_doorbell;

	if (probe_set_up(vf, 1) || !probe_duration(vf, vf->engine->brief) ||
	    probe_write_back(vf)) {
		report_unseen(name, "no request, or no write-back, works");
		report_unseen(drops, "see %s", name);
		return;
	}
	if (!is_written(vf, 0)) {
		report_unseen(name, "a write-back left the table as it was");
		report_unseen(drops, "see %s", name);
		return;
	}
	request = divert(vf, before);
	probe_ring(vf, 0);
	by_doorbell = probe_wait(vf, 0, 2, vf->enough);
	if (!by_doorbell) {
		probe_resume(vf, 0);
		if (!probe_wait(vf, 0, 2, vf->enough))
			probe_ring(vf, 0);
	}
	if (!probe_finish(vf, 0)) {
		report_unseen(name, "the queue does not restart, not by a resume doorbell either");
		report_unseen(drops, "see %s", name);
		return;
	}
	/* the result goes into the request */
	if (!memcmp(request, before, vf->engine->entry)) {
		report_unseen(name, "a device that keeps its contexts need not read them");
		report_value(drops, "no",
			     "after a write-back it worked on the ring of before, not on that of the table");
		return;
	}
	report_value(name, by_doorbell ? "doorbell" : "kick",
		     "after a write-back %s had the device read the table",
		     by_doorbell ? "an ordinary doorbell" :
		     "no ordinary doorbell, but the resume doorbell");
	report_value(drops, "yes",
		     "after a write-back the device worked on the ring that the table names");
	drops_contexts = true;
}

/*
 * The address of the table is set again after a write-back, and the context there then
 * changed: only a device that reads the table later works on the other ring.
 */
static void table_read(struct probe_vf *vf, struct probe_vf *other,
		       const struct probe_options *options)
{
	static const char name[] = "table-read";
	u64 table = probe_iova(vf, vf->ram->sqc);
	u8 before[sizeof(struct sec_bd)];
	const u8 *request;

	if (!drops_contexts) {
		report_unseen(name, "a device that keeps its contexts need not read them");
		return;
	}
	if (probe_set_up(vf, 1) || !probe_duration(vf, vf->engine->brief) ||
	    probe_write_back(vf) || probe_mailbox(vf, MB_SQC_BT, 0, &table)) {
		report_unseen(name, "no request, no write-back, or no second table works");
		return;
	}
	request = divert(vf, before);
	probe_resume(vf, 0);
	if (!probe_wait(vf, 0, 2, vf->enough))
		probe_ring(vf, 0);
	if (!probe_finish(vf, 0)) {
		report_unseen(name, "the queue does not restart");
		return;
	}
	if (memcmp(request, before, vf->engine->entry))
		report_value(name, "doorbell",
			     "the context in the table was changed after the table's address was set, and the device worked on what it names then");
	else
		report_value(name, "address",
			     "the device worked on the ring that the table named when its address was set");
}

/* Contexts in the tables without a write-back */
static void context_cache(struct probe_vf *vf, struct probe_vf *other,
			  const struct probe_options *options)
{
	static const char name[] = "context-cache";
	u32 queues = vf->queues < PROBE_QUEUES ? vf->queues : PROBE_QUEUES, written = 0;
	char value[16];

	if (probe_set_up(vf, 0)) {
		report_failure(name, "the VF cannot be set up");
		return;
	}
	for (u32 i = 0; i < queues; i++) {
		if (probe_set_sqc(vf, i) || probe_set_cqc(vf, i)) {
			report_failure(name, "the context of queue %u is refused", i);
			return;
		}
		probe_submit(vf, i, 1, vf->engine->brief);
		if (!probe_finish(vf, i)) {
			report_failure(name, "a request to queue %u is not done", i);
			return;
		}
		probe_consume(vf, i, false);
	}
	for (u32 i = 0; i < queues; i++)
		written += is_written(vf, i);
	snprintf(value, sizeof(value), "%u", written ? queues - written : 0);
	report_value(name, value,
		     "of %u queues that were used in turn, %u were in the table, without a write-back",
		     queues, written);
}

/* A write-back, twice, of a queue at work that is not paused */
static void busy_write_back(struct probe_vf *vf, struct probe_vf *other,
			    const struct probe_options *options)
{
	static const char name[] = "write-back-busy";
	u32 before, first, after;

	if (probe_set_up(vf, 1)) {
		report_failure(name, "the VF cannot be set up");
		return;
	}
	probe_submit(vf, 0, SEVERAL, vf->engine->some);
	before = probe_done(vf, 0);
	if (probe_write_back(vf)) {
		report_value(name, "stuck", "it is not done within 5 s");
		return;
	}
	first = probe_done(vf, 0);
	if (probe_write_back(vf)) {
		report_value(name, "stuck", "the second is not done within 5 s");
		return;
	}
	after = probe_done(vf, 0);
	if (first == SEVERAL) {
		report_missed(name, "all %u requests were done when the first ended", SEVERAL);
		return;
	}
	if (probe_finish(vf, 0)) {
		report_value(name, "continue",
			     "of %u requests %u were done before, %u after the first, %u after the second, and then all",
			     SEVERAL, before, first, after);
		return;
	}
	after = probe_done(vf, 0);
	probe_resume(vf, 0);
	report_value(name, probe_finish(vf, 0) ? "stop" : "lost",
		     "the queue stopped after %u of %u requests", after, SEVERAL);
}

/* What event queues were handed over with, and their rings, stay as they are */
static void event_contexts(struct probe_vf *vf, struct probe_vf *other,
			   const struct probe_options *options)
{
	static const char name[] = "write-back-events";
	struct probe_ram *ram = vf->ram;
	u64 address = probe_iova(vf, &ram->context);
	bool touched = false;

	if (probe_set_up(vf, 1)) {
		report_failure(name, "the VF cannot be set up");
		return;
	}
	/* the buffer that both were handed over in, the event queue last */
	ram->context.dw6 = htole32((HISI_ACC_DEPTH - 1) | EQE_PHASE);
	ram->context.base_l = htole32((u32)probe_iova(vf, ram->eq));
	ram->context.base_h = htole32(probe_iova(vf, ram->eq) >> 32);
	if (probe_mailbox(vf, MB_EQC, 0, &address)) {
		report_unseen(name, "an event queue is refused");
		return;
	}
	memset(&ram->context, 0xa5, sizeof(ram->context));
	if (probe_write_back(vf)) {
		report_unseen(name, "a write-back is not done");
		return;
	}
	for (unsigned int i = 0; i < sizeof(ram->context); i++)
		touched |= ((u8 *)&ram->context)[i] != 0xa5;
	report_value(name, touched ? "yes" : "no",
		     "the memory that an event queue was handed over in was %s",
		     touched ? "written" : "not written");
}

/* STOP_QP and FLUSH with requests, and what restarts a queue after it */
static void stop_queue(struct probe_vf *vf, u32 command, const char *drains,
		       const char *restart)
{
	bool by_doorbell, by_resume;
	u32 before, at_end;
	int status;

	if (probe_set_up(vf, 1)) {
		report_failure(drains, "the VF cannot be set up");
		report_unseen(restart, "see %s", drains);
		return;
	}
	probe_submit(vf, 0, SEVERAL, vf->engine->some);
	before = probe_done(vf, 0);
	status = probe_mailbox(vf, command, 0, NULL);
	at_end = probe_done(vf, 0);
	if (status) {
		report_unseen(drains, "the command ended with %d", status);
		report_unseen(restart, "see %s", drains);
		return;
	}
	if (before == SEVERAL) {
		report_missed(drains, "all %u requests were done before the command", SEVERAL);
		report_unseen(restart, "see %s", drains);
		return;
	}
	report_value(drains, at_end == SEVERAL ? "yes" : "no",
		     "of %u requests %u were done before, %u at its end", SEVERAL, before, at_end);
	if (at_end != SEVERAL && !probe_wait(vf, 0, SEVERAL, vf->enough)) {
		report_unseen(restart, "it does not empty the ring");
		return;
	}
	probe_submit(vf, 0, 1, vf->engine->brief);
	by_doorbell = probe_wait(vf, 0, SEVERAL + 1, vf->enough);
	probe_resume(vf, 0);
	by_resume = probe_wait(vf, 0, SEVERAL + 1, vf->enough);
	if (by_doorbell || by_resume) {
		report_value(restart, by_doorbell ? "doorbell" : "resume",
			     "a request after it was done after %s doorbell",
			     by_doorbell ? "an ordinary" : "the resume");
		return;
	}
	if (probe_set_sqc(vf, 0) || probe_set_cqc(vf, 0) ||
	    !probe_duration(vf, vf->engine->brief))
		report_unseen(restart, "nothing restarts the queue");
	else
		report_value(restart, "context",
			     "neither doorbell restarted it, but a new context");
}

/* The same command in a VF that is paused with requests */
static void stop_paused(struct probe_vf *vf, u32 command, const char *name)
{
	u32 before, after;
	int status;

	if (probe_set_up(vf, 1)) {
		report_failure(name, "the VF cannot be set up");
		return;
	}
	probe_submit(vf, 0, SEVERAL, vf->engine->some);
	if (probe_mailbox(vf, MB_PAUSE, 0, NULL)) {
		report_unseen(name, "PAUSE fails");
		return;
	}
	before = probe_done(vf, 0);
	if (before == SEVERAL) {
		report_missed(name, "all %u requests were done before the pause", SEVERAL);
		return;
	}
	status = probe_mailbox(vf, command, 0, NULL);
	after = probe_done(vf, 0);
	if (status == -ETIMEDOUT)
		report_value(name, "stuck", "in a pause it is not done within 5 s");
	else if (status)
		report_value(name, "refused", "in a pause it ended with %d", status);
	else
		report_value(name, after == before ? "nothing" :
			     after == SEVERAL ? "drains" : "some",
			     "of %u requests %u were done in the pause, %u at its end",
			     SEVERAL, before, after);
}

static void stop_qp_paused(struct probe_vf *vf, struct probe_vf *other,
			   const struct probe_options *options)
{
	stop_paused(vf, MB_STOP_QP, "stop-qp-paused");
}

static void flush_paused(struct probe_vf *vf, struct probe_vf *other,
			 const struct probe_options *options)
{
	stop_paused(vf, MB_FLUSH, "flush-paused");
}

static void stop_qp(struct probe_vf *vf, struct probe_vf *other,
		    const struct probe_options *options)
{
	stop_queue(vf, MB_STOP_QP, "stop-qp-drains", "stop-qp-restart");
}

static void flush(struct probe_vf *vf, struct probe_vf *other,
		  const struct probe_options *options)
{
	stop_queue(vf, MB_FLUSH, "flush-drains", "flush-restart");
}

const struct probe_experiment probe_context_experiments[] = {
	{ "context-fetch write-back-drops", context_fetch },
	{ "table-read", table_read },
	{ "context-cache", context_cache },
	{ "write-back-busy", busy_write_back },
	{ "write-back-events", event_contexts },
	{ "stop-qp-drains stop-qp-restart", stop_qp },
	{ "flush-drains flush-restart", flush },
	{ "stop-qp-paused", stop_qp_paused },
	{ "flush-paused", flush_paused },
	{}
};
