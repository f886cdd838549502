// SPDX-License-Identifier: GPL-2.0
/*
 * How long commands, write-backs and resets take.
 */
#include <stdlib.h>

#include "hisi_acc_probe.h"

#define DRAINED		8	/* requests that a FLUSH waits for */

static bool command(struct probe_vf *vf, u32 number, const void *buffer, u64 *time)
{
	u64 data = buffer ? probe_iova(vf, buffer) : 0, start = probe_now();
	int status = probe_mailbox(vf, number, 0, &data);

	*time = probe_now() - start;
	return !status;
}

/* A command of the mailbox with nothing at work */
static void commands(struct probe_vf *vf, u64 *times, u32 rounds)
{
	struct probe_ram *ram = vf->ram;
	const struct {
		const char *name;
		u32 command;
		const void *buffer;
	} all[] = {
		{ "mailbox-get-sqc", MB_SQC | MB_GET, &ram->context },
		{ "mailbox-get-cqc", MB_CQC | MB_GET, &ram->context },
		{ "mailbox-get-eqc", MB_EQC | MB_GET, &ram->context },
		{ "mailbox-get-aeqc", MB_AEQC | MB_GET, &ram->context },
		{ "mailbox-get-sqc-table", MB_SQC_BT | MB_GET, NULL },
		{ "mailbox-get-cqc-table", MB_CQC_BT | MB_GET, NULL },
		{ "mailbox-get-vft", MB_VFT | MB_GET, NULL },
		{ "mailbox-set-sqc-table", MB_SQC_BT, ram->sqc },
		{ "mailbox-pause", MB_PAUSE, NULL },
		{ "mailbox-flush", MB_FLUSH, NULL },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(all); i++) {
		u32 done = 0;

		while (done < rounds && command(vf, all[i].command, all[i].buffer, &times[done]))
			done++;
		if (done == rounds)
			report_times(all[i].name, times, rounds);
		else
			report_unseen(all[i].name, "the command fails at round %u", done);
	}
}

static bool write_back(struct probe_vf *vf, u64 *time)
{
	bool done = !probe_set_sqc(vf, 0) && !probe_set_cqc(vf, 0);
	u64 start = probe_now();

	done = done && !probe_write_back(vf);
	*time = probe_now() - start;
	return done;
}

static bool drain(struct probe_vf *vf, u64 *time)
{
	bool done = !probe_set_sqc(vf, 0) && !probe_set_cqc(vf, 0);
	u64 start;

	probe_submit(vf, 0, DRAINED, vf->engine->brief);
	start = probe_now();
	done = done && !probe_mailbox(vf, MB_FLUSH, 0, NULL);
	*time = probe_now() - start;
	return done;
}

static bool flr(struct probe_vf *vf, u64 *time)
{
	u64 start = probe_now();

	vfio_pci_device_reset(vf->device);
	*time = probe_now() - start;
	return true;
}

static void measure(struct probe_vf *vf, const char *name, u64 *times, u32 rounds,
		    bool (*round)(struct probe_vf *vf, u64 *time))
{
	u32 done = 0;

	while (done < rounds && round(vf, &times[done]))
		done++;
	if (done == rounds)
		report_times(name, times, rounds);
	else
		report_unseen(name, "it fails at round %u", done);
}

#define ALL "mailbox-get-sqc mailbox-get-cqc mailbox-get-eqc mailbox-get-aeqc " \
	    "mailbox-get-sqc-table mailbox-get-cqc-table mailbox-get-vft " \
	    "mailbox-set-sqc-table mailbox-pause mailbox-flush write-back drain flr"

static void times(struct probe_vf *vf, struct probe_vf *other,
		  const struct probe_options *options)
{
	u64 *results = calloc_assert(options->rounds, sizeof(*results));

	/* if it cannot be set up, the commands fail, and are reported */
	probe_set_up(vf, 1);
	commands(vf, results, options->rounds);
	probe_set_up(vf, 1);
	measure(vf, "write-back", results, options->rounds, write_back);
	measure(vf, "drain", results, options->rounds, drain);
	measure(vf, "flr", results, options->rounds, flr);
	free(results);
}

const struct probe_experiment probe_time_experiments[] = {
	{ ALL, times },
	{}
};
