// SPDX-License-Identifier: GPL-2.0-only
/*
 * Three files in hisi_acc/, below the directory "migration" that the VFIO core
 * creates for each device.
 *
 * They show the current state only: nothing of a device that is not open, and no
 * migration data after the end of the session.
 */
#include <linux/cleanup.h>
#include <linux/dcache.h>
#include <linux/debugfs.h>
#include <linux/pm_runtime.h>
#include <linux/seq_file.h>

#include "hisi_acc_vfio_pci.h"

#define SHOW_WAIT_MS	100

static int hisi_acc_debugfs_show(struct seq_file *seq,
				 void (*show)(struct hisi_acc_vf *vf,
					      struct seq_file *seq))
{
	struct hisi_acc_vf *vf = seq->private;
	struct device *dev = &vf->core.pdev->dev;
	int err;

	err = pm_runtime_resume_and_get(dev);
	if (err)
		return err;
	err = hisi_acc_access_begin(vf, SHOW_WAIT_MS);
	if (!err) {
		if (!vf->open)
			seq_puts(seq, "device is not open\n");
		else if (hisi_acc_pci_in_d3(vf) || !hisi_acc_pci_mem_enabled(vf))
			seq_puts(seq, "device does not answer\n");
		else
			show(vf, seq);
		hisi_acc_access_end(vf);
	}
	pm_runtime_put(dev);
	return err;
}

static int hisi_acc_dev_data_show(struct seq_file *seq, void *unused)
{
	return hisi_acc_debugfs_show(seq, hisi_acc_qm_show);
}
DEFINE_SHOW_ATTRIBUTE(hisi_acc_dev_data);

static int hisi_acc_cmd_state_show(struct seq_file *seq, void *unused)
{
	return hisi_acc_debugfs_show(seq, hisi_acc_qm_show_mailbox);
}
DEFINE_SHOW_ATTRIBUTE(hisi_acc_cmd_state);

static int hisi_acc_migf_data_show(struct seq_file *seq, void *unused)
{
	struct hisi_acc_vf *vf = seq->private;

	guard(mutex)(&vf->state_mutex);
	if (vf->data)
		hisi_acc_migf_show(vf->data, seq);
	else
		seq_puts(seq, "no transfer\n");
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(hisi_acc_migf_data);

/**
 * hisi_acc_debugfs_init() - add the files of a device
 * @vf: the VF, registered with the VFIO core
 *
 * The core removes its directory with all that is in it, before the device goes.
 */
void hisi_acc_debugfs_init(struct hisi_acc_vf *vf)
{
	struct dentry *root = vf->core.vdev.debug_root, *migration, *dir;

	/* without a directory of its own, names would be looked up at the top */
	if (IS_ERR_OR_NULL(root))
		return;
	migration = debugfs_lookup("migration", root);
	if (!migration)
		return;
	dir = debugfs_create_dir("hisi_acc", migration);
	dput(migration);
	debugfs_create_file("dev_data", 0400, dir, vf,
			    &hisi_acc_dev_data_fops);
	debugfs_create_file("migf_data", 0400, dir, vf,
			    &hisi_acc_migf_data_fops);
	debugfs_create_file("cmd_state", 0400, dir, vf,
			    &hisi_acc_cmd_state_fops);
}
