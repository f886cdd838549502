/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What kernels older than this source lack, for builds out of tree only: the
 * compiler reads this file before any other. Macros
 * COMPAT_* come from Kbuild, which looks into the target's headers: version
 * numbers say little about a distribution's kernel.
 */
#ifndef HISI_ACC_COMPAT_H
#define HISI_ACC_COMPAT_H

#include <linux/hisi_acc_qm.h>
#include <linux/iommu.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uuid.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#ifndef QM_MIG_REGION_SEL
#define QM_MIG_REGION_SEL	0x100198
#define QM_MIG_REGION_EN	BIT(0)
#endif

#ifdef COMPAT_RESET_BLOCK
#include "compat_qm.h"
#define hisi_qm_try_block_reset		compat_qm_try_block_reset
#define hisi_qm_extend_reset_block	compat_qm_extend_reset_block
#define hisi_qm_unblock_reset		compat_qm_unblock_reset
#endif

#ifndef kzalloc_obj
#define kzalloc_obj(obj, gfp)	kzalloc(sizeof(obj), gfp)
#endif

#ifdef COMPAT_STATE_NR
#define VFIO_DEVICE_STATE_NR	(VFIO_DEVICE_STATE_PRE_COPY_P2P + 1)
#endif

#ifdef COMPAT_DIRTY_TRACKING
/* An unknown capability, which no IOMMU driver reports */
#define IOMMU_CAP_DIRTY_TRACKING	((enum iommu_cap)-1)
#endif

#ifdef COMPAT_DEBUG_ROOT
/* The VFIO core has no directory in debugfs there, so neither has this driver */
struct hisi_acc_vf;
static inline void hisi_acc_debugfs_init(struct hisi_acc_vf *vf)
{
}
#endif

#if defined(COMPAT_REGION_INFO) || defined(COMPAT_MATCH_TOKEN)
/*
 * Callbacks that the target's structure has no member for live behind it. They
 * are called from the ones that it has.
 */
struct compat_device_ops {
	union {
		struct vfio_device_ops target;
		struct vfio_device_ops;
	};
#ifdef COMPAT_REGION_INFO
	int (*get_region_info_caps)(struct vfio_device *vdev,
				    struct vfio_region_info *info,
				    struct vfio_info_cap *caps);
#endif
#ifdef COMPAT_MATCH_TOKEN
	/* only .match checks the token there, and does so itself */
	int (*match_token_uuid)(struct vfio_device *vdev, const uuid_t *uuid);
#endif
};

static inline const struct compat_device_ops *
compat_ops(struct vfio_device *vdev)
{
	return container_of(vdev->ops, struct compat_device_ops, target);
}

#define vfio_device_ops compat_device_ops

#undef vfio_alloc_device
#define vfio_alloc_device(type, member, dev, ops)			\
	((struct type *)_vfio_alloc_device(sizeof(struct type) +	\
			BUILD_BUG_ON_ZERO(offsetof(struct type, member)), \
			dev, &(ops)->target))
#endif

#ifdef COMPAT_MATCH_TOKEN
#define vfio_pci_core_match_token_uuid NULL
#endif

#ifdef COMPAT_PRECOPY_CHECK
/* The flags have no meaning there: they are not changed */
static inline int vfio_check_precopy_ioctl(struct vfio_device *vdev,
					   unsigned int cmd, unsigned long arg,
					   struct vfio_precopy_info *info)
{
	const size_t minsz = offsetofend(struct vfio_precopy_info, dirty_bytes);

	if (cmd != VFIO_MIG_GET_PRECOPY_INFO)
		return -ENOTTY;
	if (copy_from_user(info, (void __user *)arg, minsz))
		return -EFAULT;
	return info->argsz < minsz ? -EINVAL : 0;
}
#endif

#ifdef COMPAT_REGION_INFO
/* Describes a BAR of a device without MSI-X: it is not called for others */
static inline int compat_bar_info(struct vfio_device *vdev,
				  struct vfio_region_info *info,
				  struct vfio_info_cap *caps)
{
	struct vfio_pci_core_device *core =
		container_of(vdev, struct vfio_pci_core_device, vdev);

	info->offset = VFIO_PCI_INDEX_TO_OFFSET(info->index);
	info->size = pci_resource_len(core->pdev, info->index);
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (core->bar_mmap_supported[info->index])
		info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	return 0;
}

static inline long compat_core_ioctl(struct vfio_device *vdev, unsigned int cmd,
				     unsigned long arg)
{
	size_t minsz = offsetofend(struct vfio_region_info, offset);
	void __user *uarg = (void __user *)arg;
	struct vfio_region_info info;
	int err;

	if (cmd != VFIO_DEVICE_GET_REGION_INFO ||
	    compat_ops(vdev)->get_region_info_caps == compat_bar_info)
		return vfio_pci_core_ioctl(vdev, cmd, arg);
	if (copy_from_user(&info, uarg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index != VFIO_PCI_BAR2_REGION_INDEX)
		return vfio_pci_core_ioctl(vdev, cmd, arg);
	err = compat_ops(vdev)->get_region_info_caps(vdev, &info, NULL);
	if (err)
		return err;
	return copy_to_user(uarg, &info, minsz) ? -EFAULT : 0;
}

#define vfio_pci_ioctl_get_region_info	compat_bar_info
#define vfio_pci_core_ioctl		compat_core_ioctl
#endif

#endif
