// SPDX-License-Identifier: GPL-2.0-only
/*
 * For builds out of tree: hisi_qm_try_block_reset() and what undoes and extends it, for
 * kernels whose hisi_qm lacks them.
 *
 * The PF's driver resets the device, reassigns queues and changes bandwidth limits
 * under QM_RESETTING. All VFs of this driver that are being used hold that bit
 * once: the first user sets it, the last one clears it, so that they exclude the
 * PF's driver without excluding each other. A bit set by the PF's driver is never
 * cleared here.
 *
 * The PF's driver polls for the bit, after 1, 2, 3... and at last every 400 ms, and
 * fails after 80 s. Users that overlap could keep it out for ever. When the bit has
 * been held for BLOCK_MS, no more users may join, and after the last user it stays
 * clear for longer than that driver sleeps between two polls.
 */
#include <linux/cleanup.h>
#include <linux/hisi_acc_qm.h>
#include <linux/jiffies.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>

#include "compat_qm.h"

/*
 * After a time t the PF's driver polls at intervals of sqrt(2 t), in ms, and a tick
 * or two more.
 */
#define BLOCK_MS	300
#define LONG_BLOCK_MS	2000
#define PAUSE_MS	100	/* after a block of less than LONG_BLOCK_MS */
#define LONG_PAUSE_MS	450

/**
 * struct compat_qm - a device whose resets were blocked
 * @qm: of the PF; NULL for none
 * @blocks: number of users of the bit
 * @begun: in jiffies, when the bit was last set here
 * @left: in jiffies, when the bit was last cleared here
 * @fresh: not used yet, or the PF's driver held the bit since @left
 */
struct compat_qm {
	struct hisi_qm *qm;
	unsigned int blocks;
	unsigned long begun;
	unsigned long left;
	bool fresh;
};

/* More devices than a machine has: the least recently used entry is replaced */
#define DEVICES	64
static struct compat_qm compat_qms[DEVICES];
static DEFINE_MUTEX(compat_qm_lock);

/* The device's entry; NULL when all entries are in use */
static struct compat_qm *compat_qm_of(struct hisi_qm *qm)
{
	struct compat_qm *of = NULL;

	lockdep_assert_held(&compat_qm_lock);
	for (int i = 0; i < DEVICES; i++) {
		struct compat_qm *one = &compat_qms[i];

		if (one->qm == qm)
			return one;
		if (!one->blocks &&
		    (!of || (of->qm && (!one->qm ||
					time_before(one->left, of->left)))))
			of = one;
	}
	if (of)
		*of = (struct compat_qm) { .qm = qm, .fresh = true };
	return of;
}

static bool compat_qm_may_begin(const struct compat_qm *of)
{
	unsigned long block = of->left - of->begun;
	unsigned int pause = block > msecs_to_jiffies(LONG_BLOCK_MS) ?
			     LONG_PAUSE_MS : PAUSE_MS;

	lockdep_assert_held(&compat_qm_lock);
	return of->fresh ||
	       time_after(jiffies, of->left + msecs_to_jiffies(pause));
}

/**
 * compat_qm_try_block_reset() - hisi_qm_try_block_reset()
 * @qm: of the PF
 *
 * Return: true, to be undone by compat_qm_unblock_reset(); false while the PF's driver
 * holds the bit, or while it is kept clear for that driver.
 */
bool compat_qm_try_block_reset(struct hisi_qm *qm)
{
	struct compat_qm *of;

	guard(mutex)(&compat_qm_lock);
	of = compat_qm_of(qm);
	if (!of)
		return false;
	if (!of->blocks && compat_qm_may_begin(of))
		of->begun = jiffies;
	else if (time_after(jiffies, of->begun + msecs_to_jiffies(BLOCK_MS)))
		return false;
	if (!of->blocks && test_and_set_bit(QM_RESETTING, &qm->misc_ctl)) {
		of->fresh = true;
		return false;
	}
	of->fresh = false;
	of->blocks++;
	return true;
}

/**
 * compat_qm_extend_reset_block() - hisi_qm_extend_reset_block()
 * @qm: of the PF
 *
 * Return: true, to be undone by compat_qm_unblock_reset(); false if resets
 * are not blocked.
 */
bool compat_qm_extend_reset_block(struct hisi_qm *qm)
{
	struct compat_qm *of;

	guard(mutex)(&compat_qm_lock);
	of = compat_qm_of(qm);
	if (!of || !of->blocks)
		return false;
	of->blocks++;
	return true;
}

/**
 * compat_qm_unblock_reset() - hisi_qm_unblock_reset()
 * @qm: of the PF, whose resets the caller has blocked
 */
void compat_qm_unblock_reset(struct hisi_qm *qm)
{
	struct compat_qm *of;

	guard(mutex)(&compat_qm_lock);
	of = compat_qm_of(qm);
	if (--of->blocks)
		return;
	of->left = jiffies;
	clear_bit_unlock(QM_RESETTING, &qm->misc_ctl);
}
