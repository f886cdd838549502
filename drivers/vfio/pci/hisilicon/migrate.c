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
 * and PRE_COPY_P2P the function therefore is as stopped as it will be in STOP:
 * whoever enters these states has stopped what rings doorbells before.
 */
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/pci.h>

#include "hisi_acc_vfio_pci.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

#define ARC_CLAIM_MS	1000
#define RESET_CLAIM_MS	10000

/**
 * struct hisi_acc_arc - one step that vfio_mig_get_next_state() can ask for
 * @action: does it; may return a file for userspace
 * @undo: called when @action failed; NULL when it cannot leave a trace
 * @uses_device: needs registers, so the physical function is claimed for both
 */
struct hisi_acc_arc {
	int (*action)(struct hisi_acc_vf *vf, struct file **file);
	int (*undo)(struct hisi_acc_vf *vf);
	bool uses_device;
};

static void end_transfer(struct hisi_acc_vf *vf)
{
	hisi_acc_data_file_close(vf->data);
	vf->data = NULL;
}

static int quiesce(struct hisi_acc_vf *vf, struct file **file)
{
	int err = hisi_acc_qm_quiesce(vf);

	trace_hisi_acc_vf_quiesce(&vf->core.pdev->dev, vf->paused, err);
	return err;
}

static int restart(struct hisi_acc_vf *vf, struct file **file)
{
	bool was_paused = vf->paused;
	int err = hisi_acc_qm_restart(vf);

	trace_hisi_acc_vf_restart(&vf->core.pdev->dev, was_paused, err);
	return err;
}

/* STOP is the function stopped, which it already is */
static int nothing(struct hisi_acc_vf *vf, struct file **file)
{
	return 0;
}

/*
 * By iommufd, a VMM learns what a device wrote from the IOMMU or not at all; the
 * type1 container without a tracking IOMMU takes all of memory for written. The
 * page table in use is not looked at: it may be replaced while we do.
 */
static void warn_if_untracked(struct hisi_acc_vf *vf)
{
#if IS_ENABLED(CONFIG_IOMMUFD)
	struct pci_dev *pdev = vf->core.pdev;

	if (vf->untracked_told || !vf->core.vdev.iommufd_attached ||
	    device_iommu_capable(&pdev->dev, IOMMU_CAP_DIRTY_TRACKING))
		return;
	vf->untracked_told = true;
	dev_warn_ratelimited(&pdev->dev, "migrates, but its IOMMU does not track dirty pages: what the device wrote is lost unless all of memory is sent\n");
#endif
}

static int announce(struct hisi_acc_vf *vf, struct file **file)
{
	struct hisi_acc_data_file *data = hisi_acc_data_file_open_save(vf, file);

	if (IS_ERR(data))
		return PTR_ERR(data);
	vf->data = data;
	warn_if_untracked(vf);
	return 0;
}

static int save(struct hisi_acc_vf *vf, struct file **file)
{
	struct hisi_acc_image image __uninitialized;
	int err;

	err = hisi_acc_qm_save(vf, &image);
	trace_hisi_acc_vf_save(&vf->core.pdev->dev, image.guest_ready, err);
	if (err)
		return err;
	if (!vf->data)
		err = announce(vf, file);
	if (!err)
		hisi_acc_data_file_fill(vf->data, &image);
	return err;
}

static int receive(struct hisi_acc_vf *vf, struct file **file)
{
	struct hisi_acc_data_file *data;

	data = hisi_acc_data_file_open_resume(vf, file);
	if (IS_ERR(data))
		return PTR_ERR(data);
	vf->data = data;
	return 0;
}

static int load(struct hisi_acc_vf *vf, struct file **file)
{
	struct hisi_acc_image image __uninitialized;
	int err;

	err = hisi_acc_data_file_image(vf->data, &image);
	if (err)
		return err;
	vf->half_loaded = true;
	err = hisi_acc_qm_load(vf, &image);
	trace_hisi_acc_vf_load(&vf->core.pdev->dev, image.guest_ready, err);
	if (err)
		return err;
	vf->half_loaded = false;
	end_transfer(vf);
	return 0;
}

/* A refused image has touched nothing; a device that failed halfway is lost */
static int load_undo(struct hisi_acc_vf *vf)
{
	return vf->half_loaded ? -EIO : 0;
}

static int discard(struct hisi_acc_vf *vf, struct file **file)
{
	end_transfer(vf);
	return 0;
}

#define STATE(name) VFIO_DEVICE_STATE_##name

static const struct hisi_acc_arc
arcs[VFIO_DEVICE_STATE_NR][VFIO_DEVICE_STATE_NR] = {
	/* the function stops, or runs again */
	[STATE(RUNNING)][STATE(RUNNING_P2P)] = {
		quiesce, hisi_acc_qm_unquiesce, true
	},
	[STATE(PRE_COPY)][STATE(PRE_COPY_P2P)] = {
		quiesce, hisi_acc_qm_unquiesce, true
	},
	[STATE(RUNNING_P2P)][STATE(RUNNING)] = { restart, NULL, true },
	[STATE(PRE_COPY_P2P)][STATE(PRE_COPY)] = { restart, NULL, true },
	/* only the name changes */
	[STATE(RUNNING_P2P)][STATE(STOP)] = { nothing, NULL, false },
	[STATE(STOP)][STATE(RUNNING_P2P)] = { nothing, NULL, false },
	/* an image leaves: its match part first, if there is time for it */
	[STATE(RUNNING)][STATE(PRE_COPY)] = { announce, NULL, false },
	[STATE(RUNNING_P2P)][STATE(PRE_COPY_P2P)] = { announce, NULL, false },
	[STATE(PRE_COPY_P2P)][STATE(STOP_COPY)] = { save, NULL, true },
	[STATE(STOP)][STATE(STOP_COPY)] = { save, NULL, true },
	[STATE(PRE_COPY)][STATE(RUNNING)] = { discard, NULL, false },
	[STATE(PRE_COPY_P2P)][STATE(RUNNING_P2P)] = { discard, NULL, false },
	[STATE(STOP_COPY)][STATE(STOP)] = { discard, NULL, false },
	/* an image comes in */
	[STATE(STOP)][STATE(RESUMING)] = { receive, NULL, false },
	[STATE(RESUMING)][STATE(STOP)] = { load, load_undo, true },
};

#undef STATE

static int walk_arc_claimed(struct hisi_acc_vf *vf,
			    const struct hisi_acc_arc *arc,
			    enum vfio_device_mig_state to, struct file **file)
{
	int err = arc->action(vf, file);

	if (!err)
		vf->state = to;
	else if (err == -ESTALE || (arc->undo && arc->undo(vf)))
		vf->state = VFIO_DEVICE_STATE_ERROR;
	if (vf->state == VFIO_DEVICE_STATE_ERROR)
		end_transfer(vf);
	return err;
}

static int walk_arc(struct hisi_acc_vf *vf, enum vfio_device_mig_state to,
		    struct file **file)
{
	enum vfio_device_mig_state from = vf->state;
	const struct hisi_acc_arc *arc = &arcs[from][to];
	u64 start = trace_hisi_acc_vf_arc_enabled() ? ktime_get_ns() : 0;
	int err;

	lockdep_assert_held(&vf->state_mutex);
	if (WARN_ON(!arc->action))
		return -EINVAL;

	err = arc->uses_device ? hisi_acc_pf_claim(vf->pf, ARC_CLAIM_MS) : 0;
	if (!err) {
		err = walk_arc_claimed(vf, arc, to, file);
		if (arc->uses_device)
			hisi_acc_pf_release(vf->pf);
	}
	trace_hisi_acc_vf_arc(&vf->core.pdev->dev, from, to, err, start);
	return err;
}

static int walk(struct hisi_acc_vf *vf, enum vfio_device_mig_state target,
		struct file **file)
{
	while (vf->state != target) {
		enum vfio_device_mig_state next;
		int err;

		/* vfio_mig_get_next_state() takes offence at being asked */
		if (vf->state == VFIO_DEVICE_STATE_ERROR)
			return -EIO;
		err = vfio_mig_get_next_state(&vf->core.vdev, vf->state, target,
					      &next) ?:
		      walk_arc(vf, next, file);
		if (err)
			return err;
	}
	return 0;
}

static struct file *set_state(struct vfio_device *vdev,
			      enum vfio_device_mig_state target)
{
	struct hisi_acc_vf *vf = hisi_acc_vf(vdev);
	struct file *file = NULL;
	int err;

	guard(mutex)(&vf->state_mutex);
	if (vf->resetting)
		return ERR_PTR(-EBUSY);
	if (vf->state == VFIO_DEVICE_STATE_ERROR)
		return ERR_PTR(-EIO);
	err = walk(vf, target, &file);
	return err ? ERR_PTR(err) : file;
}

static int get_state(struct vfio_device *vdev, enum vfio_device_mig_state *state)
{
	struct hisi_acc_vf *vf = hisi_acc_vf(vdev);

	guard(mutex)(&vf->state_mutex);
	*state = vf->state;
	return 0;
}

/* An image always has its full length, also without a driver in the guest */
static int get_data_size(struct vfio_device *vdev, unsigned long *length)
{
	*length = HISI_ACC_IMAGE_SIZE;
	return 0;
}

const struct vfio_migration_ops hisi_acc_migration_ops = {
	.migration_set_state = set_state,
	.migration_get_state = get_state,
	.migration_get_data_size = get_data_size,
};

static void start_over_locked(struct hisi_acc_vf *vf)
{
	lockdep_assert_held(&vf->state_mutex);
	end_transfer(vf);
	vf->paused = false;
	vf->question = HISI_ACC_ASKED_NOTHING;
	vf->half_loaded = false;
	vf->state = VFIO_DEVICE_STATE_RUNNING;
}

/**
 * hisi_acc_migrate_open() - a device starts in RUNNING each time it is opened
 * @vf: the function, reset
 */
void hisi_acc_migrate_open(struct hisi_acc_vf *vf)
{
	guard(mutex)(&vf->state_mutex);
	start_over_locked(vf);
	vf->untracked_told = false;
	vf->open = true;
}

/**
 * hisi_acc_migrate_close() - end what the device was closed in the middle of
 * @vf: the function, its registers still mapped
 */
void hisi_acc_migrate_close(struct hisi_acc_vf *vf)
{
	guard(mutex)(&vf->state_mutex);
	vf->open = false;
	start_over_locked(vf);
}

/**
 * hisi_acc_migrate_reset_prepare() - keep off a function that will be reset
 * @vf: the function
 *
 * Waits for a running transition. Resets of a function come one at a time.
 *
 * When the physical function stays busy for too long, the reset goes on
 * without its protection, which is what it had before.
 */
void hisi_acc_migrate_reset_prepare(struct hisi_acc_vf *vf)
{
	vf->reset_claim = !hisi_acc_pf_claim(vf->pf, RESET_CLAIM_MS);

	guard(mutex)(&vf->state_mutex);
	vf->resetting = true;
}

/**
 * hisi_acc_migrate_reset_done() - a reset always leads to RUNNING
 * @vf: the function
 *
 * Data files of the time before answer -ENODEV.
 */
void hisi_acc_migrate_reset_done(struct hisi_acc_vf *vf)
{
	scoped_guard(mutex, &vf->state_mutex) {
		vf->resetting = false;
		start_over_locked(vf);
	}
	if (vf->reset_claim)
		hisi_acc_pf_release(vf->pf);
	vf->reset_claim = false;
}
