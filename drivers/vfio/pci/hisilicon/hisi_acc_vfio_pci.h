/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Internal interfaces of the HiSilicon accelerator VFIO driver, by source file:
 *
 * main.c      PCI and VFIO glue: probe, open, close, reset
 * access.c    access to registers: locks, blocked resets, timeouts
 * bar.c       the guest's part of BAR2
 * migrate.c   the state machine: decides when, never how
 * migf.c      migration files: read, write, poll, pre-copy ioctl
 * vf_data.c   migration data: encode, decode, validate
 * qm.c        queue management registers: stop, save, load, restart
 * qm_open.c   the same: find them, and read which queues the VF owns
 * qm_show.c   the same: debugfs dump
 * pci.c       configuration space: power state, memory space, bus mastering, reset
 * debugfs.c   files in debugfs
 *
 * Locks, outermost first: memory_lock of vfio-pci-core (written by a reset, read
 * by all who use registers), state_mutex, then the lock of a migration file. None
 * of this driver is held while memory of userspace is accessed.
 */
#ifndef HISI_ACC_VFIO_PCI_H
#define HISI_ACC_VFIO_PCI_H

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "vf_data.h"

#define HISI_ACC_BAR		VFIO_PCI_BAR2_REGION_INDEX

/*
 * How long callers that must not fail wait for the PF's driver. The longest
 * that Linux 7.3 takes to reset the whole device is 21 s for each message to VFs
 * and 20 s for each of their answers, both twice: 82 s, and some seconds for the
 * device itself.
 */
#define HISI_ACC_RESET_WAIT_MS	100000

struct hisi_acc_migf;
struct hisi_qm;
struct seq_file;

/**
 * struct hisi_acc_engine - what differs between the accelerators
 * @name: for messages
 * @vf_id: PCI device id of the VF
 * @core_status: register of the PF with the engine's errors
 * @pf_driver: the driver that must own the PF
 */
struct hisi_acc_engine {
	const char *name;
	u16 vf_id;
	u32 core_status;
	struct pci_driver *(*pf_driver)(void);
};

/**
 * struct hisi_acc_regs - the registers of one VF, as the host sees them
 * @bar: BAR2 of the VF; doorbells are always rung here, where
 *	no register of another VF can be hit
 * @mig_regs: the registers that the guest sees too, and those of migration
 * @xqc: offset in @mig_regs of the words of the event queues' contexts
 */
struct hisi_acc_regs {
	void __iomem *bar;
	void __iomem *mig_regs;
	u32 xqc;
};

/**
 * struct hisi_acc_heads - heads of the event queues of a stopped VF
 * @cached: read or written since the VF was stopped
 * @eq: head of the event queue
 * @aeq: head of the queue of asynchronous events
 */
struct hisi_acc_heads {
	bool cached;
	u16 eq;
	u16 aeq;
};

/**
 * struct hisi_acc_vf - one VF
 * @core: first, so that it is what the PCI driver data points to
 * @pf_qm: of the PF, NULL when no migration is offered; all below
 *	but @guest_bar_len is unused then
 * @engine: what kind of accelerator it is
 * @number: of the VF in the registers of the PF, from 1 on
 * @sriov_cap: where the PF's SR-IOV capability is
 * @core_calls: calls to the VFIO core in progress that may reset the VF and whose
 *	caller has waited for the PF
 * @blocks_others: the reset of the VF under way blocks resets of @pf_qm; owned by
 *	the reset
 * @guest_bar_len: how much of BAR2 belongs to userspace, constant while it is open
 * @match: what migration data must agree with, constant while the device is open
 * @regs: constant while the device is open
 * @state_mutex: protects all below
 * @state: of the migration state machine
 * @open: @regs and @match are valid
 * @resetting: between reset_prepare and reset_done no register is touched
 * @resets: resets that began, and that ended; may be read without the lock
 * @blocks_reset: the change of state under way blocks resets of @pf_qm
 * @paused: stopped by PAUSE, or loaded, and not restarted since
 * @contexts_cached: ... with its queues' contexts still in the device
 * @vf_state_unset: ... although the guest's driver had not set VF_STATE
 * @dma_disabled: bus mastering is off while it is stopped, instead of PAUSE
 * @before: what it held when its bus mastering was about to be turned off
 * @lost: ... and it no longer does: that has reset it
 * @used: it may hold state of a guest, as far as was found when it was stopped
 * @mailbox_used: the driver has used the mailbox since the VF was stopped
 * @mailbox_hung: the last command timed out
 * @pending_read: command whose answer the guest may not have read when it was stopped
 * @heads: of the VF's event queues while it is stopped
 * @half_loaded: a saved state was loaded only in part
 * @untracked_logged: a warning that nothing tracks its writes was logged since it
 *	was opened
 * @data: of the running data transfer, if any
 */
struct hisi_acc_vf {
	struct vfio_pci_core_device core;
	struct hisi_qm *pf_qm;
	const struct hisi_acc_engine *engine;
	u32 number;
	int sriov_cap;
	atomic_t core_calls;
	bool blocks_others;
	resource_size_t guest_bar_len;
	struct hisi_acc_match match;
	struct hisi_acc_regs regs;

	struct mutex state_mutex;	/* see above */
	enum vfio_device_mig_state state;
	bool open;
	bool resetting;
	unsigned int resets;
	bool blocks_reset;
	bool paused;
	bool contexts_cached;
	bool vf_state_unset;
	bool dma_disabled;
	struct hisi_acc_saved before;
	bool lost;
	bool used;
	bool mailbox_used;
	bool mailbox_hung;
	enum hisi_acc_mb_read pending_read;
	struct hisi_acc_heads heads;
	bool half_loaded;
	bool untracked_logged;
	struct hisi_acc_migf *data;
};

static inline struct hisi_acc_vf *hisi_acc_vf(struct vfio_device *vdev)
{
	return container_of(vdev, struct hisi_acc_vf, core.vdev);
}

/* pci.c */
bool hisi_acc_pci_in_d3(struct hisi_acc_vf *vf);
bool hisi_acc_pci_mem_enabled(struct hisi_acc_vf *vf);
bool hisi_acc_pci_disable_dma(struct hisi_acc_vf *vf);
void hisi_acc_pci_enable_dma(struct hisi_acc_vf *vf);
int hisi_acc_pci_reset(struct hisi_acc_vf *vf);

/* access.c */
int hisi_acc_access_pause(unsigned int state);
int hisi_acc_access_block_reset(struct hisi_qm *pf_qm, unsigned int timeout_ms,
				unsigned int state);
void hisi_acc_access_lock(struct hisi_acc_vf *vf);
void hisi_acc_access_unlock(struct hisi_acc_vf *vf);
bool hisi_acc_access_try(struct hisi_acc_vf *vf, bool block);
int hisi_acc_access_begin(struct hisi_acc_vf *vf, unsigned int timeout_ms);
void hisi_acc_access_end(struct hisi_acc_vf *vf);
int hisi_acc_access_open(struct hisi_acc_vf *vf,
			 int (*init)(struct hisi_acc_vf *vf));
void hisi_acc_access_close(struct hisi_acc_vf *vf);
long hisi_acc_access_reset(struct hisi_acc_vf *vf, unsigned long arg);
ssize_t hisi_acc_access_config_write(struct hisi_acc_vf *vf,
				     const char __user *buf, size_t count,
				     loff_t *ppos);
void hisi_acc_access_reset_prepare(struct hisi_acc_vf *vf);
void hisi_acc_access_reset_done(struct hisi_acc_vf *vf);

/* qm_open.c */
const struct hisi_acc_engine *hisi_acc_qm_engine(struct pci_dev *pdev);
bool hisi_acc_qm_can_migrate(const struct hisi_qm *pf_qm);
bool hisi_acc_qm_regs_in_pf(const struct hisi_qm *pf_qm);
bool hisi_acc_qm_has_registers(struct pci_dev *pdev,
			       const struct hisi_qm *pf_qm, u32 number);
int hisi_acc_qm_open(struct hisi_acc_vf *vf);
void hisi_acc_qm_close(struct hisi_acc_vf *vf);

/* qm.c */
int hisi_acc_qm_read_queues(struct hisi_acc_vf *vf, u64 *queues);
int hisi_acc_qm_can_save(struct hisi_acc_vf *vf, unsigned int message_ms);
int hisi_acc_qm_stop(struct hisi_acc_vf *vf);
int hisi_acc_qm_undo_stop(struct hisi_acc_vf *vf);
void hisi_acc_qm_forget(struct hisi_acc_vf *vf);
int hisi_acc_qm_save(struct hisi_acc_vf *vf, struct hisi_acc_saved *saved,
		     bool may_write);
int hisi_acc_qm_load(struct hisi_acc_vf *vf,
		     const struct hisi_acc_saved *saved);
int hisi_acc_qm_restart(struct hisi_acc_vf *vf);
void hisi_acc_qm_show(struct hisi_acc_vf *vf, struct seq_file *seq);
void hisi_acc_qm_show_mailbox(struct hisi_acc_vf *vf, struct seq_file *seq);

/* migf.c */
struct hisi_acc_migf *
hisi_acc_migf_open_save(struct hisi_acc_vf *vf, struct file **file);
struct hisi_acc_migf *
hisi_acc_migf_open_resume(struct hisi_acc_vf *vf, struct file **file);
void hisi_acc_migf_fill(struct hisi_acc_migf *data,
			const struct hisi_acc_saved *saved);
void hisi_acc_migf_fail(struct hisi_acc_migf *data, int err);
int hisi_acc_migf_decode(struct hisi_acc_migf *data,
			 struct hisi_acc_saved *saved);
void hisi_acc_migf_close(struct hisi_acc_migf *data);
void hisi_acc_migf_show(struct hisi_acc_migf *data,
			struct seq_file *seq);

/* migrate.c */
extern const struct vfio_migration_ops hisi_acc_migration_ops;
void hisi_acc_migrate_open(struct hisi_acc_vf *vf);
void hisi_acc_migrate_close(struct hisi_acc_vf *vf);
void hisi_acc_migrate_start_over(struct hisi_acc_vf *vf);

/* debugfs.c */
#ifdef CONFIG_DEBUG_FS
void hisi_acc_debugfs_init(struct hisi_acc_vf *vf);
#else
static inline void hisi_acc_debugfs_init(struct hisi_acc_vf *vf)
{
}
#endif

/* bar.c */
ssize_t hisi_acc_bar_read(struct vfio_device *vdev, char __user *buf,
			  size_t count, loff_t *ppos);
ssize_t hisi_acc_bar_write(struct vfio_device *vdev, const char __user *buf,
			   size_t count, loff_t *ppos);
int hisi_acc_bar_mmap(struct vfio_device *vdev, struct vm_area_struct *vma);
long hisi_acc_bar_ioctl(struct vfio_device *vdev, unsigned int cmd,
			unsigned long arg);
int hisi_acc_bar_region_info(struct vfio_device *vdev,
			     struct vfio_region_info *info,
				struct vfio_info_cap *caps);

#endif
