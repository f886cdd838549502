// SPDX-License-Identifier: GPL-2.0-only
/*
 * For builds out of tree: hisi_qm_try_block_reset() and what belongs to it, for
 * kernels whose hisi_qm does not have it.
 *
 * The PF's driver resets the device, reassigns queues and changes bandwidth limits
 * under QM_RESETTING. All VFs of this driver that are being used hold that bit
 * once: the first user sets it, the last one clears it, so that they exclude the
 * PF's driver without excluding each other. Only who has set the bit clears it.
 *
 * The PF's driver polls for the bit, after 1, 2, 3... and at last every 400 ms, and
 * gives up for good after 80 s. Users that come and go could keep it out for ever.
 * When the bit has been held for SPELL_MS, nobody may join, and after the last
 * user it stays free for longer than that driver sleeps between two polls.
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
#define SPELL_MS	300
#define LONG_SPELL_MS	2000
#define REST_MS		100	/* after a spell of less than LONG_SPELL_MS */
#define LONG_REST_MS	450

/**
 * struct compat_qm - a device whose resets were blocked
 * @qm: of the PF; NULL for none
 * @blocks: how many rely on the bit
 * @begun: in jiffies, when the last spell of use began
 * @left: in jiffies, when the bit was last cleared by us
 * @fresh: nobody has used it, or its driver had it, since the last spell
 */
struct compat_qm {
	struct hisi_qm *qm;
	unsigned int blocks;
	unsigned long begun;
	unsigned long left;
	bool fresh;
};

/* More devices than a machine has: the one whose last use is longest ago goes */
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

static bool rested(const struct compat_qm *of)
{
	unsigned long spell = of->left - of->begun;
	unsigned int rest = spell > msecs_to_jiffies(LONG_SPELL_MS) ?
			    LONG_REST_MS : REST_MS;

	lockdep_assert_held(&compat_qm_lock);
	return of->fresh ||
	       time_after(jiffies, of->left + msecs_to_jiffies(rest));
}

/**
 * compat_qm_try_block_reset() - hisi_qm_try_block_reset()
 * @qm: of the PF
 *
 * Return: true, to be undone by compat_qm_unblock_reset(); false while the bit is
 * the driver's, or is kept free for it.
 */
bool compat_qm_try_block_reset(struct hisi_qm *qm)
{
	struct compat_qm *of;

	guard(mutex)(&compat_qm_lock);
	of = compat_qm_of(qm);
	if (!of)
		return false;
	if (!of->blocks && rested(of))
		of->begun = jiffies;
	else if (time_after(jiffies, of->begun + msecs_to_jiffies(SPELL_MS)))
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
 * Return: true, to be undone by compat_qm_unblock_reset(); false when nobody
 * blocks resets.
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
