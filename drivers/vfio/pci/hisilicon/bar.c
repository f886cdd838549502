// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's part of BAR2.
 *
 * Where the migration registers are in the upper half of the BAR, userspace gets
 * the lower half only, by every way to access it. Without migration, and where
 * these registers are elsewhere, it gets the whole BAR.
 */
#include <linux/mm.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "hisi_acc_vfio_pci.h"

/* How much of an access that starts at @pos is inside; 0 is none */
static size_t hisi_acc_bar_clip(struct hisi_acc_vf *vf, loff_t pos,
				size_t count)
{
	u64 offset = pos & VFIO_PCI_OFFSET_MASK;

	if (VFIO_PCI_OFFSET_TO_INDEX(pos) != HISI_ACC_BAR)
		return count;
	if (offset >= vf->guest_bar_len)
		return 0;
	return min_t(u64, count, vf->guest_bar_len - offset);
}

/**
 * hisi_acc_bar_read() - vfio_device_ops.read, within the guest's part
 * @vdev: the VF
 * @buf: where to
 * @count: how much
 * @ppos: from where
 *
 * Return: what vfio_pci_core_read() does for the part inside, or -EINVAL.
 */
ssize_t hisi_acc_bar_read(struct vfio_device *vdev, char __user *buf,
			  size_t count, loff_t *ppos)
{
	size_t inside = hisi_acc_bar_clip(hisi_acc_vf(vdev), *ppos, count);

	if (count && !inside)
		return -EINVAL;
	return vfio_pci_core_read(vdev, buf, inside, ppos);
}

/**
 * hisi_acc_bar_write() - vfio_device_ops.write, within the guest's part
 * @vdev: the VF
 * @buf: what to write
 * @count: how much
 * @ppos: where
 *
 * Return: what vfio_pci_core_write() does for the part inside, -EINVAL, or -EINTR
 * of a reset.
 */
ssize_t hisi_acc_bar_write(struct vfio_device *vdev, const char __user *buf,
			   size_t count, loff_t *ppos)
{
	size_t inside = hisi_acc_bar_clip(hisi_acc_vf(vdev), *ppos, count);

	if (count && !inside)
		return -EINVAL;
	if (hisi_acc_vf(vdev)->pf_qm &&
	    VFIO_PCI_OFFSET_TO_INDEX(*ppos) == VFIO_PCI_CONFIG_REGION_INDEX)
		return hisi_acc_access_config_write(hisi_acc_vf(vdev), buf,
						    count, ppos);
	return vfio_pci_core_write(vdev, buf, inside, ppos);
}

/**
 * hisi_acc_bar_mmap() - vfio_device_ops.mmap, within the guest's part
 * @vdev: the VF
 * @vma: the mapping, all of it inside or it is refused
 *
 * Return: what vfio_pci_core_mmap() does, or -EINVAL.
 */
int hisi_acc_bar_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	struct hisi_acc_vf *vf = hisi_acc_vf(vdev);
	loff_t pos = (loff_t)vma->vm_pgoff << PAGE_SHIFT;
	u64 length = vma->vm_end - vma->vm_start;

	if (hisi_acc_bar_clip(vf, pos, length) != length)
		return -EINVAL;
	return vfio_pci_core_mmap(vdev, vma);
}

/**
 * hisi_acc_bar_ioctl() - vfio_device_ops.ioctl, without the ways around
 * @vdev: the VF
 * @cmd: the request
 * @arg: its argument
 *
 * An ioeventfd makes the kernel write to the BAR. Its offset is read from
 * memory of userspace once more by vfio-pci-core, so a check here could be
 * outrun; no driver of these devices has a use for it. Without migration there
 * is nothing in the BAR to keep it from.
 *
 * Return: what vfio_pci_core_ioctl() does, or -ENOTTY.
 */
long hisi_acc_bar_ioctl(struct vfio_device *vdev, unsigned int cmd,
			unsigned long arg)
{
	struct hisi_acc_vf *vf = hisi_acc_vf(vdev);

	if (vf->pf_qm && cmd == VFIO_DEVICE_IOEVENTFD)
		return -ENOTTY;
	if (vf->pf_qm && cmd == VFIO_DEVICE_RESET)
		return hisi_acc_access_reset(vf, arg);
	return vfio_pci_core_ioctl(vdev, cmd, arg);
}

/**
 * hisi_acc_bar_region_info() - vfio_device_ops.get_region_info_caps
 * @vdev: the VF
 * @info: the region
 * @caps: its capabilities
 *
 * Return: what vfio_pci_ioctl_get_region_info() does, with the true size.
 */
int hisi_acc_bar_region_info(struct vfio_device *vdev,
			     struct vfio_region_info *info,
				struct vfio_info_cap *caps)
{
	int err = vfio_pci_ioctl_get_region_info(vdev, info, caps);

	if (!err && info->index == HISI_ACC_BAR)
		info->size = hisi_acc_vf(vdev)->guest_bar_len;
	return err;
}
