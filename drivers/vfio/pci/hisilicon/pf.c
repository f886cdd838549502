// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may use the registers of a physical function, and when.
 *
 * The driver of the physical function resets it, reassigns queues and changes
 * bandwidth limits under one bit of its own. All functions of ours that do
 * something together hold that bit once: the first to come sets it, the last
 * to leave clears it, so they exclude the physical function's driver without
 * excluding each other. Whoever did not set the bit never clears it.
 *
 * Nobody tells the physical function's driver that the bit is free: it looks
 * after 1, 2, 3... and at last 400 ms, and gives up for good after 80 s. Functions
 * that come and go one after the other could keep it out for ever. When they have
 * held the bit for a while, nobody may join, and after the last has left it stays
 * free for longer than that driver sleeps between two looks.
 */
#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/hisi_acc_qm.h>
#include <linux/jiffies.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "hisi_acc_vfio_pci.h"

/*
 * A spell of use is open to all for SPELL_MS, then ends when the last of them is
 * done. How far apart the driver's looks are after a time t is sqrt(2 t), and a
 * tick or two more.
 */
#define SPELL_MS	300
#define LONG_SPELL_MS	2000
#define REST_MS		100	/* after a spell of less than LONG_SPELL_MS */
#define LONG_REST_MS	450

/**
 * struct hisi_acc_pf - a physical function that has virtual ones bound to us
 * @entry: in the list of all of them
 * @ref: one for each bound virtual function
 * @qm: owned by the driver of the physical function, which outlives the
 *	binding of each of its virtual functions
 * @lock: protects all below
 * @claims: how many of ours rely on the bit
 * @begun: in jiffies, when the last spell of use began
 * @left: in jiffies, when the bit was last cleared by us
 * @fresh: nobody has used it, or its driver had it, since the last spell
 */
struct hisi_acc_pf {
	struct list_head entry;
	struct kref ref;
	struct hisi_qm *qm;
	struct mutex lock;	/* see above */
	unsigned int claims;
	unsigned long begun;
	unsigned long left;
	bool fresh;
};

static DEFINE_MUTEX(all_pfs_lock);
static LIST_HEAD(all_pfs);

/**
 * hisi_acc_pf_get() - the object that all functions of one device share
 * @qm: of the physical function
 *
 * Return: the object, to be given back by hisi_acc_pf_put() before the virtual
 * function is unbound, or NULL without memory.
 */
struct hisi_acc_pf *hisi_acc_pf_get(struct hisi_qm *qm)
{
	struct hisi_acc_pf *pf;

	guard(mutex)(&all_pfs_lock);
	list_for_each_entry(pf, &all_pfs, entry) {
		if (pf->qm == qm) {
			kref_get(&pf->ref);
			return pf;
		}
	}

	pf = kzalloc_obj(*pf, GFP_KERNEL);
	if (!pf)
		return NULL;
	kref_init(&pf->ref);
	mutex_init(&pf->lock);
	pf->qm = qm;
	pf->fresh = true;
	list_add(&pf->entry, &all_pfs);
	return pf;
}

static void pf_free(struct kref *ref)
{
	struct hisi_acc_pf *pf = container_of(ref, struct hisi_acc_pf, ref);

	list_del(&pf->entry);
	mutex_destroy(&pf->lock);
	kfree(pf);
}

/**
 * hisi_acc_pf_put() - undo hisi_acc_pf_get()
 * @pf: what it returned
 */
void hisi_acc_pf_put(struct hisi_acc_pf *pf)
{
	guard(mutex)(&all_pfs_lock);
	kref_put(&pf->ref, pf_free);
}

/**
 * hisi_acc_pf_qm() - what the physical function's driver knows of it
 * @pf: the physical function
 *
 * Return: the driver's own description, valid until hisi_acc_pf_put().
 */
struct hisi_qm *hisi_acc_pf_qm(struct hisi_acc_pf *pf)
{
	return pf->qm;
}

/**
 * hisi_acc_pf_pause() - sleep a little before the next look
 * @state: TASK_KILLABLE, or TASK_UNINTERRUPTIBLE for who has to go on
 *
 * Return: 0, or -EINTR when the caller was killed meanwhile.
 */
int hisi_acc_pf_pause(unsigned int state)
{
	usleep_range_state(1000, 2000, state);
	return signal_pending_state(state, current) ? -EINTR : 0;
}

static bool rested(const struct hisi_acc_pf *pf)
{
	unsigned long spell = pf->left - pf->begun;
	unsigned int rest = spell > msecs_to_jiffies(LONG_SPELL_MS) ?
			    LONG_REST_MS : REST_MS;

	lockdep_assert_held(&pf->lock);
	return pf->fresh ||
	       time_after(jiffies, pf->left + msecs_to_jiffies(rest));
}

/**
 * hisi_acc_pf_try_claim() - hisi_acc_pf_claim() that does not wait
 * @pf: the physical function
 *
 * Return: true with a claim, which hisi_acc_pf_release() gives back.
 */
bool hisi_acc_pf_try_claim(struct hisi_acc_pf *pf)
{
	guard(mutex)(&pf->lock);
	if (!pf->claims && rested(pf))
		pf->begun = jiffies;
	else if (time_after(jiffies, pf->begun + msecs_to_jiffies(SPELL_MS)))
		return false;
	if (!pf->claims && test_and_set_bit(QM_RESETTING, &pf->qm->misc_ctl)) {
		pf->fresh = true;
		return false;
	}
	pf->fresh = false;
	pf->claims++;
	return true;
}

/**
 * hisi_acc_pf_claim() - keep the device from being reset or reassigned
 * @pf: the physical function
 * @timeout_ms: how long to wait, for what its own driver does at the moment
 * @state: TASK_KILLABLE or TASK_UNINTERRUPTIBLE
 *
 * Context: no lock held that anybody waits for who has a claim: memory_lock or
 * state_mutex of a function. To be undone by hisi_acc_pf_release().
 * Return: 0, -EBUSY when the wait was too long, or -EINTR.
 */
int hisi_acc_pf_claim(struct hisi_acc_pf *pf, unsigned int timeout_ms,
		      unsigned int state)
{
	unsigned long end = jiffies + msecs_to_jiffies(timeout_ms);

	while (!hisi_acc_pf_try_claim(pf)) {
		if (time_after(jiffies, end))
			return -EBUSY;
		if (hisi_acc_pf_pause(state))
			return -EINTR;
	}
	return 0;
}

/**
 * hisi_acc_pf_join() - one more claim, where there is one already
 * @pf: the physical function
 *
 * For a reset that somebody asked for who holds a claim and waits for its end.
 *
 * Return: true with a claim, which hisi_acc_pf_release() gives back; false when
 * there is none to join.
 */
bool hisi_acc_pf_join(struct hisi_acc_pf *pf)
{
	guard(mutex)(&pf->lock);
	if (!pf->claims)
		return false;
	pf->claims++;
	return true;
}

/**
 * hisi_acc_pf_release() - give a claim back
 * @pf: the physical function
 */
void hisi_acc_pf_release(struct hisi_acc_pf *pf)
{
	guard(mutex)(&pf->lock);
	if (--pf->claims)
		return;
	pf->left = jiffies;
	clear_bit_unlock(QM_RESETTING, &pf->qm->misc_ctl);
}
