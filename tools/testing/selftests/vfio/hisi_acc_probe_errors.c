// SPDX-License-Identifier: GPL-2.0
/*
 * Experiments with errors of a VF, which may be errors of the whole device: its PF's
 * driver then resets it, with all VFs.
 */
#include <endian.h>
#include <errno.h>
#include <libgen.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/limits.h>

#include "hisi_acc_probe.h"

#define PF_BAR			0x400000
#define PF_ERRORS		0x100000	/* of the queue manager, a bit each */
#define PF_MIG_SELECT		0x100198	/* from V4 on: who has migration registers */
#define ERROR_READ		(1 << 0)
#define ERROR_OVERFLOW		(1 << 11)
#define ERROR_TAG		(1 << 12)
#define LOOKS			1000	/* for an error, one after the other */

#define NOWHERE			0xdead000000ull	/* not mapped, see probe_open() */

/* How long the PF's driver may take to see an error, and to reset the device */
#define ERROR_TIME		(10 * PROBE_SECOND)
#define RESET_TIME		(180 * PROBE_SECOND)

static volatile void *map_pf(struct probe_vf *vf)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/physfn", vf->bdf);
	len = readlink(path, target, sizeof(target) - 1);
	if (len <= 0)
		return NULL;
	target[len] = 0;
	return probe_map_sysfs(basename(target), PF_BAR);
}

/* Whether the PF shows an error, or has been reset because of it */
static bool error_shows(struct probe_vf *vf, volatile void *pf, u32 bit, u32 *errors)
{
	u64 end = probe_now() + ERROR_TIME;

	do {
		*errors = le32toh(*(volatile u32 *)(pf + PF_ERRORS));
		if (*errors & bit || probe_read(vf, QM_VF_STATE) & 1)
			return true;
		usleep(10000);
	} while (probe_now() < end);
	return false;
}

/* An error has been seen, after which the PF's driver may be resetting the device */
static bool reset_is_due;

/* Whether the device has been reset after the last error, or had none; waits once */
static bool reset_has_ended(struct probe_vf *vf)
{
	u64 end = probe_now() + RESET_TIME;
	bool due = reset_is_due;

	reset_is_due = false;
	while (due && probe_read(vf, QM_VF_STATE) != 1) {
		if (probe_now() > end)
			return false;
		usleep(10000);
	}
	return true;
}

/*
 * BAR2 of the PF, when the VF has a queue: after an error, this waits for the reset of
 * the device. NULL without access or queue, which is reported for name.
 */
static volatile void *prepare(struct probe_vf *vf, const char *name)
{
	volatile void *pf = map_pf(vf);

	reset_has_ended(vf);
	if (!pf) {
		report_unseen(name, "no access to the PF's BAR2 by sysfs");
	} else if (probe_set_up(vf, 1)) {
		report_unseen(name, "the VF cannot be set up");
		munmap((void *)pf, PF_BAR);
		pf = NULL;
	}
	return pf;
}

static bool report_error(struct probe_vf *vf, volatile void *pf, const char *name, u32 bit,
			 const char *what)
{
	u32 errors = 0;
	bool shows = error_shows(vf, pf, bit, &errors);

	reset_is_due |= shows;
	if (shows)
		report_value(name, "on", "after %s, 0x100000 of the PF read 0x%x, VF_STATE 0x%x",
			     what, errors, probe_read(vf, QM_VF_STATE));
	else
		report_value(name, "off", "%s was no error of the PF within 10 s", what);
	return shows;
}

/* A full CQ; its consumer reads nothing */
static void overflow(struct probe_vf *vf, struct probe_vf *other,
		     const struct probe_options *options)
{
	static const char name[] = "ras-overflow";
	volatile void *pf = prepare(vf, name);
	u64 end;

	if (!pf)
		return;
	probe_submit(vf, 0, PROBE_DEPTH - 1, vf->engine->brief);
	if (!probe_finish(vf, 0)) {
		report_unseen(name, "the queue is stuck before its CQ is full");
		munmap((void *)pf, PF_BAR);
		return;
	}
	probe_submit(vf, 0, 1, vf->engine->brief);
	for (end = probe_now() + vf->enough; probe_now() < end;)
		if (le32toh(READ_ONCE(vf->ram->aeq[0])) & EQE_PHASE)
			break;
	report_error(vf, pf, name, ERROR_OVERFLOW,
		     le32toh(vf->ram->aeq[0]) & EQE_PHASE ? "a full CQ, for which an event came" :
		     "a full CQ, for which no event came");
	munmap((void *)pf, PF_BAR);
}

/* What a reset of the device leaves of a register of the PF */
static void device_reset_ends(struct probe_vf *vf, volatile void *pf, u32 before)
{
	static const char name[] = "mig-regs-reset";
	u32 after;

	if (!reset_has_ended(vf)) {
		report_unseen(name, "the PF's driver does not reset the device within 180 s");
		return;
	}
	after = le32toh(*(volatile u32 *)(pf + PF_MIG_SELECT));
	report_value(name, after & 1 ? "keep" : "lost",
		     "0x100198 of the PF read 0x%x, and 0x%x after the reset", before, after);
}

/* A context out of reach */
static void bad_address(struct probe_vf *vf, struct probe_vf *other,
			const struct probe_options *options)
{
	static const char name[] = "ras", registers[] = "mig-regs-reset";
	volatile void *pf = prepare(vf, name);
	u64 nowhere = NOWHERE;
	char what[64];
	u32 before;
	int status;

	if (!pf) {
		report_unseen(registers, "see %s", name);
		return;
	}
	before = le32toh(*(volatile u32 *)(pf + PF_MIG_SELECT));
	status = probe_mailbox(vf, MB_SQC, 0, &nowhere);
	snprintf(what, sizeof(what), "a context out of reach (status %d)", status);
	if (!report_error(vf, pf, name, ERROR_READ, what))
		report_unseen(registers, "no error that resets the device");
	else if (!vf->version || !(before & 1))
		report_unseen(registers, "only from V4 on, where the PF has the registers");
	else
		device_reset_ends(vf, pf, before);
	munmap((void *)pf, PF_BAR);
}

/*
 * A doorbell whose tag is not that of its context. The PF's driver clears this error at
 * once, without a reset: it shows to who looks first, or not.
 */
static void wrong_tag(struct probe_vf *vf, struct probe_vf *other,
		      const struct probe_options *options)
{
	static const char name[] = "doorbell-tag", error[] = "ras-tag";
	volatile void *pf = prepare(vf, name);
	u32 errors = 0;
	bool taken;

	if (!pf) {
		report_unseen(error, "see %s", name);
		return;
	}
	probe_put(vf, 0, 1, vf->engine->brief);
	probe_doorbell(vf, 0, DB_SQ | DB_TAG(1), 1, 0);
	for (unsigned int i = 0; i < LOOKS && !(errors & ERROR_TAG); i++)
		errors = le32toh(*(volatile u32 *)(pf + PF_ERRORS));
	taken = probe_wait(vf, 0, 1, vf->enough);
	report_value(name, taken ? "taken" : "ignored",
		     "a doorbell with tag 1, where the context has 0, was %s",
		     taken ? "taken" : "ignored");
	if (errors & ERROR_TAG)
		report_value(error, "on", "after this doorbell 0x100000 of the PF read 0x%x",
			     errors);
	else
		report_unseen(error,
			      "no error shows, but the PF's driver may have cleared it: see its messages");
	munmap((void *)pf, PF_BAR);
}

/* A request that the engine does not know */
static void unknown_request(struct probe_vf *vf, struct probe_vf *other,
			    const struct probe_options *options)
{
	static const char name[] = "unknown-request";

	if (probe_set_up(vf, 1)) {
		report_failure(name, "the VF cannot be set up");
		return;
	}
	probe_put(vf, 0, 1, vf->engine->brief);
	vf->engine->spoil(vf->ram->sq[0]);
	probe_ring(vf, 0);
	if (!probe_finish(vf, 0))
		report_value(name, "stuck", "it is not done within 10 s");
	else
		report_value(name, vf->queue[0].failed ? "fails" : "done",
			     "a request of an algorithm that there is not was completed %s error",
			     vf->queue[0].failed ? "with an" : "without an");
}

static void report_status(const char *name, int status, const char *what)
{
	if (status == -ETIMEDOUT)
		report_value(name, "stuck", "%s is not done within 5 s", what);
	else
		report_value(name, status ? "refused" : "taken", "%s: status %d", what, status);
}

static void of_process(struct probe_vf *vf, struct probe_vf *other,
		       const struct probe_options *options)
{
	static const char name[] = "context-pasid";

	if (probe_set_up(vf, 0))
		report_failure(name, "the VF cannot be set up");
	else
		report_status(name, probe_set_sqc_of_process(vf, 0),
			      "a context with addresses of a process");
}

/* Commands of other drivers that none for VFs sends */
static void commands(struct probe_vf *vf, struct probe_vf *other,
		     const struct probe_options *options)
{
	static const struct {
		const char *name;
		const char *what;
		u32 command;
	} all[] = {
		{ "mailbox-close-qm", "command 7", 0x7 },
		{ "mailbox-flush-qp", "command 0xa", 0xa },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(all); i++) {
		if (probe_set_up(vf, 1))
			report_failure(all[i].name, "the VF cannot be set up");
		else
			report_status(all[i].name, probe_mailbox(vf, all[i].command, 0, NULL),
				      all[i].what);
	}
}

static const char may_reset[] = "the PF's driver may reset the device with all VFs";

const struct probe_experiment probe_error_experiments[] = {
	{ "mailbox-close-qm mailbox-flush-qp", commands, may_reset },
	{ "context-pasid", of_process, may_reset },
	{ "unknown-request", unknown_request, may_reset },
	{ "ras-overflow", overflow, may_reset },
	{ "ras mig-regs-reset", bad_address, may_reset },
	{ "doorbell-tag ras-tag", wrong_tag, may_reset },
	{}
};
