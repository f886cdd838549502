// SPDX-License-Identifier: GPL-2.0
/*
 * Experiments with errors of a VF, which may be errors of the whole device: its PF's
 * driver then resets it, with all VFs.
 */
#include <endian.h>
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

static bool report_error(struct probe_vf *vf, volatile void *pf, const char *name, u32 bit,
			 const char *what)
{
	u32 errors = 0;
	bool shows = error_shows(vf, pf, bit, &errors);

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
	volatile void *pf = map_pf(vf);
	u64 end;

	if (!pf || probe_set_up(vf, 1)) {
		report_unseen(name,
			      "no access to the PF's BAR2 by sysfs, or the VF cannot be set up");
		return;
	}
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
	u64 end = probe_now() + RESET_TIME;
	u32 after;

	while (probe_read(vf, QM_VF_STATE) != 1)
		if (probe_now() > end) {
			report_unseen(name,
				      "the PF's driver does not reset the device within 180 s");
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
	volatile void *pf = map_pf(vf);
	u64 nowhere = NOWHERE;
	char what[64];
	u32 before;
	int status;

	if (!pf || probe_set_up(vf, 1)) {
		report_unseen(name,
			      "no access to the PF's BAR2 by sysfs, or the VF cannot be set up");
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

const struct probe_experiment probe_error_experiments[] = {
	{ "ras-overflow", overflow, "the PF's driver may reset the device with all VFs" },
	{ "ras mig-regs-reset", bad_address, "the PF's driver may reset the device with all VFs" },
	{}
};
