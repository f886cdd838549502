// SPDX-License-Identifier: GPL-2.0-only
/*
 * Access to the registers of a VF: locks, blocked resets of the PF, timeouts.
 *
 * To change the state of a VF, or to show it, requires three things: memory_lock of
 * vfio-pci-core, so that neither the power state nor a reset by ioctl makes the
 * registers inaccessible; state_mutex; and resets of the PF blocked. No caller waits
 * for the last with one of the locks held: on failure both are dropped before the
 * next try.
 *
 * Resets of the VF come with memory_lock or the lock of the device held. When
 * userspace requests one, this driver blocks resets of the PF before it calls the
 * core, and until the core has returned.
 */
#include <kunit/static_stub.h>
#include <linux/delay.h>
#include <linux/hisi_acc_qm.h>
#include <linux/jiffies.h>
#include <linux/lockdep.h>
#include <linux/pci.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/vfio_pci_core.h>

#include "hisi_acc_vfio_pci.h"

/*
 * How long to retry while the core returns -EAGAIN because the device lock is held.
 * A reset holds it briefly; unbind holds it until the user, who may be waiting here,
 * has closed the device.
 */
#define RETRY_MS	5000

/**
 * hisi_acc_access_pause() - sleep for 1 to 2 ms before the next try
 * @state: TASK_KILLABLE, or TASK_UNINTERRUPTIBLE for callers that must continue
 *
 * Return: 0, or -EINTR when the caller was killed meanwhile.
 */
int hisi_acc_access_pause(unsigned int state)
{
	usleep_range_state(1000, 2000, state);
	return signal_pending_state(state, current) ? -EINTR : 0;
}

/**
 * hisi_acc_access_block_reset() - keep the device from being reset or reassigned
 * @pf_qm: of the PF
 * @timeout_ms: how long to wait for its own driver
 * @state: TASK_KILLABLE or TASK_UNINTERRUPTIBLE
 *
 * Context: without memory_lock and state_mutex of any VF, which other callers take
 * with resets blocked. To be undone by hisi_qm_unblock_reset().
 * Return: 0, -EBUSY when the wait was too long, or -EINTR.
 */
int hisi_acc_access_block_reset(struct hisi_qm *pf_qm, unsigned int timeout_ms,
				unsigned int state)
{
	unsigned long end = jiffies + msecs_to_jiffies(timeout_ms);

	while (!hisi_qm_try_block_reset(pf_qm)) {
		if (time_after(jiffies, end))
			return -EBUSY;
		if (hisi_acc_access_pause(state))
			return -EINTR;
	}
	return 0;
}

/* Lets hisi_acc_access_reset_prepare() see that its caller blocks resets of the PF */
static void hisi_acc_access_begin_core_call(struct hisi_acc_vf *vf)
{
	atomic_inc(&vf->core_calls);
}

static void hisi_acc_access_end_core_call(struct hisi_acc_vf *vf)
{
	atomic_dec(&vf->core_calls);
}

/**
 * hisi_acc_access_lock() - take the locks around the state of a VF
 * @vf: the VF
 */
void hisi_acc_access_lock(struct hisi_acc_vf *vf)
{
	down_read(&vf->core.memory_lock);
	mutex_lock(&vf->state_mutex);
}

/**
 * hisi_acc_access_unlock() - undo hisi_acc_access_lock()
 * @vf: the VF
 */
void hisi_acc_access_unlock(struct hisi_acc_vf *vf)
{
	mutex_unlock(&vf->state_mutex);
	up_read(&vf->core.memory_lock);
}

/**
 * hisi_acc_access_try() - begin to use registers, without waiting
 * @vf: the VF, open
 * @block: whether registers will be used
 *
 * Context: under hisi_acc_access_lock().
 * Return: true; with @block, resets are blocked then.
 */
bool hisi_acc_access_try(struct hisi_acc_vf *vf, bool block)
{
	lockdep_assert_held(&vf->state_mutex);
	return !vf->resetting && (!block || hisi_qm_try_block_reset(vf->pf_qm));
}

/**
 * hisi_acc_access_begin() - begin to use registers
 * @vf: the VF
 * @timeout_ms: how long to wait
 *
 * Return: 0, to be undone by hisi_acc_access_end(); -EBUSY or -EINTR.
 */
int hisi_acc_access_begin(struct hisi_acc_vf *vf, unsigned int timeout_ms)
{
	unsigned long end = jiffies + msecs_to_jiffies(timeout_ms);

	for (;;) {
		hisi_acc_access_lock(vf);
		if (hisi_acc_access_try(vf, true))
			return 0;
		hisi_acc_access_unlock(vf);
		if (time_after(jiffies, end))
			return -EBUSY;
		if (hisi_acc_access_pause(TASK_KILLABLE))
			return -EINTR;
	}
}

/**
 * hisi_acc_access_end() - undo hisi_acc_access_begin()
 * @vf: the VF
 */
void hisi_acc_access_end(struct hisi_acc_vf *vf)
{
	hisi_qm_unblock_reset(vf->pf_qm);
	hisi_acc_access_unlock(vf);
}

/* After -EAGAIN; @end is 0 the first time, then until when */
static bool hisi_acc_access_retry(unsigned long *end)
{
	if (!*end)
		*end = jiffies + msecs_to_jiffies(RETRY_MS);
	return time_before(jiffies, *end) && !hisi_acc_access_pause(TASK_KILLABLE);
}

/**
 * hisi_acc_access_open() - open and reset a VF, with resets of the PF blocked
 * @vf: the VF
 * @init: called with the VF reset, and resets of the PF still blocked
 *
 * Return: 0 with the VF open, or -errno.
 */
int hisi_acc_access_open(struct hisi_acc_vf *vf,
			 int (*init)(struct hisi_acc_vf *vf))
{
	unsigned long end = 0;
	int err;

	do {
		err = hisi_acc_access_block_reset(vf->pf_qm, HISI_ACC_RESET_WAIT_MS,
						  TASK_KILLABLE);
		if (err)
			return err;
		hisi_acc_access_begin_core_call(vf);
		err = vfio_pci_core_enable(&vf->core);
		if (!err) {
			err = init(vf);
			if (err)
				vfio_pci_core_disable(&vf->core);
		}
		hisi_acc_access_end_core_call(vf);
		hisi_qm_unblock_reset(vf->pf_qm);
	} while (err == -EAGAIN && hisi_acc_access_retry(&end));
	return err;
}

/**
 * hisi_acc_access_close() - close and reset a VF, with resets of the PF blocked
 * @vf: the VF
 *
 * The core resets it without the calls around a reset.
 */
void hisi_acc_access_close(struct hisi_acc_vf *vf)
{
	int err = hisi_acc_access_block_reset(vf->pf_qm, HISI_ACC_RESET_WAIT_MS,
					      TASK_UNINTERRUPTIBLE);

	vfio_pci_core_close_device(&vf->core.vdev);
	if (!err)
		hisi_qm_unblock_reset(vf->pf_qm);
}

/*
 * Whether a reset has ended that began after @resets was read. The PCI core does not
 * report whether it reset the device.
 */
static bool hisi_acc_access_was_reset_since(struct hisi_acc_vf *vf,
					    unsigned int resets)
{
	int later = READ_ONCE(vf->resets) - (resets + (resets & 1));

	return later >= 2 && hisi_acc_pci_mem_enabled(vf);
}

static long hisi_acc_access_core_reset(struct hisi_acc_vf *vf,
				       unsigned long arg)
{
	KUNIT_STATIC_STUB_REDIRECT(hisi_acc_access_core_reset, vf, arg);
	return vfio_pci_core_ioctl(&vf->core.vdev, VFIO_DEVICE_RESET, arg);
}

/**
 * hisi_acc_access_reset() - VFIO_DEVICE_RESET
 * @vf: the VF
 * @arg: of the ioctl
 *
 * A VMM treats -EAGAIN, which the core returns while another reset is in progress, as
 * a fatal error. A user on the host who resets the VF in a loop may keep the core from
 * its lock for ever: one of these resets, begun after this call, counts as this one.
 *
 * Return: what vfio_pci_core_ioctl() does, or -EINTR.
 */
long hisi_acc_access_reset(struct hisi_acc_vf *vf, unsigned long arg)
{
	unsigned int resets = READ_ONCE(vf->resets);
	unsigned long end = 0;
	long ret;
	int err;

	do {
		err = hisi_acc_access_block_reset(vf->pf_qm, HISI_ACC_RESET_WAIT_MS,
						  TASK_KILLABLE);
		if (err == -EINTR)
			return err;
		hisi_acc_access_begin_core_call(vf);
		ret = hisi_acc_access_core_reset(vf, arg);
		if (ret == -EAGAIN &&
		    hisi_acc_access_was_reset_since(vf, resets))
			ret = 0;
		hisi_acc_access_end_core_call(vf);
		if (!err)
			hisi_qm_unblock_reset(vf->pf_qm);
	} while (ret == -EAGAIN && hisi_acc_access_retry(&end));
	return ret;
}

/*
 * Bus mastering of a VF that was stopped by disabling it stays off, whatever its user
 * writes; after the restart it is as its user wrote it last.
 */
static void hisi_acc_access_keep_dma_disabled(struct hisi_acc_vf *vf)
{
	guard(mutex)(&vf->state_mutex);
	if (vf->dma_disabled)
		vf->dma_disabled = hisi_acc_pci_disable_dma(vf);
}

/**
 * hisi_acc_access_config_write() - a write to configuration space
 * @vf: the VF
 * @buf: what to write
 * @count: how much
 * @ppos: where
 *
 * These VFs have one way to be reset from there: the bit in the second byte
 * of Device Control. Any other write must not wait: a guest's driver restores its
 * configuration space while the PF's driver, in a reset, waits for it. Userspace
 * that sets the bit after it was checked here gets a reset that waits in
 * hisi_acc_access_reset_prepare(), with memory_lock of this VF held.
 *
 * Return: what vfio_pci_core_write() does, -EFAULT or -EINTR.
 */
ssize_t hisi_acc_access_config_write(struct hisi_acc_vf *vf,
				     const char __user *buf, size_t count,
				     loff_t *ppos)
{
	u64 control = vf->core.pdev->pcie_cap + PCI_EXP_DEVCTL + 1;
	u64 offset = *ppos & VFIO_PCI_OFFSET_MASK;
	ssize_t ret;
	u8 byte = 0;
	int err;

	if (offset <= control && offset + count > control &&
	    get_user(byte, (const u8 __user *)buf + (control - offset)))
		return -EFAULT;
	if (!(byte & (PCI_EXP_DEVCTL_BCR_FLR >> 8))) {
		ret = vfio_pci_core_write(&vf->core.vdev, buf, count, ppos);
		if (offset <= PCI_COMMAND && offset + count > PCI_COMMAND)
			hisi_acc_access_keep_dma_disabled(vf);
		return ret;
	}
	err = hisi_acc_access_block_reset(vf->pf_qm, HISI_ACC_RESET_WAIT_MS,
					  TASK_KILLABLE);
	if (err == -EINTR)
		return err;
	hisi_acc_access_begin_core_call(vf);
	ret = vfio_pci_core_write(&vf->core.vdev, buf, count, ppos);
	hisi_acc_access_end_core_call(vf);
	if (!err)
		hisi_qm_unblock_reset(vf->pf_qm);
	return ret;
}

/**
 * hisi_acc_access_reset_prepare() - stop using the registers before a reset
 * @vf: the VF
 *
 * Resets of a VF come one at a time: the core holds the lock of its device.
 * Those that came through this driver block resets of the PF already.
 *
 * When the PF stays busy for too long, the reset goes on all the same: it may be
 * a VMM's last resort.
 */
void hisi_acc_access_reset_prepare(struct hisi_acc_vf *vf)
{
	if (atomic_read(&vf->core_calls))
		vf->blocks_others = hisi_qm_extend_reset_block(vf->pf_qm);
	else
		vf->blocks_others =
			!hisi_acc_access_block_reset(vf->pf_qm,
						     HISI_ACC_RESET_WAIT_MS,
						     TASK_UNINTERRUPTIBLE);
	if (!vf->blocks_others)
		pci_warn(vf->core.pdev, "reset although its physical function is busy\n");

	guard(mutex)(&vf->state_mutex);
	vf->resetting = true;
	WRITE_ONCE(vf->resets, vf->resets + 1);
}

/**
 * hisi_acc_access_reset_done() - the reset is over
 * @vf: the VF
 *
 * A reset always leads to RUNNING. Migration files of before answer -ENODEV.
 */
void hisi_acc_access_reset_done(struct hisi_acc_vf *vf)
{
	scoped_guard(mutex, &vf->state_mutex) {
		vf->resetting = false;
		hisi_acc_migrate_start_over(vf);
		WRITE_ONCE(vf->resets, vf->resets + 1);
	}
	if (vf->blocks_others)
		hisi_qm_unblock_reset(vf->pf_qm);
	vf->blocks_others = false;
}
