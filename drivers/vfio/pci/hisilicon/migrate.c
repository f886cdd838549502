// SPDX-License-Identifier: GPL-2.0-only
/*
 * The migration state machine.
 *
 * Each arc has one action and, where the action may leave something half done,
 * an undo. An arc that fails leaves the state that it came from truly in force;
 * where that cannot be had, the state is ERROR, and only a reset leads out.
 *
 * These devices are endpoints of the root complex that nothing on the bus can
 * address but processors, and they stop as a whole or not at all. In RUNNING_P2P
 * and PRE_COPY_P2P the VF therefore is as stopped as it will be in STOP: a VMM
 * stops the vCPUs, which ring its doorbells, before it enters these states.
 */
#include <kunit/static_stub.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/hisi_acc_qm.h>
#include <linux/iommu.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/pci.h>

#include "hisi_acc_vfio_pci.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

#define REFUSE_MS	2000
#define MESSAGE_MS	200

/**
 * enum hisi_acc_arc_needs - what an arc needs of the device
 * @NEED_NONE: no register
 * @NEED_NOW: registers; fails soon while the PF's driver uses them, without loss
 * @NEED_WAIT: registers; waits for the PF's driver
 */
enum hisi_acc_arc_needs {
	NEED_NONE,
	NEED_NOW,
	NEED_WAIT,
};

/**
 * struct hisi_acc_arc - one step that vfio_mig_get_next_state() may return
 * @action: does it; may return a file for userspace
 * @undo: called when @action failed; NULL if there is nothing to undo
 * @needs: what it requires
 */
struct hisi_acc_arc {
	int (*action)(struct hisi_acc_vf *vf, struct file **file);
	int (*undo)(struct hisi_acc_vf *vf);
	enum hisi_acc_arc_needs needs;
};

static void hisi_acc_end_session(struct hisi_acc_vf *vf)
{
	hisi_acc_migf_close(vf->data);
	vf->data = NULL;
}

static int hisi_acc_arc_stop(struct hisi_acc_vf *vf, struct file **file)
{
	int err = hisi_acc_qm_stop(vf);

	trace_hisi_acc_vf_stop(&vf->core.pdev->dev, vf->paused, err);
	return err;
}

static int hisi_acc_arc_restart(struct hisi_acc_vf *vf, struct file **file)
{
	bool was_paused = vf->paused;
	int err = hisi_acc_qm_restart(vf);

	trace_hisi_acc_vf_restart(&vf->core.pdev->dev, was_paused, err);
	return err;
}

/* The VF already is as stopped as in the other state */
static int hisi_acc_arc_noop(struct hisi_acc_vf *vf, struct file **file)
{
	return 0;
}

/*
 * With iommufd, a VMM gets the pages that a device wrote from the IOMMU or not at all;
 * the type1 container without a tracking IOMMU reports all of memory as dirty. The
 * page table in use is not checked: it may be replaced meanwhile.
 */
static void hisi_acc_warn_untracked(struct hisi_acc_vf *vf)
{
#if IS_ENABLED(CONFIG_IOMMUFD)
	struct pci_dev *pdev = vf->core.pdev;

	if (vf->untracked_logged || !vf->core.vdev.iommufd_attached ||
	    device_iommu_capable(&pdev->dev, IOMMU_CAP_DIRTY_TRACKING))
		return;
	vf->untracked_logged = true;
	dev_warn_ratelimited(&pdev->dev, "migrates, but its IOMMU does not track dirty pages: what the device wrote is lost unless all of memory is sent\n");
#endif
}

static int hisi_acc_begin_save(struct hisi_acc_vf *vf, struct file **file)
{
	struct hisi_acc_migf *data = hisi_acc_migf_open_save(vf, file);

	if (IS_ERR(data))
		return PTR_ERR(data);
	vf->data = data;
	hisi_acc_warn_untracked(vf);
	return 0;
}

/* What prevents a migration is best reported while the guest runs */
static int hisi_acc_arc_start_saving(struct hisi_acc_vf *vf, struct file **file)
{
	return hisi_acc_qm_can_save(vf, MESSAGE_MS) ?:
	       hisi_acc_begin_save(vf, file);
}

/*
 * If this arc fails, a VMM resets the device, although the guest could go on from
 * where it was stopped. Therefore the arc succeeds, and read() of the migration file
 * fails.
 */
static int hisi_acc_arc_save(struct hisi_acc_vf *vf, struct file **file)
{
	/* in a P2P state, a device only leaves other devices alone */
	bool may_write = vf->state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
	struct hisi_acc_saved saved = {};
	int err;

	err = vf->data ? 0 : hisi_acc_begin_save(vf, file);
	if (err)
		return err;
	err = vf->blocks_reset ? hisi_acc_qm_save(vf, &saved, may_write) : -EBUSY;
	trace_hisi_acc_vf_save(&vf->core.pdev->dev,
			       saved.guest == HISI_ACC_GUEST_UP, err);
	if (err)
		hisi_acc_migf_fail(vf->data, err);
	else
		hisi_acc_migf_fill(vf->data, &saved);
	return 0;
}

static int hisi_acc_arc_start_resuming(struct hisi_acc_vf *vf,
				       struct file **file)
{
	struct hisi_acc_migf *data;

	data = hisi_acc_migf_open_resume(vf, file);
	if (IS_ERR(data))
		return PTR_ERR(data);
	vf->data = data;
	return 0;
}

static int hisi_acc_arc_load(struct hisi_acc_vf *vf, struct file **file)
{
	struct hisi_acc_saved saved;
	int err;

	err = hisi_acc_migf_decode(vf->data, &saved);
	if (err)
		return err;
	err = hisi_acc_qm_load(vf, &saved);
	trace_hisi_acc_vf_load(&vf->core.pdev->dev,
			       saved.guest == HISI_ACC_GUEST_UP, err);
	if (err)
		return err;
	hisi_acc_end_session(vf);
	return 0;
}

/* Rejected data has changed nothing; a device that failed halfway is lost */
static int hisi_acc_arc_load_undo(struct hisi_acc_vf *vf)
{
	return vf->half_loaded ? -EIO : 0;
}

static int hisi_acc_arc_end_session(struct hisi_acc_vf *vf, struct file **file)
{
	hisi_acc_end_session(vf);
	return 0;
}

#define STATE(name) VFIO_DEVICE_STATE_##name

static const struct hisi_acc_arc
arcs[VFIO_DEVICE_STATE_NR][VFIO_DEVICE_STATE_NR] = {
	/* the VF stops, or runs again */
	[STATE(RUNNING)][STATE(RUNNING_P2P)] = {
		.action = hisi_acc_arc_stop,
		.undo = hisi_acc_qm_undo_stop,
		.needs = NEED_WAIT,
	},
	[STATE(PRE_COPY)][STATE(PRE_COPY_P2P)] = {
		.action = hisi_acc_arc_stop,
		.undo = hisi_acc_qm_undo_stop,
		.needs = NEED_WAIT,
	},
	[STATE(RUNNING_P2P)][STATE(RUNNING)] = {
		.action = hisi_acc_arc_restart,
		.needs = NEED_WAIT,
	},
	[STATE(PRE_COPY_P2P)][STATE(PRE_COPY)] = {
		.action = hisi_acc_arc_restart,
		.needs = NEED_WAIT,
	},
	/* only the name changes */
	[STATE(RUNNING_P2P)][STATE(STOP)] = {
		.action = hisi_acc_arc_noop,
	},
	[STATE(STOP)][STATE(RUNNING_P2P)] = {
		.action = hisi_acc_arc_noop,
	},
	/* save: match data first, in pre-copy */
	[STATE(RUNNING)][STATE(PRE_COPY)] = {
		.action = hisi_acc_arc_start_saving,
		.needs = NEED_NOW,
	},
	[STATE(RUNNING_P2P)][STATE(PRE_COPY_P2P)] = {
		.action = hisi_acc_arc_start_saving,
		.needs = NEED_NOW,
	},
	[STATE(PRE_COPY_P2P)][STATE(STOP_COPY)] = {
		.action = hisi_acc_arc_save,
		.needs = NEED_NOW,
	},
	[STATE(STOP)][STATE(STOP_COPY)] = {
		.action = hisi_acc_arc_save,
		.needs = NEED_NOW,
	},
	[STATE(PRE_COPY)][STATE(RUNNING)] = {
		.action = hisi_acc_arc_end_session,
	},
	[STATE(PRE_COPY_P2P)][STATE(RUNNING_P2P)] = {
		.action = hisi_acc_arc_end_session,
	},
	[STATE(STOP_COPY)][STATE(STOP)] = {
		.action = hisi_acc_arc_end_session,
	},
	/* resume */
	[STATE(STOP)][STATE(RESUMING)] = {
		.action = hisi_acc_arc_start_resuming,
	},
	[STATE(RESUMING)][STATE(STOP)] = {
		.action = hisi_acc_arc_load,
		.undo = hisi_acc_arc_load_undo,
		.needs = NEED_WAIT,
	},
};

#undef STATE

static int hisi_acc_core_next_state(struct vfio_device *vdev,
				    enum vfio_device_mig_state from,
				    enum vfio_device_mig_state target,
				    enum vfio_device_mig_state *next)
{
	KUNIT_STATIC_STUB_REDIRECT(hisi_acc_core_next_state, vdev, from, target,
				   next);
	return vfio_mig_get_next_state(vdev, from, target, next);
}

/* The next step to a state, as the core has it, or -errno */
static int hisi_acc_next_state(struct hisi_acc_vf *vf,
			       enum vfio_device_mig_state from,
			       enum vfio_device_mig_state target,
			       enum vfio_device_mig_state *next)
{
	/* vfio_mig_get_next_state() WARNs if the current state is ERROR */
	if (from == VFIO_DEVICE_STATE_ERROR)
		return -EIO;
	/* before a26b499b757c, vfio_mig_get_next_state() loops for ever on these */
	if (from == VFIO_DEVICE_STATE_STOP_COPY &&
	    (target == VFIO_DEVICE_STATE_PRE_COPY ||
	     target == VFIO_DEVICE_STATE_PRE_COPY_P2P))
		return -EINVAL;
	return hisi_acc_core_next_state(&vf->core.vdev, from, target, next);
}

/* Of the first arc on the way to a state that needs registers, or NEED_NONE */
static enum hisi_acc_arc_needs
hisi_acc_walk_needs(struct hisi_acc_vf *vf, enum vfio_device_mig_state target)
{
	enum vfio_device_mig_state from = vf->state, next;

	while (from != target &&
	       !hisi_acc_next_state(vf, from, target, &next)) {
		if (arcs[from][next].needs != NEED_NONE)
			return arcs[from][next].needs;
		from = next;
	}
	return NEED_NONE;
}

static int hisi_acc_walk_arc(struct hisi_acc_vf *vf,
			     enum vfio_device_mig_state to, struct file **file)
{
	enum vfio_device_mig_state from = vf->state;
	const struct hisi_acc_arc *arc = &arcs[from][to];
	u64 start = trace_hisi_acc_vf_arc_enabled() ? ktime_get_ns() : 0;
	int err;

	lockdep_assert_held(&vf->state_mutex);
	if (WARN_ON(!arc->action))
		return -EINVAL;

	err = arc->action(vf, file);
	if (!err)
		vf->state = to;
	else if (arc->undo && arc->undo(vf))
		vf->state = VFIO_DEVICE_STATE_ERROR;
	if (vf->state == VFIO_DEVICE_STATE_ERROR)
		hisi_acc_end_session(vf);
	trace_hisi_acc_vf_arc(&vf->core.pdev->dev, from, to, err, start);
	return err;
}

static int hisi_acc_walk(struct hisi_acc_vf *vf,
			 enum vfio_device_mig_state target, struct file **file)
{
	while (vf->state != target) {
		enum vfio_device_mig_state next;
		int err;

		err = hisi_acc_next_state(vf, vf->state, target, &next) ?:
		      hisi_acc_walk_arc(vf, next, file);
		if (!err && WARN_ON(*file && vf->state != target))
			err = -EINVAL;
		if (err)
			return err;
	}
	return 0;
}

/*
 * Take the locks, and block resets if an arc on the way needs registers. A save that
 * cannot block them continues: read() of its file fails.
 */
static int hisi_acc_begin_walk(struct hisi_acc_vf *vf,
			       enum vfio_device_mig_state target)
{
	unsigned long end = jiffies + msecs_to_jiffies(HISI_ACC_RESET_WAIT_MS);
	unsigned long refuse = jiffies + msecs_to_jiffies(REFUSE_MS);

	for (;;) {
		enum hisi_acc_arc_needs needs;

		hisi_acc_access_lock(vf);
		needs = hisi_acc_walk_needs(vf, target);
		vf->blocks_reset = hisi_acc_access_try(vf, needs != NEED_NONE);
		if (vf->blocks_reset) {
			vf->blocks_reset = needs != NEED_NONE;
			return 0;
		}
		/* a reset of the VF is always waited for, REFUSE_MS begin after it */
		if (vf->resetting)
			refuse = jiffies + msecs_to_jiffies(REFUSE_MS);
		if (time_after(jiffies, end) ||
		    (needs == NEED_NOW && time_after(jiffies, refuse))) {
			if (target == VFIO_DEVICE_STATE_STOP_COPY &&
			    needs == NEED_NOW && !vf->resetting)
				return 0;
			hisi_acc_access_unlock(vf);
			return -EBUSY;
		}
		hisi_acc_access_unlock(vf);
		if (hisi_acc_access_pause(TASK_KILLABLE))
			return -EINTR;
	}
}

static void hisi_acc_end_walk(struct hisi_acc_vf *vf)
{
	if (vf->blocks_reset)
		hisi_qm_unblock_reset(vf->pf_qm);
	vf->blocks_reset = false;
	hisi_acc_access_unlock(vf);
}

static struct file *hisi_acc_set_state(struct vfio_device *vdev,
				       enum vfio_device_mig_state target)
{
	struct hisi_acc_vf *vf = hisi_acc_vf(vdev);
	struct file *file = NULL;
	int err;

	err = hisi_acc_begin_walk(vf, target);
	if (err) {
		if (err == -EBUSY)
			dev_warn_ratelimited(&vf->core.pdev->dev,
					     "its physical function is busy\n");
		return ERR_PTR(err);
	}
	err = hisi_acc_walk(vf, target, &file);
	hisi_acc_end_walk(vf);
	if (!err)
		return file;
	if (file)
		fput(file);
	return ERR_PTR(err);
}

static int hisi_acc_get_state(struct vfio_device *vdev,
			      enum vfio_device_mig_state *state)
{
	struct hisi_acc_vf *vf = hisi_acc_vf(vdev);

	guard(mutex)(&vf->state_mutex);
	*state = vf->state;
	return 0;
}

/* Migration data always has its full length, also without a driver in the guest */
static int hisi_acc_get_data_size(struct vfio_device *vdev,
				  unsigned long *length)
{
	*length = HISI_ACC_DATA_SIZE;
	return 0;
}

const struct vfio_migration_ops hisi_acc_migration_ops = {
	.migration_set_state = hisi_acc_set_state,
	.migration_get_state = hisi_acc_get_state,
	.migration_get_data_size = hisi_acc_get_data_size,
};

/**
 * hisi_acc_migrate_start_over() - what a reset does to the state machine
 * @vf: the VF
 *
 * Context: under state_mutex.
 */
void hisi_acc_migrate_start_over(struct hisi_acc_vf *vf)
{
	lockdep_assert_held(&vf->state_mutex);
	hisi_acc_end_session(vf);
	hisi_acc_qm_forget(vf);
	vf->state = VFIO_DEVICE_STATE_RUNNING;
}

/**
 * hisi_acc_migrate_open() - a device starts in RUNNING each time it is opened
 * @vf: the VF, reset
 */
void hisi_acc_migrate_open(struct hisi_acc_vf *vf)
{
	guard(mutex)(&vf->state_mutex);
	hisi_acc_migrate_start_over(vf);
	vf->untracked_logged = false;
	vf->open = true;
}

/**
 * hisi_acc_migrate_close() - end what the device was closed in the middle of
 * @vf: the VF, its registers still mapped
 */
void hisi_acc_migrate_close(struct hisi_acc_vf *vf)
{
	guard(mutex)(&vf->state_mutex);
	vf->open = false;
	hisi_acc_migrate_start_over(vf);
}
