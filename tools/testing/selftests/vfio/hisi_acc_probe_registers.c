// SPDX-License-Identifier: GPL-2.0
/*
 * Experiments with registers, the mailbox and the layout of BAR2.
 */
#include <endian.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/limits.h>

#include "hisi_acc_probe.h"

#define HALF			0x8000	/* of a VF's BAR2, where it has two */
#define EQC			0x0
#define AEQC			0x20
#define MAX_VFS			63

/* of the PF */
#define PF_BAR			0x400000
#define PF_MIG_REGS		0x180000
#define PF_MIG_PITCH		0x2000
#define PF_MIG_EQC		0x1c00

#define READINGS		32

static const unsigned int masks[] = { QM_AEQ_INT_MASK, QM_EQ_INT_MASK, QM_IFC_INT_MASK };

static bool reads_back(struct probe_vf *vf, unsigned int offset)
{
	probe_write(vf, offset, 1);
	if ((probe_read(vf, offset) & 1) != 1)
		return false;
	probe_write(vf, offset, 0);
	return !(probe_read(vf, offset) & 1);
}

static void read_back(struct probe_vf *vf, struct probe_vf *other,
		      const struct probe_options *options)
{
	u32 good = 0;

	probe_reset(vf);
	report_value("vf-state-reads-back", reads_back(vf, QM_VF_STATE) ? "yes" : "no",
		     "1 and 0 were written to 0x%x and read", QM_VF_STATE);
	for (unsigned int i = 0; i < ARRAY_SIZE(masks); i++)
		good += reads_back(vf, masks[i]);
	report_value("masks-read-back", good == ARRAY_SIZE(masks) ? "yes" : "no",
		     "%u of 0x%x, 0x%x and 0x%x read as 1 and 0 were written", good,
		     masks[0], masks[1], masks[2]);
}

static void message_mask(struct probe_vf *vf, struct probe_vf *other,
			 const struct probe_options *options)
{
	static const char name[] = "message-mask-reset";
	u32 after;

	probe_reset(vf);
	probe_write(vf, QM_IFC_INT_MASK, 0);
	if (probe_read(vf, QM_IFC_INT_MASK) & 1) {
		report_unseen(name, "the mask does not read back");
		return;
	}
	probe_reset(vf);
	after = probe_read(vf, QM_IFC_INT_MASK);
	report_value(name, after & 1 ? "set" : "keep", "0x%x was 0, and reads 0x%x after an FLR",
		     QM_IFC_INT_MASK, after);
}

static void after_flr(struct probe_vf *vf, struct probe_vf *other,
		      const struct probe_options *options)
{
	static const char name[] = "after-flr", vft[] = "vft-after-flr";
	u64 before = 0, after = 0, sqc = 0, cqc = 0;
	char value[64];

	if (probe_set_up(vf, 1) || !probe_duration(vf, vf->engine->brief) ||
	    probe_mailbox(vf, MB_VFT | MB_GET, 0, &before)) {
		report_failure(name, "the VF cannot be set up");
		report_unseen(vft, "see %s", name);
		return;
	}
	probe_write(vf, QM_EQ_INT_MASK, 0);
	probe_write(vf, QM_AEQ_INT_MASK, 0);
	probe_write(vf, QM_PAGE_SIZE, 1);
	probe_reset(vf);
	if (probe_mailbox(vf, MB_SQC_BT | MB_GET, 0, &sqc) ||
	    probe_mailbox(vf, MB_CQC_BT | MB_GET, 0, &cqc) ||
	    probe_mailbox(vf, MB_VFT | MB_GET, 0, &after)) {
		report_unseen(name, "the mailbox fails after an FLR");
		report_unseen(vft, "see %s", name);
		return;
	}
	snprintf(value, sizeof(value), "state %u, masks %u %u, tables %s",
		 probe_read(vf, QM_VF_STATE) & 1, probe_read(vf, QM_AEQ_INT_MASK) & 1,
		 probe_read(vf, QM_EQ_INT_MASK) & 1, sqc || cqc ? "kept" : "none");
	report_value(name, value,
		     "VF_STATE and masks were 0 before; page size, which was 1: %u; messages: source %u, status %u, set %u; write-back %u, done %u; tables at 0x%lx and 0x%lx",
		     probe_read(vf, QM_PAGE_SIZE), probe_read(vf, QM_IFC_INT_SOURCE),
		     probe_read(vf, QM_IFC_INT_STATUS), probe_read(vf, QM_IFC_INT_SET),
		     probe_read(vf, QM_CACHE_WB_START), probe_read(vf, QM_CACHE_WB_DONE),
		     sqc, cqc);
	report_value(vft, after == before ? "kept" : "changed", "0x%lx, before 0x%lx",
		     after, before);
}

/* Whose command a narrow read of the mailbox shows, after one of another VF */
static void narrow_read(struct probe_vf *vf, struct probe_vf *other,
			const struct probe_options *options)
{
	static const char name[] = "mailbox-narrow-read";
	u32 own = 0, foreign = 0;

	if (!other) {
		report_unseen(name, "needs a second VF of the same accelerator");
		return;
	}
	if (probe_set_up(vf, 1) || probe_set_up(other, 1)) {
		report_failure(name, "a VF cannot be set up");
		return;
	}
	for (unsigned int i = 0; i < READINGS; i++) {
		u64 mine = 0, theirs = 0;
		u32 seen;

		if (probe_mailbox(vf, MB_SQC_BT | MB_GET, 0, &mine) ||
		    probe_mailbox(other, MB_CQC_BT | MB_GET, 0, &theirs)) {
			report_unseen(name, "the mailbox fails");
			return;
		}
		seen = probe_read(vf, QM_MAILBOX + 4);
		own += seen == (u32)mine;
		foreign += seen == (u32)theirs;
	}
	if (own != READINGS && !foreign)
		report_unseen(name, "%u of %u readings of 4 bytes were of neither VF",
			      READINGS - own, READINGS);
	else
		report_value(name, foreign ? "foreign" : "own",
			     "%u readings of 4 bytes showed the own command, %u that of %s",
			     own, foreign, other->bdf);
}

/* A command by narrower stores, and one by a store of 16 bytes */
static void narrow_store(struct probe_vf *vf, struct probe_vf *other,
			 const struct probe_options *options)
{
	static const char name[] = "mailbox-narrow-store";
	const u32 command[4] = { MB_VFT | MB_GET | MB_BUSY };
	u64 table = 0, seen = 0, vft = 0;
	int status;

	if (probe_set_up(vf, 1) || probe_mailbox(vf, MB_VFT | MB_GET, 0, &vft) ||
	    probe_mailbox(vf, MB_SQC_BT | MB_GET, 0, &table)) {
		report_failure(name, "the VF cannot be set up");
		return;
	}
	probe_narrow_store(vf, QM_MAILBOX, command, ARRAY_SIZE(command));
	status = probe_mailbox_end(vf, &seen);
	if (!status && seen == vft)
		report_value(name, "taken", "four stores of 4 bytes were a command");
	else if (!status && seen == table)
		report_value(name, "ignored",
			     "after four stores of 4 bytes the mailbox showed the command of before");
	else
		report_value(name, "other", "four stores of 4 bytes: status %d, data 0x%lx",
			     status, seen);
}

/* What the words of two event queues are, by the addresses of their rings */
static const char *event_words(struct probe_vf *vf, volatile void *at, char *text, size_t size)
{
	u32 eq, aeq, ones = 0;

	if (!at)
		return NULL;
	eq = le32toh(*(volatile u32 *)(at + EQC + 4));
	aeq = le32toh(*(volatile u32 *)(at + AEQC + 4));
	for (unsigned int i = 0; i < 7; i++)
		ones += *(volatile u32 *)(at + 4 * i) == ~0u;
	snprintf(text, size, "0x%x and 0x%x, the rings of its event queues are at 0x%lx and 0x%lx",
		 eq, aeq, probe_iova(vf, vf->ram->eq), probe_iova(vf, vf->ram->aeq));
	if (eq == (u32)probe_iova(vf, vf->ram->eq) && aeq == (u32)probe_iova(vf, vf->ram->aeq))
		return "event queues";
	return ones == 7 ? "nothing" : "other";
}

static void from_vf(struct probe_vf *vf)
{
	static const char name[] = "bar2-upper-half";
	u64 visible = vf->device->bars[2].info.size;
	volatile void *map = NULL, *upper;
	const char *value;
	char text[160];

	if (visible > HALF) {
		upper = vf->device->bars[2].vaddr + HALF;
	} else {
		map = probe_map_sysfs(vf->bdf, 2 * HALF);
		upper = map ? map + HALF : NULL;
	}
	value = event_words(vf, upper, text, sizeof(text));
	if (value)
		report_value(name, value, "%lu KiB by VFIO; 0x8004 and 0x8024, %s, read %s",
			     visible / 1024, map ? "by sysfs" : "by VFIO", text);
	else
		report_unseen(name,
			      "%s gives the user the lower half, and the kernel no access by sysfs",
			      vf->driver);
	if (map)
		munmap((void *)map, 2 * HALF);
}

/* Number of a VF, from 1, and the address of its PF; 0 if that is not to be found */
static unsigned int number_of(const char *bdf, char *pf, size_t size)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t len;

	for (unsigned int i = 0; i < MAX_VFS; i++) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/physfn/virtfn%u", bdf, i);
		len = readlink(path, target, sizeof(target) - 1);
		target[len > 0 ? len : 0] = 0;
		if (len <= 0 || strcmp(basename(target), bdf))
			continue;
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/physfn", bdf);
		len = readlink(path, target, sizeof(target) - 1);
		target[len > 0 ? len : 0] = 0;
		snprintf(pf, size, "%s", basename(target));
		return i + 1;
	}
	return 0;
}

/* V3 has nothing there, and what an access does then is not known */
static void from_pf(struct probe_vf *vf)
{
	static const char name[] = "pf-migration-registers";
	unsigned int number;
	volatile void *map;
	char pf[32], text[160];

	number = number_of(vf->bdf, pf, sizeof(pf));
	if (!vf->version) {
		report_unseen(name, "only from V4 on");
		return;
	}
	map = number ? probe_map_sysfs(pf, PF_BAR) : NULL;
	if (!map) {
		report_unseen(name, "the kernel gives no access to the PF's BAR2 by sysfs");
		return;
	}
	report_value(name, event_words(vf, map + PF_MIG_REGS + number * PF_MIG_PITCH + PF_MIG_EQC,
				       text, sizeof(text)),
		     "VF %u, the words of its rings' addresses read %s", number, text);
	munmap((void *)map, PF_BAR);
}

static void layout(struct probe_vf *vf, struct probe_vf *other,
		   const struct probe_options *options)
{
	if (probe_set_up(vf, 0)) {
		report_failure("bar2-upper-half", "the VF cannot be set up");
		report_unseen("pf-migration-registers", "see bar2-upper-half");
		return;
	}
	from_vf(vf);
	from_pf(vf);
}

/* What a VF cannot see at all */
static void unseen(struct probe_vf *vf, struct probe_vf *other,
		   const struct probe_options *options)
{
	report_unseen("bus-reopen", "what the PF's driver does after an error that stops all VFs");
}

const struct probe_experiment probe_register_experiments[] = {
	{ "vf-state-reads-back masks-read-back", read_back },
	{ "message-mask-reset", message_mask },
	{ "after-flr vft-after-flr", after_flr },
	{ "mailbox-narrow-read", narrow_read },
	{ "mailbox-narrow-store", narrow_store },
	{ "bar2-upper-half pf-migration-registers", layout },
	{ "bus-reopen", unseen },
	{}
};
