// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may use the registers of a physical function, and when.
 *
 * The driver of the physical function resets it, reassigns queues and changes
 * bandwidth limits under one bit of its own. All functions of ours that do
 * something together hold that bit once: the first to come sets it, the last
 * to leave clears it, so they exclude the physical function's driver without
 * excluding each other. Whoever did not set the bit never clears it.
 */
#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/hisi_acc_qm.h>
#include <linux/jiffies.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "hisi_acc_vfio_pci.h"

#define CLAIM_POLL_MS	2

/**
 * struct hisi_acc_pf - a physical function that has virtual ones bound to us
 * @entry: in the list of all of them
 * @ref: one for each bound virtual function
 * @qm: owned by the driver of the physical function, which outlives the
 *	binding of each of its virtual functions
 * @lock: protects @claims and the registers that access the function table
 * @claims: how many of ours rely on the bit
 */
struct hisi_acc_pf {
	struct list_head entry;
	struct kref ref;
	struct hisi_qm *qm;
	struct mutex lock;	/* see above */
	unsigned int claims;
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

/** hisi_acc_pf_put() - give back what hisi_acc_pf_get() returned */
void hisi_acc_pf_put(struct hisi_acc_pf *pf)
{
	guard(mutex)(&all_pfs_lock);
	kref_put(&pf->ref, pf_free);
}

/** hisi_acc_pf_qm() - the physical function's own description of itself */
struct hisi_qm *hisi_acc_pf_qm(struct hisi_acc_pf *pf)
{
	return pf->qm;
}

static bool try_claim(struct hisi_acc_pf *pf)
{
	guard(mutex)(&pf->lock);
	if (!pf->claims && test_and_set_bit(QM_RESETTING, &pf->qm->misc_ctl))
		return false;
	pf->claims++;
	return true;
}

/**
 * hisi_acc_pf_claim() - keep the device from being reset or reassigned
 * @pf: the physical function
 * @timeout_ms: how long to wait for what its own driver does at the moment
 *
 * Sleeps. To be undone by hisi_acc_pf_release().
 *
 * Return: 0, or -EBUSY when the wait was too long.
 */
int hisi_acc_pf_claim(struct hisi_acc_pf *pf, unsigned int timeout_ms)
{
	unsigned long end;

	if (try_claim(pf))
		return 0;
	end = jiffies + msecs_to_jiffies(timeout_ms);
	do {
		msleep(CLAIM_POLL_MS);
		if (try_claim(pf))
			return 0;
	} while (!time_after(jiffies, end));
	return -EBUSY;
}

/** hisi_acc_pf_release() - undo one hisi_acc_pf_claim() */
void hisi_acc_pf_release(struct hisi_acc_pf *pf)
{
	guard(mutex)(&pf->lock);
	if (!--pf->claims)
		clear_bit_unlock(QM_RESETTING, &pf->qm->misc_ctl);
}

/**
 * hisi_acc_pf_vft_lock() - become the one user of the function table registers
 * @pf: the physical function, claimed by the caller
 *
 * The claim keeps the physical function's driver out, the lock our other
 * functions.
 */
void hisi_acc_pf_vft_lock(struct hisi_acc_pf *pf)
{
	mutex_lock(&pf->lock);
}

/** hisi_acc_pf_vft_unlock() - undo hisi_acc_pf_vft_lock() */
void hisi_acc_pf_vft_unlock(struct hisi_acc_pf *pf)
{
	mutex_unlock(&pf->lock);
}
