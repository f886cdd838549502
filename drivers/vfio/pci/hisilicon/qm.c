// SPDX-License-Identifier: GPL-2.0-only
/*
 * The queue manager of one VF, from the host's side: stop it, save and load its
 * state, restart it.
 *
 * What the state consists of, and where it is while the VF is stopped:
 * - queue contexts: in guest memory, once the device has written its cache
 *   back, so write-back has to come before the last dirty pages are sent;
 * - the tables of these contexts: their addresses, set by mailbox;
 * - the two event queues: seven words each of migration registers;
 * - a handful of plain registers.
 *
 * PAUSE stops a VF until a submission queue's doorbell of high priority makes it
 * read its contexts again. That doorbell must not be rung if the guest's driver is
 * not up: the tables may then be memory that the guest has freed. Such a VF has no
 * active queue. It is not paused: its bus mastering is disabled, and its registers
 * are migrated as they are. Some hardware may reset a VF for that: Linux' driver of
 * HPRE turns such resets off, on hardware of version 2. So they are read before.
 *
 * VF_STATE shows that the driver is up, but not that it is down: Linux before 5.18
 * does not write it, later versions write it last. A driver is also up if all four
 * addresses are set and an interrupt is not masked. Linux masks both to stop.
 */
#include <kunit/static_stub.h>
#include <linux/bitfield.h>
#include <linux/lockdep.h>
#include <linux/pci.h>
#include <linux/time64.h>

#include "qm.h"

/* Registers of a VF that only stopping needs */
#define QM_CACHE_WB_START	0x0204
#define QM_CACHE_WB_DONE	0x0208

/* Registers of the PF */
#define QM_ABNORMAL_INT_STATUS	0x100008

/* Mailbox */
#define QM_MB_CMD_PAUSE		0xe
#define QM_MB_STATUS		GENMASK_ULL(12, 9)
#define QM_MB_GET		BIT_ULL(QM_MB_OP_SHIFT)
#define QM_MB_CMD		GENMASK_ULL(7, 0)
#define QM_MB_QUEUE		GENMASK_ULL(31, 16)
#define QM_MB_BASE_L		GENMASK_ULL(63, 32)

#define MAILBOX_IDLE_US		(10 * USEC_PER_MSEC)
#define MAILBOX_DONE_US		USEC_PER_SEC
/*
 * For commands that wait for requests in the engine. The device has a timeout of its
 * own for them, which is longer than a second and shorter than this: see
 * QM_MB_MAX_STOP_TIMEOUT in hisi_qm.
 */
#define MAILBOX_STOP_US		(5 * USEC_PER_SEC)
#define ERROR_US		(200 * USEC_PER_MSEC)
#define WRITE_BACK_US		(10 * USEC_PER_MSEC)

/* Mailbox */

static bool hisi_acc_qm_mailbox_done(struct mailbox mb)
{
	return !(mb.lo & QM_MB_BUSY);
}

static u64 hisi_acc_qm_mailbox_timeout(u64 timeout_us)
{
	KUNIT_STATIC_STUB_REDIRECT(hisi_acc_qm_mailbox_timeout, timeout_us);
	return timeout_us;
}

static int hisi_acc_qm_mailbox_wait(struct hisi_acc_regs *regs,
				    struct mailbox *mb, u64 timeout_us)
{
	u64 end = 0;

	do {
		*mb = hisi_acc_qm_mailbox_load(regs);
		if (hisi_acc_qm_mailbox_done(*mb))
			return 0;
	} while (hisi_acc_qm_spin(&end));
	return read_poll_timeout(hisi_acc_qm_mailbox_load, *mb,
				 hisi_acc_qm_mailbox_done(*mb), SLEEP_US,
				 hisi_acc_qm_mailbox_timeout(timeout_us), false,
				 regs);
}

/* Where no command is in progress, unless it has timed out */
static int hisi_acc_qm_mailbox_idle(struct hisi_acc_regs *regs,
				    struct mailbox *mb)
{
	return hisi_acc_qm_mailbox_wait(regs, mb, MAILBOX_IDLE_US);
}

static int hisi_acc_qm_mailbox_run(struct hisi_acc_vf *vf, u64 cmd, u64 *base)
{
	struct hisi_acc_regs *regs = &vf->regs;
	struct mailbox mb = {
		.lo = cmd | QM_MB_BUSY |
		      FIELD_PREP(QM_MB_BASE_L, lower_32_bits(*base)),
		.hi = upper_32_bits(*base),
	};
	struct mailbox before;
	int err;

	err = vf->mailbox_hung ? hisi_acc_qm_mailbox_idle(regs, &before) : 0;
	if (err)
		return err;
	hisi_acc_qm_mailbox_store(regs, mb);
	err = hisi_acc_qm_mailbox_wait(regs, &mb, cmd == QM_MB_CMD_PAUSE ?
				       MAILBOX_STOP_US : MAILBOX_DONE_US);
	vf->mailbox_hung = err;
	if (err)
		return err;
	if (mb.lo & QM_MB_STATUS)
		return -EIO;
	*base = mb.hi << 32 | FIELD_GET(QM_MB_BASE_L, mb.lo);
	return 0;
}

static int hisi_acc_qm_mailbox_set(struct hisi_acc_vf *vf, u64 cmd, u64 base)
{
	return hisi_acc_qm_mailbox_run(vf, cmd, &base);
}

static int hisi_acc_qm_mailbox_get(struct hisi_acc_vf *vf, u64 cmd, u64 *base)
{
	*base = 0;
	return hisi_acc_qm_mailbox_run(vf, cmd | QM_MB_GET, base);
}

/**
 * hisi_acc_qm_read_queues() - read which queues a VF owns
 * @vf: the VF, its registers mapped, with no guest on it
 * @queues: the answer, 0 for none
 *
 * Return: 0, -ETIMEDOUT or -EIO.
 */
int hisi_acc_qm_read_queues(struct hisi_acc_vf *vf, u64 *queues)
{
	struct mailbox mb;

	return hisi_acc_qm_mailbox_idle(&vf->regs, &mb) ?:
	       hisi_acc_qm_mailbox_get(vf, QM_MB_CMD_SQC_VFT_V2, queues);
}

/*
 * The guest may also have been stopped after the device's answer and before reading
 * it. Commands of this driver overwrite an answer that is in registers, so such a
 * command is replayed before the guest goes on. Of all other commands the guest reads
 * only that they are done.
 */
static enum hisi_acc_mb_read hisi_acc_qm_pending_read(struct mailbox mb)
{
	u32 cmd = FIELD_GET(QM_MB_CMD, mb.lo);

	/* Linux before 7.2 did not set the read bit of this command */
	if (cmd == HISI_ACC_MB_READ_MESSAGE && !(mb.lo & QM_MB_QUEUE))
		return cmd;
	if (!(mb.lo & QM_MB_GET) || mb.lo & QM_MB_QUEUE ||
	    !hisi_acc_vf_data_is_mb_read(cmd))
		return HISI_ACC_MB_READ_NOTHING;
	return cmd;
}

/*
 * From here on only this driver uses the mailbox of a VF that is being stopped. When the
 * guest was stopped, a command of the guest may have been in progress.
 */
static int hisi_acc_qm_mailbox_begin(struct hisi_acc_vf *vf)
{
	struct mailbox mb;
	int err;

	if (vf->mailbox_used)
		return 0;
	err = hisi_acc_qm_mailbox_wait(&vf->regs, &mb, MAILBOX_STOP_US);
	if (err)
		return err;
	vf->pending_read = hisi_acc_qm_pending_read(mb);
	vf->mailbox_used = true;
	return 0;
}

/* A command that the device fails, fails for the guest as well */
static int hisi_acc_qm_mailbox_replay(struct hisi_acc_vf *vf)
{
	u64 answer;
	int err = 0;

	if (vf->pending_read != HISI_ACC_MB_READ_NOTHING)
		err = hisi_acc_qm_mailbox_get(vf, vf->pending_read, &answer);
	if (err && err != -EIO)
		return err;
	vf->pending_read = HISI_ACC_MB_READ_NOTHING;
	vf->mailbox_used = false;
	return 0;
}

static void hisi_acc_qm_ring(struct hisi_acc_regs *regs, u32 offset, u64 queue,
			     u64 cmd, u64 index, u64 priority)
{
	hisi_acc_qm_writeq(queue | cmd << QM_DB_CMD_SHIFT_V2 |
			   index << QM_DB_INDEX_SHIFT_V2 |
			   priority << QM_DB_PRIORITY_SHIFT_V2,
			   regs->bar + offset);
}

/* Registers */

static void hisi_acc_qm_save_xqc(struct hisi_acc_regs *regs, u32 offset,
				 u32 *xqc)
{
	for (int i = 0; i < HISI_ACC_XQC_WORDS; i++)
		xqc[i] = hisi_acc_qm_readl(regs->mig_regs + regs->xqc + offset +
					   4 * i);
}

static void hisi_acc_qm_save_event_queues(struct hisi_acc_regs *regs,
					  struct hisi_acc_saved *saved)
{
	hisi_acc_qm_save_xqc(regs, 0, saved->eqc);
	hisi_acc_qm_save_xqc(regs, QM_AEQC_FROM_EQC, saved->aeqc);
}

static void hisi_acc_qm_save_registers(struct hisi_acc_regs *regs,
				       struct hisi_acc_saved *saved)
{
	void __iomem *mig_regs = regs->mig_regs;

	saved->aeq_int_mask = hisi_acc_qm_readl(mig_regs + QM_AEQ_INT_MASK) &
			      QM_FLAG;
	saved->eq_int_mask = hisi_acc_qm_readl(mig_regs + QM_EQ_INT_MASK) &
			     QM_FLAG;
	/*
	 * The message source stays 0: unmasked, it prevents the VF from
	 * being saved, and no reader could make it pending again.
	 */
	saved->ifc_int_mask = hisi_acc_qm_readl(mig_regs + QM_IFC_INT_MASK) &
			      QM_FLAG;
	saved->page_size = hisi_acc_qm_readl(mig_regs + QM_PAGE_SIZE);
}

static int hisi_acc_qm_save_tables(struct hisi_acc_vf *vf,
				   struct hisi_acc_saved *saved)
{
	return hisi_acc_qm_mailbox_get(vf, QM_MB_CMD_SQC_BT,
				       &saved->sqc_table) ?:
	       hisi_acc_qm_mailbox_get(vf, QM_MB_CMD_CQC_BT, &saved->cqc_table);
}

/* Stopping */

/* Whether the guest's driver has set VF_STATE, or -EIO: the VF is gone */
static int hisi_acc_qm_vf_ready(struct hisi_acc_vf *vf)
{
	u32 state = hisi_acc_qm_readl(vf->regs.mig_regs + QM_VF_STATE);

	return PCI_POSSIBLE_ERROR(state) ? -EIO : !(state & QM_FLAG);
}

static u64 hisi_acc_qm_ring_base(struct hisi_acc_vf *vf, u32 offset)
{
	void __iomem *xqc = vf->regs.mig_regs + vf->regs.xqc + offset;

	return (u64)hisi_acc_qm_readl(xqc + 8) << 32 |
	       hisi_acc_qm_readl(xqc + 4);
}

/* The event queue is the first that a driver sets up */
static bool hisi_acc_qm_has_event_queue(struct hisi_acc_vf *vf)
{
	return hisi_acc_qm_ring_base(vf, 0);
}

/* Whether a driver that has not set VF_STATE uses the VF, or -errno */
static int hisi_acc_qm_queues_active(struct hisi_acc_vf *vf)
{
	void __iomem *mig_regs = vf->regs.mig_regs;
	u64 sqc_table, cqc_table;
	int err;

	if (!hisi_acc_qm_has_event_queue(vf) ||
	    !hisi_acc_qm_ring_base(vf, QM_AEQC_FROM_EQC) ||
	    hisi_acc_qm_readl(mig_regs + QM_EQ_INT_MASK) &
	    hisi_acc_qm_readl(mig_regs + QM_AEQ_INT_MASK) & QM_FLAG)
		return 0;
	err = hisi_acc_qm_mailbox_begin(vf) ?:
	      hisi_acc_qm_mailbox_get(vf, QM_MB_CMD_SQC_BT, &sqc_table) ?:
	      hisi_acc_qm_mailbox_get(vf, QM_MB_CMD_CQC_BT, &cqc_table);
	return err ?: sqc_table && cqc_table;
}

static int hisi_acc_qm_pause(struct hisi_acc_vf *vf)
{
	int err;

	err = hisi_acc_qm_mailbox_begin(vf);
	if (err)
		return err;
	vf->heads.cached = false;
	err = hisi_acc_qm_mailbox_set(vf, QM_MB_CMD_PAUSE, 0);
	/* without an answer it may have been paused all the same */
	vf->paused = !err || err == -ETIMEDOUT;
	return err;
}

static int hisi_acc_qm_wait_clear(struct hisi_acc_vf *vf, void __iomem *reg,
				  const char *what, u64 timeout_us)
{
	u32 val;

	/* for readl_poll_timeout(), 0 is for ever */
	val = timeout_us ? ~0 : hisi_acc_qm_readl(reg);
	if (!val ||
	    (timeout_us && !hisi_acc_qm_wait(reg, ~0, 0, timeout_us, &val)))
		return 0;
	dev_warn_ratelimited(&vf->core.pdev->dev,
			     "cannot be migrated now: %s is 0x%x\n", what, val);
	return -EBUSY;
}

static void __iomem *hisi_acc_qm_device_status(struct hisi_acc_vf *vf)
{
	return vf->pf_qm->io_base + QM_ABNORMAL_INT_STATUS;
}

static void __iomem *hisi_acc_qm_engine_status(struct hisi_acc_vf *vf)
{
	return vf->pf_qm->io_base + vf->engine->core_status;
}

/*
 * Errors and messages are not in migration data, so they have to be over. Most of them
 * last for milliseconds. Other errors end with a reset of the whole device; a message
 * to the guest ends when the guest's driver reads it.
 */
static int hisi_acc_qm_wait_errors(struct hisi_acc_vf *vf)
{
	return hisi_acc_qm_wait_clear(vf, hisi_acc_qm_device_status(vf),
				      "device error", ERROR_US) ?:
	       hisi_acc_qm_wait_clear(vf, hisi_acc_qm_engine_status(vf),
				      "engine error", ERROR_US);
}

static int hisi_acc_qm_wait_messages(struct hisi_acc_vf *vf, u64 to_guest_us)
{
	void __iomem *mig_regs = vf->regs.mig_regs;

	return hisi_acc_qm_wait_clear(vf, mig_regs + QM_IFC_INT_STATUS,
				      "message to guest", to_guest_us) ?:
	       hisi_acc_qm_wait_clear(vf, mig_regs + QM_IFC_INT_SET,
				      "message from guest", ERROR_US);
}

/* For what requires access to the registers of the VF */
static int hisi_acc_qm_check_accessible(struct hisi_acc_vf *vf)
{
	if (!hisi_acc_pci_in_d3(vf) && hisi_acc_pci_mem_enabled(vf))
		return 0;
	dev_warn_ratelimited(&vf->core.pdev->dev,
			     "cannot be migrated now: its registers are off\n");
	return -EIO;
}

/**
 * hisi_acc_qm_can_save() - whether the state of a VF could be saved
 * @vf: the VF, running or not, with resets blocked
 * @message_ms: how long to wait for the guest to read a message
 *
 * Context: under @vf->state_mutex. Sleeps.
 * Return: 0, or -EBUSY or -EIO with the reason logged.
 */
int hisi_acc_qm_can_save(struct hisi_acc_vf *vf, unsigned int message_ms)
{
	int ready;

	lockdep_assert_held(&vf->state_mutex);

	ready = hisi_acc_qm_check_accessible(vf) ?: hisi_acc_qm_vf_ready(vf);
	if (ready < 0)
		return ready;
	return hisi_acc_qm_wait_errors(vf) ?:
	       hisi_acc_qm_wait_messages(vf, message_ms * USEC_PER_MSEC);
}

/*
 * Queue contexts that the device has cached go to guest memory, but not during an
 * error, which may keep the device from memory. A write-back cannot be cancelled: the
 * device would do it, and drop the contexts, when the VF runs again.
 */
static int hisi_acc_qm_write_back(struct hisi_acc_vf *vf)
{
	void __iomem *mig_regs = vf->regs.mig_regs;
	u32 val;

	vf->contexts_cached =
		hisi_acc_qm_wait(hisi_acc_qm_device_status(vf), ~0, 0,
				 ERROR_US, &val) ||
		hisi_acc_qm_wait(hisi_acc_qm_engine_status(vf), ~0, 0,
				 ERROR_US, &val);
	if (vf->contexts_cached)
		return 0;
	hisi_acc_qm_writel(QM_FLAG, mig_regs + QM_CACHE_WB_START);
	return hisi_acc_qm_wait_flag(mig_regs + QM_CACHE_WB_DONE,
				     WRITE_BACK_US);
}

/*
 * In STOP guest memory must not change: the VMM may have sent the last of it. A VF
 * whose contexts are still in the device then cannot be saved, only restarted.
 */
static int hisi_acc_qm_check_contexts(struct hisi_acc_vf *vf, bool may_write)
{
	int err;

	err = vf->contexts_cached && may_write ? hisi_acc_qm_write_back(vf) : 0;
	if (err || !vf->contexts_cached)
		return err;
	dev_warn_ratelimited(&vf->core.pdev->dev,
			     "cannot be migrated now: it was stopped during an error of the device\n");
	return -EBUSY;
}

static int hisi_acc_qm_save_before(struct hisi_acc_vf *vf)
{
	vf->before = (struct hisi_acc_saved) {};
	hisi_acc_qm_save_registers(&vf->regs, &vf->before);
	hisi_acc_qm_save_event_queues(&vf->regs, &vf->before);
	return hisi_acc_qm_mailbox_begin(vf) ?:
	       hisi_acc_qm_save_tables(vf, &vf->before);
}

/* For a VF without active queues; its event queue is what a driver sets first */
static void hisi_acc_qm_disable_dma(struct hisi_acc_vf *vf)
{
	bool saved = vf->used && hisi_acc_qm_has_event_queue(vf) &&
		     !hisi_acc_qm_save_before(vf);

	vf->dma_disabled = hisi_acc_pci_disable_dma(vf);
	vf->lost = saved && !hisi_acc_qm_has_event_queue(vf);
}

/**
 * hisi_acc_qm_stop() - stop a VF, with all its contexts in memory
 * @vf: a running VF, with resets blocked
 *
 * Errors of the device and messages do not matter yet: they do not prevent a guest
 * from being stopped and continued on the same host. With an error, contexts stay in
 * the device until hisi_acc_qm_save().
 *
 * Context: under @vf->state_mutex. Sleeps.
 * Return: 0, or -errno with the VF anywhere between running and stopped, for
 * hisi_acc_qm_undo_stop() to restart:
 * -ETIMEDOUT: the device did not answer;
 * -EIO: it did not accept PAUSE, or is gone.
 */
int hisi_acc_qm_stop(struct hisi_acc_vf *vf)
{
	int ready;

	lockdep_assert_held(&vf->state_mutex);

	if (hisi_acc_pci_in_d3(vf)) {
		vf->used = true;
		return 0;
	}
	if (!hisi_acc_pci_mem_enabled(vf))
		return -EIO;
	ready = hisi_acc_qm_vf_ready(vf);
	if (ready < 0)
		return ready;
	vf->used = vf->used || ready || hisi_acc_qm_has_event_queue(vf);
	vf->vf_state_unset = !ready;
	if (!ready && vf->used)
		ready = hisi_acc_qm_queues_active(vf);
	if (ready < 0)
		return ready;
	if (ready)
		return hisi_acc_qm_pause(vf) ?: hisi_acc_qm_write_back(vf);
	hisi_acc_qm_disable_dma(vf);
	return 0;
}

/**
 * hisi_acc_qm_undo_stop() - undo a hisi_acc_qm_stop() that failed
 * @vf: the VF
 *
 * A PAUSE that timed out must not take effect after the restart, and contexts are
 * written back before the restart makes the device read them again: the stop may
 * have failed before.
 *
 * Context: under @vf->state_mutex. Sleeps.
 * Return: 0 with the VF running, or -errno.
 */
int hisi_acc_qm_undo_stop(struct hisi_acc_vf *vf)
{
	struct mailbox mb;

	lockdep_assert_held(&vf->state_mutex);

	if (!vf->paused)
		return hisi_acc_qm_restart(vf);
	return hisi_acc_qm_mailbox_idle(&vf->regs, &mb) ?:
	       hisi_acc_qm_write_back(vf) ?: hisi_acc_qm_restart(vf);
}

/**
 * hisi_acc_qm_forget() - clear what was recorded of a VF that was reset
 * @vf: the VF
 *
 * Context: under @vf->state_mutex.
 */
void hisi_acc_qm_forget(struct hisi_acc_vf *vf)
{
	lockdep_assert_held(&vf->state_mutex);

	if (vf->dma_disabled)
		hisi_acc_pci_enable_dma(vf);
	vf->dma_disabled = false;
	vf->paused = false;
	vf->contexts_cached = false;
	vf->vf_state_unset = false;
	vf->lost = false;
	vf->used = false;
	vf->half_loaded = false;
	vf->mailbox_used = false;
	vf->mailbox_hung = false;
	vf->pending_read = HISI_ACC_MB_READ_NOTHING;
}

/* Whether a stopped VF was reset since */
static bool hisi_acc_qm_was_reset(struct hisi_acc_vf *vf, bool ready)
{
	return vf->paused &&
	       (vf->vf_state_unset ? !hisi_acc_qm_has_event_queue(vf) : !ready);
}

/* Saving and loading */

static void hisi_acc_qm_load_xqc(struct hisi_acc_regs *regs, u32 offset,
				 const u32 *xqc)
{
	for (int i = 0; i < HISI_ACC_XQC_WORDS; i++)
		hisi_acc_qm_writel(xqc[i],
				   regs->mig_regs + regs->xqc + offset + 4 * i);
}

static void hisi_acc_qm_load_event_queues(struct hisi_acc_regs *regs,
					  const struct hisi_acc_saved *saved)
{
	hisi_acc_qm_load_xqc(regs, 0, saved->eqc);
	hisi_acc_qm_load_xqc(regs, QM_AEQC_FROM_EQC, saved->aeqc);
}

static void hisi_acc_qm_load_registers(struct hisi_acc_vf *vf,
				       const struct hisi_acc_saved *saved)
{
	void __iomem *mig_regs = vf->regs.mig_regs;

	hisi_acc_qm_writel(saved->page_size, mig_regs + QM_PAGE_SIZE);
	hisi_acc_qm_writel(vf->match.que_iso_cfg, mig_regs + QM_QUE_ISO_CFG);
	/*
	 * A message cannot be made pending by writing, only dropped: one that
	 * the PF of this host has sent before is not for a guest that arrives.
	 */
	if (!vf->lost)
		hisi_acc_qm_writel(QM_FLAG, mig_regs + QM_IFC_INT_SOURCE);
	hisi_acc_qm_writel(saved->ifc_int_mask, mig_regs + QM_IFC_INT_MASK);
	hisi_acc_qm_writel(saved->aeq_int_mask, mig_regs + QM_AEQ_INT_MASK);
	hisi_acc_qm_writel(saved->eq_int_mask, mig_regs + QM_EQ_INT_MASK);
}

/*
 * The doorbell writes the head again, so the device raises the interrupt again for
 * entries behind it: the guest may have been stopped before it saw the interrupt.
 */
static void hisi_acc_qm_ring_event_queues(struct hisi_acc_vf *vf)
{
	hisi_acc_qm_ring(&vf->regs, QM_DOORBELL_EQ_AEQ_BASE_V2, 0,
			 QM_DOORBELL_CMD_EQ, vf->heads.eq, 0);
	hisi_acc_qm_ring(&vf->regs, QM_DOORBELL_EQ_AEQ_BASE_V2, 0,
			 QM_DOORBELL_CMD_AEQ, vf->heads.aeq, 0);
}

/* The heads of a stopped VF do not change, so they are valid until it is restarted */
static void hisi_acc_qm_cache_heads(struct hisi_acc_vf *vf, const u32 *eqc,
				    const u32 *aeqc)
{
	vf->heads = (struct hisi_acc_heads) {
		.cached = true,
		.eq = hisi_acc_xqc_head(eqc),
		.aeq = hisi_acc_xqc_head(aeqc),
	};
}

/**
 * hisi_acc_qm_save() - read the state of a stopped VF
 * @vf: the VF, with resets blocked
 * @saved: where the state goes
 * @may_write: guest memory may still change; the VF has been stopped just now
 *
 * Changes nothing in the VF, but the interrupt is raised again for unconsumed events.
 *
 * Context: under @vf->state_mutex. Sleeps.
 * Return: 0, or -errno:
 * -EBUSY: an error of the device or a message would be lost, or contexts;
 * -ESTALE: the VF was reset since it was stopped, its state is lost;
 * -EAGAIN: the guest's driver came up after the VF was stopped;
 * -EIO, -ETIMEDOUT: the device does not answer.
 */
int hisi_acc_qm_save(struct hisi_acc_vf *vf, struct hisi_acc_saved *saved,
		     bool may_write)
{
	struct hisi_acc_regs *regs = &vf->regs;
	int ready, err;

	lockdep_assert_held(&vf->state_mutex);

	*saved = (struct hisi_acc_saved) {};
	err = hisi_acc_qm_check_accessible(vf);
	if (err)
		return err;
	ready = hisi_acc_qm_vf_ready(vf);
	if (ready < 0)
		return ready;
	if (hisi_acc_qm_was_reset(vf, ready))
		return -ESTALE;
	if (ready && !vf->paused)
		return -EAGAIN;
	/* else the stop has found no error */
	err = vf->contexts_cached || !may_write || !vf->paused ?
	      hisi_acc_qm_wait_errors(vf) : 0;
	/* vCPUs are stopped: the guest cannot read a message */
	err = err ?: hisi_acc_qm_wait_messages(vf, 0);
	if (err)
		return err;
	if (!vf->used)
		return 0;
	err = hisi_acc_qm_check_contexts(vf, may_write) ?:
	      hisi_acc_qm_mailbox_begin(vf);
	if (err)
		return err;
	if (vf->pending_read == HISI_ACC_MB_READ_MESSAGE)
		return -EBUSY;
	if (vf->lost) {
		*saved = vf->before;
	} else {
		hisi_acc_qm_save_registers(regs, saved);
		hisi_acc_qm_save_event_queues(regs, saved);
	}
	if (vf->paused) {
		hisi_acc_qm_cache_heads(vf, saved->eqc, saved->aeqc);
		/* Linux since 6.16 loads migration data and leaves this to the source */
		hisi_acc_qm_ring_event_queues(vf);
	}
	err = vf->lost ? 0 : hisi_acc_qm_save_tables(vf, saved);
	if (err)
		return err;
	saved->pending_read = vf->pending_read;
	saved->guest = vf->paused && saved->sqc_table && saved->cqc_table &&
		       hisi_acc_xqc_base(saved->eqc) &&
		       hisi_acc_xqc_base(saved->aeqc) ? HISI_ACC_GUEST_UP :
							HISI_ACC_GUEST_IDLE;
	return 0;
}

/* An address of 0 is one that the guest has not set yet */
static int hisi_acc_qm_load_table(struct hisi_acc_vf *vf, u64 cmd, u64 address)
{
	return address ? hisi_acc_qm_mailbox_set(vf, cmd, address) : 0;
}

static int hisi_acc_qm_load_all(struct hisi_acc_vf *vf,
				const struct hisi_acc_saved *saved)
{
	int err;

	err = hisi_acc_qm_load_table(vf, QM_MB_CMD_SQC_BT, saved->sqc_table) ?:
	      hisi_acc_qm_load_table(vf, QM_MB_CMD_CQC_BT, saved->cqc_table);
	if (err)
		return err;
	/* an interrupt that is unmasked before its ring is set is never raised */
	hisi_acc_qm_load_registers(vf, saved);
	hisi_acc_qm_load_event_queues(&vf->regs, saved);
	return 0;
}

/* Without a guest's driver, migration data stand for the state after a reset */
static int hisi_acc_qm_reset_used(struct hisi_acc_vf *vf)
{
	int err;

	if (!vf->used)
		return 0;
	err = hisi_acc_pci_reset(vf);
	if (err == -EAGAIN)
		return err;
	vf->half_loaded = true;
	if (err)
		return err;
	vf->half_loaded = false;
	vf->paused = false;
	vf->contexts_cached = false;
	vf->vf_state_unset = false;
	vf->lost = false;
	vf->mailbox_used = false;
	vf->mailbox_hung = false;
	vf->used = false;
	return 0;
}

/**
 * hisi_acc_qm_load() - load a saved state into a stopped VF
 * @vf: the VF, with resets blocked
 * @saved: the state, as returned by hisi_acc_vf_data_decode()
 *
 * Without PAUSE: a VF is idle until a doorbell is rung, and what PAUSE does to one
 * without queues is not specified.
 *
 * Context: under @vf->state_mutex. Sleeps.
 * Return: 0 with the VF ready to be restarted, or -errno; with @vf->half_loaded the
 * VF is in no defined state then.
 */
int hisi_acc_qm_load(struct hisi_acc_vf *vf, const struct hisi_acc_saved *saved)
{
	struct hisi_acc_regs *regs = &vf->regs;
	struct mailbox mb;
	int err;

	lockdep_assert_held(&vf->state_mutex);

	if (!vf->used && saved->guest == HISI_ACC_GUEST_NONE)
		return 0;
	err = hisi_acc_qm_check_accessible(vf) ?: hisi_acc_qm_reset_used(vf);
	if (err || saved->guest == HISI_ACC_GUEST_NONE)
		return err;
	err = hisi_acc_qm_mailbox_idle(regs, &mb);
	if (err)
		return err;
	vf->half_loaded = true;
	vf->used = true;
	err = hisi_acc_qm_load_all(vf, saved);
	if (err)
		return err;
	vf->pending_read = saved->pending_read;
	vf->mailbox_used = true;
	if (saved->guest == HISI_ACC_GUEST_UP) {
		hisi_acc_qm_cache_heads(vf, saved->eqc, saved->aeqc);
		hisi_acc_qm_writel(QM_READY, regs->mig_regs + QM_VF_STATE);
		vf->vf_state_unset = false;
		vf->paused = true;
	}
	vf->half_loaded = false;
	return 0;
}

/* Restarting */

static void hisi_acc_qm_ring_queues(struct hisi_acc_vf *vf)
{
	for (u32 i = 0; i < vf->match.qp_num; i++)
		hisi_acc_qm_ring(&vf->regs, QM_DOORBELL_SQ_CQ_BASE_V2, i,
				 QM_DOORBELL_CMD_SQ, 0, 1);
}

static void hisi_acc_qm_read_heads(struct hisi_acc_vf *vf)
{
	void __iomem *eqc = vf->regs.mig_regs + vf->regs.xqc;
	u32 eq = hisi_acc_qm_readl(eqc);
	u32 aeq = hisi_acc_qm_readl(eqc + QM_AEQC_FROM_EQC);

	hisi_acc_qm_cache_heads(vf, &eq, &aeq);
}

/* The guest's driver finds the VF as after any reset */
static int hisi_acc_qm_forget_lost(struct hisi_acc_vf *vf)
{
	dev_warn_ratelimited(&vf->core.pdev->dev,
			     "was reset while it was stopped\n");
	hisi_acc_qm_forget(vf);
	return 0;
}

/**
 * hisi_acc_qm_restart() - restart a stopped VF
 * @vf: the VF, with resets blocked
 *
 * The same on the source, after a cancelled migration or a mere stop, and on the
 * destination. The number of queues is the VF's own in both. A message of the PF
 * that came meanwhile is still pending, masked or not as the guest has it.
 *
 * Succeeds for a VF that was reset since it was stopped: on an error a VMM would
 * reset it once more.
 *
 * Context: under @vf->state_mutex. Sleeps.
 * Return: 0, or -errno with the VF still stopped: -EIO when it is gone,
 * -ETIMEDOUT when it does not answer.
 */
int hisi_acc_qm_restart(struct hisi_acc_vf *vf)
{
	int ready, err;

	lockdep_assert_held(&vf->state_mutex);

	if (vf->dma_disabled)
		hisi_acc_pci_enable_dma(vf);
	vf->dma_disabled = false;
	if (!vf->paused && !vf->mailbox_used)
		return 0;
	if (hisi_acc_pci_in_d3(vf))
		return hisi_acc_qm_forget_lost(vf);
	if (!hisi_acc_pci_mem_enabled(vf))
		return -EIO;
	ready = hisi_acc_qm_vf_ready(vf);
	if (ready < 0)
		return ready;
	if (hisi_acc_qm_was_reset(vf, ready))
		return hisi_acc_qm_forget_lost(vf);
	err = vf->lost ? hisi_acc_qm_load_all(vf, &vf->before) : 0;
	if (err)
		return err;
	vf->lost = false;
	err = hisi_acc_qm_mailbox_replay(vf);
	if (err || !vf->paused)
		return err;
	hisi_acc_qm_ring_queues(vf);
	if (!vf->heads.cached)
		hisi_acc_qm_read_heads(vf);
	hisi_acc_qm_ring_event_queues(vf);
	vf->paused = false;
	vf->contexts_cached = false;
	return 0;
}
