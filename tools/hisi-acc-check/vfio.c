// SPDX-License-Identifier: GPL-2.0
/*
 * What only an open VF has: whether its IOMMU tracks dirty pages, its features, the
 * match data that a migration would send.
 *
 * The kernel resets a VF when it is opened and when it is closed, and nothing else
 * can open it meanwhile. Nothing is mapped, and no DMA is possible.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/types.h>
#include <linux/vfio.h>

#include "check.h"

#define BAR2			2
#define MATCH_SIZE		40
#define DATA_MAGIC		0xaaccfeeddecadedeULL

/* Of <linux/iommufd.h>, which is younger than the headers of many a machine */
struct hw_info {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 data_len;
	__u64 data;
	__u32 data_type;
	__u8 reserved[4];
	__u64 capabilities;
};

#define GET_HW_INFO		_IO(';', 0x8a)
#define HAS_DIRTY_TRACKING	0x1

/* The match part of migration data, little-endian as the machines that have it */
struct match_data {
	__u64 magic;
	__u32 qp_num;
	__u32 dev_id;
	__u32 que_iso_cfg;
	__u32 qp_base;
	__u32 guest_state;
	__u16 major;
	__u16 minor;
	__u32 hw_version;
	__u32 bar_layout;
};

static_assert(sizeof(struct match_data) == MATCH_SIZE);

/* An ioctl of a feature, whose data is up to eight bytes; 0 or -errno */
static int vfio_feature(int device, __u32 flags, void *data, size_t size)
{
	union {
		struct vfio_device_feature header;
		__u64 words[2];
	} feature = { .header = { .argsz = sizeof(feature.header) + size, .flags = flags } };

	memcpy(feature.header.data, data, size);
	if (ioctl(device, VFIO_DEVICE_FEATURE, &feature))
		return -errno;
	memcpy(data, feature.header.data, size);
	return 0;
}

/* Requests a state; the migration file, or -errno */
static int vfio_set_state(int device, __u32 state)
{
	struct vfio_device_feature_mig_state arg = { .device_state = state, .data_fd = -1 };
	int err = vfio_feature(device, VFIO_DEVICE_FEATURE_SET |
			       VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &arg, sizeof(arg));

	return err ?: arg.data_fd;
}

static void vfio_query_features(struct vf *vf, int device)
{
	struct vfio_device_feature_migration arg = { 0 };
	int err = vfio_feature(device, VFIO_DEVICE_FEATURE_GET |
			       VFIO_DEVICE_FEATURE_MIGRATION, &arg, sizeof(arg));

	if (err && err != -ENOTTY)
		return;
	vf_set_features(vf, arg.flags & VFIO_MIGRATION_STOP_COPY, arg.flags & VFIO_MIGRATION_P2P,
			arg.flags & VFIO_MIGRATION_PRE_COPY);
}

static void vfio_query_dirty(struct vf *vf, int iommu, __u32 id)
{
	struct hw_info info = { .size = sizeof(info), .dev_id = id };

	if (!ioctl(iommu, GET_HW_INFO, &info))
		vf->dirty = info.capabilities & HAS_DIRTY_TRACKING ? KNOWN_YES : KNOWN_NO;
	else if (errno == ENOTTY || errno == EOPNOTSUPP)
		/* a kernel before 6.7, whose IOMMU drivers do not report dirty pages */
		vf->dirty = KNOWN_NO;
}

static void vfio_query_bar(struct vf *vf, int device, uint64_t whole)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = BAR2 };

	if (!ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info) && info.size && whole)
		vf->match.bar_layout = info.size == whole ? 2 : 1;
}

/*
 * The beginning of the data of a migration: it starts, and ends when that was read.
 * Where dirty pages are not tracked, this driver logs a warning, which monitoring
 * takes for the loss of a guest's data: not there.
 */
static void vfio_query_match(struct vf *vf, int device)
{
	struct match_data data;
	ssize_t len;
	int file;

	if (vf->migration != KNOWN_YES || vf->dirty != KNOWN_YES)
		return;
	file = vfio_set_state(device, VFIO_DEVICE_STATE_PRE_COPY);
	if (file < 0)
		return;
	len = read(file, &data, sizeof(data));
	close(file);
	vfio_set_state(device, VFIO_DEVICE_STATE_RUNNING);
	if (len != sizeof(data))
		return;
	vf->match.queues = data.qp_num;
	vf->match.isolation = data.que_iso_cfg;
	vf->match.isolation_known = true;
	/* words of minor version 1 */
	if (data.magic == DATA_MAGIC && data.minor) {
		vf->match.hw_version = data.hw_version;
		vf->match.bar_layout = data.bar_layout;
	}
}

/*
 * What this driver's debugfs files have of an open VF, whoever has it open. The VF
 * does not see that doorbell isolation which the PF's driver has set.
 */
static void vfio_query_debugfs(struct vf *vf)
{
	char text[1024];
	uint32_t queues, version;

	if (files_read(text, sizeof(text), "/sys/kernel/debug/vfio/%s/migration/hisi_acc/dev_data",
		       vf->address))
		return;
	if (sscanf(text, "queues: %u from %*u on hardware version: 0x%x", &queues, &version) != 2)
		return;
	if (!vf->match.queues)
		vf->match.queues = queues;
	if (!vf->match.hw_version)
		vf->match.hw_version = version;
	/* the registers of later versions may be in the PF's BAR */
	if (!vf->match.bar_layout && version == HW_V3)
		vf->match.bar_layout = 1;
}

static void vfio_query_open(struct vf *vf, int iommu, int device)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommu };

	if (ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind)) {
		/* EINVAL: it is open by the other device file */
		if (errno == EBUSY || errno == EINVAL)
			vf->in_use = KNOWN_YES;
		snprintf(vf->trouble, TEXT_SIZE, "it cannot be opened: %s", strerror(errno));
		return;
	}
	vf->in_use = KNOWN_NO;
	vfio_query_dirty(vf, iommu, bind.out_devid);
	vfio_query_features(vf, device);
	vfio_query_bar(vf, device, vf_bar_size(vf));
	vfio_query_match(vf, device);
	vfio_query_debugfs(vf);
}

/*
 * Opens the VF, unless a process has it open: then there are files of it in debugfs.
 * To read these of another VF would wake the device.
 */
void vfio_query(struct vf *vf, bool may_open)
{
	char path[NAME_SIZE * 2];
	int iommu, device;

	if (vf->in_use == KNOWN_YES)
		vfio_query_debugfs(vf);
	if (!may_open || vf->in_use == KNOWN_YES)
		return;
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", vf->cdev);
	iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	device = iommu < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);
	if (device < 0)
		snprintf(vf->trouble, TEXT_SIZE, "%.100s cannot be opened: %s",
			 iommu < 0 ? "/dev/iommu" : path, strerror(errno));
	else
		vfio_query_open(vf, iommu, device);
	if (device >= 0)
		close(device);
	if (iommu >= 0)
		close(iommu);
}
