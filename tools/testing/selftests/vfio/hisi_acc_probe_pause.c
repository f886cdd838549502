// SPDX-License-Identifier: GPL-2.0
/*
 * Experiments with PAUSE, which is what a migration driver stops a VF with: what it
 * does to requests, and what ends it.
 *
 * What does not happen is waited for as long as vf->enough, and is then made to
 * happen in another way: without that, it is not known why it did not.
 */
#include <string.h>
#include <unistd.h>

#include "hisi_acc_probe.h"

#define MANY		40	/* requests that a device is still working on afterwards */
#define TRIAL		2	/* requests before that in the engine, see prepare_results() */

static bool pause_vf(struct probe_vf *vf, const char *name)
{
	int status = probe_mailbox(vf, MB_PAUSE, 0, NULL);

	if (status)
		report_unseen(name, "PAUSE ended with %d", status);
	return !status;
}

static bool set_up(struct probe_vf *vf, unsigned int queues, const char *name)
{
	int status = probe_set_up(vf, queues);

	if (status)
		report_failure(name, "%u queues cannot be set up: %d", queues, status);
	return !status;
}

/* Requests in two queues, and a resume doorbell for the first */
static void kick_scope(struct probe_vf *vf, struct probe_vf *other,
		       const struct probe_options *options)
{
	static const char name[] = "kick-scope";
	u32 first, second, later;

	if (vf->queues < 2) {
		report_unseen(name, "the VF has one queue");
		return;
	}
	if (!set_up(vf, 2, name))
		return;
	probe_put(vf, 0, MANY, vf->engine->some);
	probe_put(vf, 1, MANY, vf->engine->some);
	probe_ring(vf, 0);
	probe_ring(vf, 1);
	if (!pause_vf(vf, name))
		return;
	first = probe_done(vf, 0);
	second = probe_done(vf, 1);
	if (first == MANY || second == MANY) {
		report_missed(name, "all %u requests were done before the pause", MANY);
		return;
	}
	if (probe_wait(vf, 0, first + 1, vf->enough) || probe_done(vf, 1) != second) {
		report_unseen(name, "requests are done during a pause");
		return;
	}
	probe_resume(vf, 0);
	if (!probe_finish(vf, 0)) {
		report_unseen(name, "the resume doorbell does not restart its queue");
		return;
	}
	if (probe_wait(vf, 1, second + 1, vf->enough)) {
		report_value(name, "function",
			     "queues 0 and 1 had %u and %u requests left at the pause; the resume doorbell of queue 0 restarted both",
			     MANY - first, MANY - second);
		return;
	}
	later = probe_done(vf, 1);
	probe_resume(vf, 1);
	if (!probe_finish(vf, 1)) {
		report_unseen(name,
			      "queue 1 does not restart, not by its own resume doorbell either");
		return;
	}
	report_value(name, "queue",
		     "queues 0 and 1 had %u and %u requests left at the pause; that of queue 0 left queue 1 at %u, its own restarted it",
		     MANY - first, MANY - second, later);
}

/* A request and its doorbell during a pause */
static void unpause(struct probe_vf *vf, struct probe_vf *other,
		    const struct probe_options *options)
{
	static const char name[] = "unpause", lost[] = "paused-doorbell";
	bool kept;

	if (!set_up(vf, 1, name) || !pause_vf(vf, name)) {
		report_unseen(lost, "see %s", name);
		return;
	}
	probe_submit(vf, 0, 1, vf->engine->brief);
	if (probe_wait(vf, 0, 1, vf->enough)) {
		report_value(name, "doorbell",
			     "a request was done during the pause, after an ordinary doorbell");
		report_unseen(lost, "an ordinary doorbell ends the pause");
		return;
	}
	probe_resume(vf, 0);
	kept = probe_wait(vf, 0, 1, vf->enough);
	probe_ring(vf, 0);
	if (!probe_finish(vf, 0)) {
		report_unseen(name, "the resume doorbell does not end the pause either");
		report_unseen(lost, "see %s", name);
		return;
	}
	report_value(name, "kick",
		     "a request waited for %lu us after an ordinary doorbell; after the resume doorbell it was done",
		     vf->enough / 1000);
	report_value(lost, kept ? "kept" : "lost", "after the resume doorbell the request %s",
		     kept ? "was done" : "needed another ordinary one");
}

/* How often each block of the data was encrypted: the least and the most often */
static void times_done(struct probe_vf *vf, u32 *least, u32 *most)
{
	struct probe_ram *ram = vf->ram;
	const u8 *once = ram->result, *twice = ram->result + PROBE_DATA;

	*least = 3;
	*most = 0;
	for (size_t at = 0; at < PROBE_DATA; at += 16) {
		const u8 *block = ram->data + at;
		u32 times = !memcmp(block, once + at, 16) ? 1 :
			    !memcmp(block, twice + at, 16) ? 2 : 0;

		*least = times < *least ? times : *least;
		*most = times > *most ? times : *most;
	}
}

/* The results of one and of two operations on the data, by the device itself */
static bool prepare_results(struct probe_vf *vf, u64 *duration)
{
	struct probe_ram *ram = vf->ram;
	u64 second;

	*duration = probe_duration(vf, vf->engine->lengthy);
	if (vf->engine->in_place)
		memcpy(ram->result, ram->data, PROBE_DATA);
	second = probe_duration(vf, vf->engine->lengthy);
	if (vf->engine->in_place)
		memcpy(ram->result + PROBE_DATA, ram->data, PROBE_DATA);
	vf->engine->prepare(vf);
	*duration = second < *duration ? second : *duration;
	return *duration && second;
}

static void report_repeated(struct probe_vf *vf, u32 completions)
{
	static const char name[] = "inflight-done";
	static const char *const often[] = { "never", "once", "twice" };
	u32 least, most;

	if (completions > 1) {
		report_value(name, "twice", "it completed %u times", completions);
	} else if (!vf->engine->in_place) {
		report_unseen(name,
			      "it completed %u times, but %s has no request of which it shows in the data",
			      completions, vf->engine->name);
	} else {
		times_done(vf, &least, &most);
		if (least == most)
			report_value(name, often[most],
				     "it completed %u times, and its data was encrypted %s",
				     completions, often[most]);
		else
			report_value(name, "partly",
				     "it completed %u times; parts of it were encrypted %s, others %s",
				     completions, often[least], often[most]);
	}
}

/* One long request that the engine works on when the pause comes, and its restart */
static void inflight(struct probe_vf *vf, struct probe_vf *other,
		     const struct probe_options *options)
{
	static const char name[] = "pause-inflight", again[] = "inflight-done";
	u64 duration, start, took;
	bool before, at_end;
	const char *value, *when;

	if (!set_up(vf, 1, name)) {
		report_unseen(again, "see %s", name);
		return;
	}
	if (!prepare_results(vf, &duration)) {
		report_unseen(name, "a request of %u bytes fails", vf->engine->lengthy);
		report_unseen(again, "see %s", name);
		return;
	}
	probe_submit(vf, 0, 1, vf->engine->lengthy);
	usleep(duration / 4000);
	before = probe_done(vf, 0) > TRIAL;
	start = probe_now();
	if (!pause_vf(vf, name)) {
		report_unseen(again, "see %s", name);
		return;
	}
	took = probe_now() - start;
	at_end = probe_done(vf, 0) > TRIAL;
	if (before) {
		report_missed(name, "the request was done before the pause");
		report_unseen(again, "see %s", name);
		return;
	}
	if (at_end) {
		value = "finish";
		when = "at its end";
	} else if (probe_wait(vf, 0, TRIAL + 1, 3 * duration + vf->enough)) {
		value = "continue";
		when = "later, during the pause";
	} else {
		value = "hold";
		when = "after a resume doorbell only";
	}
	probe_resume(vf, 0);
	if (!probe_finish(vf, 0)) {
		report_unseen(name, "the request is never done, although the queue was restarted");
		report_value(again, "never",
			     "a request that a pause met in the engine did not complete within 10 s of the restart");
		return;
	}
	report_value(name, value,
		     "a request that takes %lu us was paused after a quarter of it: PAUSE took %lu us, and the request was done %s",
		     duration / 1000, took / 1000, when);
	/* a second completion would come as late as the request takes */
	probe_wait(vf, 0, TRIAL + 2, 2 * duration + vf->enough);
	report_repeated(vf, probe_done(vf, 0) - TRIAL);
}

static void without_queues(struct probe_vf *vf, struct probe_vf *other,
			   const struct probe_options *options)
{
	static const char name[] = "pause-without-queues";
	u64 start;
	int status;

	probe_reset(vf);
	start = probe_now();
	status = probe_mailbox(vf, MB_PAUSE, 0, NULL);
	start = probe_now() - start;
	if (status < 0)
		report_value(name, "stuck", "the mailbox was busy for 5 s");
	else
		report_value(name, status ? "refused" : "done", "status %d after %lu us",
			     status, start / 1000);
}

const struct probe_experiment probe_pause_experiments[] = {
	{ "kick-scope", kick_scope },
	{ "unpause paused-doorbell", unpause },
	{ "pause-inflight inflight-done", inflight },
	{ "pause-without-queues", without_queues },
	{}
};
