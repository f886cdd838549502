// SPDX-License-Identifier: GPL-2.0
/*
 * Experiments with doorbells that no driver rings.
 */
#include "hisi_acc_probe.h"

#define HANDED		(PROBE_DEPTH / 2)
#define KEPT		(HANDED / 2)

/* A doorbell by two stores, and by one */
static void narrow_doorbell(struct probe_vf *vf, struct probe_vf *other,
			    const struct probe_options *options)
{
	static const char name[] = "doorbell-narrow-store";
	const u32 doorbell[2] = { DB_SQ, 1 };

	if (probe_set_up(vf, 1)) {
		report_failure(name, "the VF cannot be set up");
		return;
	}
	probe_put(vf, 0, 1, vf->engine->brief);
	probe_narrow_store(vf, QM_DOORBELL_SQ_CQ, doorbell, ARRAY_SIZE(doorbell));
	if (probe_wait(vf, 0, 1, vf->enough)) {
		report_value(name, "taken", "two stores of 4 bytes were a doorbell");
		return;
	}
	probe_ring(vf, 0);
	if (probe_finish(vf, 0))
		report_value(name, "ignored",
			     "two stores of 4 bytes were none, one of 8 was a doorbell");
	else
		report_unseen(name, "a doorbell of 8 bytes afterwards does not work");
}

/*
 * The ring is full of requests, and half of it handed over. While the device works on
 * them, a doorbell takes back some that are pending.
 */
static void tail_back(struct probe_vf *vf, struct probe_vf *other,
		      const struct probe_options *options)
{
	static const char name[] = "doorbell-tail-back";
	u32 done;

	if (probe_set_up(vf, 1)) {
		report_failure(name, "the VF cannot be set up");
		return;
	}
	probe_put(vf, 0, PROBE_DEPTH, vf->engine->some);
	probe_doorbell(vf, 0, DB_SQ, HANDED, 0);
	probe_doorbell(vf, 0, DB_SQ, KEPT, 0);
	done = probe_done(vf, 0);
	if (done >= KEPT) {
		report_missed(name, "%u requests were done when some were taken back", done);
		return;
	}
	probe_wait(vf, 0, HANDED + 1, vf->enough + HANDED * vf->enough / 10);
	done = probe_done(vf, 0);
	report_value(name, done == HANDED ? "ignored" : done == KEPT ? "taken" :
		     done > HANDED ? "wraps" : "stuck",
		     "of %u requests all but %u were taken back while they were pending, and %u were done",
		     HANDED, KEPT, done);
}

const struct probe_experiment probe_doorbell_experiments[] = {
	{ "doorbell-narrow-store", narrow_doorbell },
	{ "doorbell-tail-back", tail_back,
	  "the PF's driver may reset the device with all VFs" },
	{}
};
