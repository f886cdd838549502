// SPDX-License-Identifier: GPL-2.0
/*
 * Experiments with doorbells that no driver rings.
 */
#include "hisi_acc_probe.h"

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
 * The ring is full of requests. Of four that are done, a doorbell takes back two: as
 * an index of the ring alone, it hands over all but two.
 */
static void tail_back(struct probe_vf *vf, struct probe_vf *other,
		      const struct probe_options *options)
{
	static const char name[] = "doorbell-tail-back";

	if (probe_set_up(vf, 1)) {
		report_failure(name, "the VF cannot be set up");
		return;
	}
	probe_put(vf, 0, PROBE_DEPTH, vf->engine->brief);
	probe_doorbell(vf, 0, DB_SQ, 4, 0);
	if (!probe_wait(vf, 0, 4, 10 * PROBE_SECOND)) {
		report_failure(name, "four requests are not done");
		return;
	}
	probe_consume(vf, 0, false);
	probe_doorbell(vf, 0, DB_SQ, 2, 0);
	if (probe_wait(vf, 0, 5, vf->enough)) {
		report_value(name, "wraps",
			     "of four requests two were taken back, and the device did the rest of the ring");
		return;
	}
	probe_doorbell(vf, 0, DB_SQ, 6, 0);
	if (probe_wait(vf, 0, 6, 10 * PROBE_SECOND))
		report_value(name, "ignored",
			     "of four requests two were taken back, which did nothing; two more were then done");
	else
		report_value(name, "stuck",
			     "of four requests two were taken back, and two more are not done");
}

const struct probe_experiment probe_doorbell_experiments[] = {
	{ "doorbell-narrow-store", narrow_doorbell },
	{ "doorbell-tail-back", tail_back,
	  "the PF's driver may reset the device with all VFs" },
	{}
};
