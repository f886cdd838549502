/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The part of VFIO's user interface that a migration driver, its tests and the
 * kernel's libvfio use: opening a device by its group or by its character device,
 * regions, interrupts, resets, DMA mappings of the type 1 IOMMU, device
 * features, migration.
 *
 * Numbers and layouts are those of Linux 7.2 and 7.3; a program that includes
 * this instead of the kernel's own file gets the same ABI. The lab's
 * tests/packaging/test_uapi_header.py compares every name in it with the
 * kernel's headers of 6.12, 7.2 and 7.3, and lists what is left out: graphics,
 * other buses than PCI, POWER, s390, the first version of migration.
 */
#ifndef _UAPI_LINUX_VFIO_H
#define _UAPI_LINUX_VFIO_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define VFIO_API_VERSION	0

#define VFIO_TYPE	(';')
#define VFIO_BASE	100

/*
 * Most structures begin with argsz, which the caller sets to the size of what
 * it passes, and flags. A size smaller than the kernel needs fails; if there are
 * capabilities, the kernel returns in argsz the size that they need, and the caller
 * repeats the call with that size.
 *
 * Capabilities are a list: next is the offset of the following one from the
 * start of the structure that the caller has passed, 0 in the last.
 */
struct vfio_info_cap_header {
	__u16	id;
	__u16	version;
	__u32	next;
};

/* Container: /dev/vfio/vfio, or /dev/iommu where iommufd emulates it */

/* Extensions that a container may support, and IOMMU types that it may be set to */
#define VFIO_TYPE1_IOMMU	1
#define VFIO_TYPE1v2_IOMMU	3
#define VFIO_DMA_CC_IOMMU	4
#define VFIO_NOIOMMU_IOMMU	8
#define VFIO_UNMAP_ALL		9
#define VFIO_UPDATE_VADDR	10

#define VFIO_GET_API_VERSION	_IO(VFIO_TYPE, VFIO_BASE + 0)
#define VFIO_CHECK_EXTENSION	_IO(VFIO_TYPE, VFIO_BASE + 1)
#define VFIO_SET_IOMMU		_IO(VFIO_TYPE, VFIO_BASE + 2)

/* Group: /dev/vfio/NUMBER */

struct vfio_group_status {
	__u32	argsz;
	__u32	flags;
#define VFIO_GROUP_FLAGS_VIABLE		(1 << 0)	/* all of its devices are VFIO's */
#define VFIO_GROUP_FLAGS_CONTAINER_SET	(1 << 1)
};

#define VFIO_GROUP_GET_STATUS		_IO(VFIO_TYPE, VFIO_BASE + 3)
/* Takes a pointer to the container's file descriptor */
#define VFIO_GROUP_SET_CONTAINER	_IO(VFIO_TYPE, VFIO_BASE + 4)
#define VFIO_GROUP_UNSET_CONTAINER	_IO(VFIO_TYPE, VFIO_BASE + 5)
/* Takes the device's name; returns a file descriptor */
#define VFIO_GROUP_GET_DEVICE_FD	_IO(VFIO_TYPE, VFIO_BASE + 6)

/* Device, however it was opened */

struct vfio_device_info {
	__u32	argsz;
	__u32	flags;
#define VFIO_DEVICE_FLAGS_RESET		(1 << 0)	/* VFIO_DEVICE_RESET works */
#define VFIO_DEVICE_FLAGS_PCI		(1 << 1)
#define VFIO_DEVICE_FLAGS_PLATFORM	(1 << 2)
#define VFIO_DEVICE_FLAGS_CAPS		(1 << 7)
	__u32	num_regions;
	__u32	num_irqs;
	__u32	cap_offset;
	__u32	pad;
};

#define VFIO_DEVICE_GET_INFO	_IO(VFIO_TYPE, VFIO_BASE + 7)

#define VFIO_DEVICE_API_PCI_STRING	"vfio-pci"

/* offset is that of read(), write() and mmap() of the device's file */
struct vfio_region_info {
	__u32	argsz;
	__u32	flags;
#define VFIO_REGION_INFO_FLAG_READ	(1 << 0)
#define VFIO_REGION_INFO_FLAG_WRITE	(1 << 1)
#define VFIO_REGION_INFO_FLAG_MMAP	(1 << 2)
#define VFIO_REGION_INFO_FLAG_CAPS	(1 << 3)
	__u32	index;
	__u32	cap_offset;
	__aligned_u64	size;
	__aligned_u64	offset;
};

#define VFIO_DEVICE_GET_REGION_INFO	_IO(VFIO_TYPE, VFIO_BASE + 8)

/* If present, only these parts of the region can be mapped */
#define VFIO_REGION_INFO_CAP_SPARSE_MMAP	1

struct vfio_region_sparse_mmap_area {
	__aligned_u64	offset;
	__aligned_u64	size;
};

struct vfio_region_info_cap_sparse_mmap {
	struct vfio_info_cap_header header;
	__u32	nr_areas;
	__u32	reserved;
	struct vfio_region_sparse_mmap_area areas[];
};

#define VFIO_REGION_INFO_CAP_TYPE	2

struct vfio_region_info_cap_type {
	struct vfio_info_cap_header header;
	__u32	type;
	__u32	subtype;
};

/* The region may be mapped although an MSI-X table is in it */
#define VFIO_REGION_INFO_CAP_MSIX_MAPPABLE	3

struct vfio_irq_info {
	__u32	argsz;
	__u32	flags;
#define VFIO_IRQ_INFO_EVENTFD		(1 << 0)
#define VFIO_IRQ_INFO_MASKABLE		(1 << 1)
#define VFIO_IRQ_INFO_AUTOMASKED	(1 << 2)
#define VFIO_IRQ_INFO_NORESIZE		(1 << 3)
	__u32	index;
	__u32	count;
};

#define VFIO_DEVICE_GET_IRQ_INFO	_IO(VFIO_TYPE, VFIO_BASE + 9)

/* One kind of data and one action; count of 0 with no data disables the index */
struct vfio_irq_set {
	__u32	argsz;
	__u32	flags;
#define VFIO_IRQ_SET_DATA_NONE		(1 << 0)
#define VFIO_IRQ_SET_DATA_BOOL		(1 << 1)	/* __u8 each */
#define VFIO_IRQ_SET_DATA_EVENTFD	(1 << 2)	/* __s32 each, -1 for none */
#define VFIO_IRQ_SET_ACTION_MASK	(1 << 3)
#define VFIO_IRQ_SET_ACTION_UNMASK	(1 << 4)
#define VFIO_IRQ_SET_ACTION_TRIGGER	(1 << 5)
	__u32	index;
	__u32	start;
	__u32	count;
	__u8	data[];
};

#define VFIO_DEVICE_SET_IRQS	_IO(VFIO_TYPE, VFIO_BASE + 10)

#define VFIO_IRQ_SET_DATA_TYPE_MASK \
	(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_DATA_EVENTFD)
#define VFIO_IRQ_SET_ACTION_TYPE_MASK \
	(VFIO_IRQ_SET_ACTION_MASK | VFIO_IRQ_SET_ACTION_UNMASK | VFIO_IRQ_SET_ACTION_TRIGGER)

#define VFIO_DEVICE_RESET	_IO(VFIO_TYPE, VFIO_BASE + 11)

/* Indexes of a PCI device */

enum {
	VFIO_PCI_BAR0_REGION_INDEX = 0,
	VFIO_PCI_BAR1_REGION_INDEX = 1,
	VFIO_PCI_BAR2_REGION_INDEX = 2,
	VFIO_PCI_BAR3_REGION_INDEX = 3,
	VFIO_PCI_BAR4_REGION_INDEX = 4,
	VFIO_PCI_BAR5_REGION_INDEX = 5,
	VFIO_PCI_ROM_REGION_INDEX = 6,
	VFIO_PCI_CONFIG_REGION_INDEX = 7,
	VFIO_PCI_VGA_REGION_INDEX = 8,
	VFIO_PCI_NUM_REGIONS = 9,
};

enum {
	VFIO_PCI_INTX_IRQ_INDEX = 0,
	VFIO_PCI_MSI_IRQ_INDEX = 1,
	VFIO_PCI_MSIX_IRQ_INDEX = 2,
	VFIO_PCI_ERR_IRQ_INDEX = 3,
	VFIO_PCI_REQ_IRQ_INDEX = 4,
	VFIO_PCI_NUM_IRQS = 5,
};

/* Hot reset: all devices that one reset of a bus or slot affects */

struct vfio_pci_dependent_device {
	union {
		__u32	group_id;
		__u32	devid;
#define VFIO_PCI_DEVID_OWNED		0
#define VFIO_PCI_DEVID_NOT_OWNED	-1
	};
	__u16	segment;
	__u8	bus;
	__u8	devfn;
};

struct vfio_pci_hot_reset_info {
	__u32	argsz;
	__u32	flags;
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID		(1 << 0)
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED	(1 << 1)
	__u32	count;
	struct vfio_pci_dependent_device devices[];
};

#define VFIO_DEVICE_GET_PCI_HOT_RESET_INFO	_IO(VFIO_TYPE, VFIO_BASE + 12)

struct vfio_pci_hot_reset {
	__u32	argsz;
	__u32	flags;
	__u32	count;
	__s32	group_fds[];
};

#define VFIO_DEVICE_PCI_HOT_RESET	_IO(VFIO_TYPE, VFIO_BASE + 13)

/* A write of data at offset whenever the eventfd fires; fd of -1 ends it */
struct vfio_device_ioeventfd {
	__u32	argsz;
	__u32	flags;
#define VFIO_DEVICE_IOEVENTFD_8		(1 << 0)
#define VFIO_DEVICE_IOEVENTFD_16	(1 << 1)
#define VFIO_DEVICE_IOEVENTFD_32	(1 << 2)
#define VFIO_DEVICE_IOEVENTFD_64	(1 << 3)
#define VFIO_DEVICE_IOEVENTFD_SIZE_MASK	(0xf)
	__aligned_u64	offset;
	__aligned_u64	data;
	__s32	fd;
	__u32	reserved;
};

#define VFIO_DEVICE_IOEVENTFD	_IO(VFIO_TYPE, VFIO_BASE + 16)

/* Devices opened by their character device, with iommufd */

struct vfio_device_bind_iommufd {
	__u32	argsz;
	__u32	flags;
#define VFIO_DEVICE_BIND_FLAG_TOKEN	(1 << 0)	/* 6.12 has none */
	__s32	iommufd;
	__u32	out_devid;
	__aligned_u64	token_uuid_ptr;
};

#define VFIO_DEVICE_BIND_IOMMUFD	_IO(VFIO_TYPE, VFIO_BASE + 18)

struct vfio_device_attach_iommufd_pt {
	__u32	argsz;
	__u32	flags;
#define VFIO_DEVICE_ATTACH_PASID	(1 << 0)	/* 6.12 has none */
	__u32	pt_id;
	__u32	pasid;
};

#define VFIO_DEVICE_ATTACH_IOMMUFD_PT	_IO(VFIO_TYPE, VFIO_BASE + 19)

struct vfio_device_detach_iommufd_pt {
	__u32	argsz;
	__u32	flags;
#define VFIO_DEVICE_DETACH_PASID	(1 << 0)	/* 6.12 has none */
	__u32	pasid;
};

#define VFIO_DEVICE_DETACH_IOMMUFD_PT	_IO(VFIO_TYPE, VFIO_BASE + 20)

/*
 * Device features: the number in the low bits of flags, with GET or SET, which
 * the feature's structure follows as data. PROBE checks whether this is supported
 * and needs no data; PROBE with GET or SET checks that one, PROBE with both or with
 * neither checks both.
 *
 * Fails with ENOTTY for a feature that the device does not have, EINVAL for
 * arguments that it does not take.
 */
struct vfio_device_feature {
	__u32	argsz;
	__u32	flags;
#define VFIO_DEVICE_FEATURE_MASK	(0xffff)
#define VFIO_DEVICE_FEATURE_GET		(1 << 16)
#define VFIO_DEVICE_FEATURE_SET		(1 << 17)
#define VFIO_DEVICE_FEATURE_PROBE	(1 << 18)
	__u8	data[];
};

#define VFIO_DEVICE_FEATURE	_IO(VFIO_TYPE, VFIO_BASE + 17)

/* SET, on a PF: the UUID that users of its VFs have to present */
#define VFIO_DEVICE_FEATURE_PCI_VF_TOKEN	(0)

/*
 * GET: which of the states below the device supports. STOP_COPY stands for STOP,
 * STOP_COPY and RESUMING; the others are in addition to it.
 */
struct vfio_device_feature_migration {
	__aligned_u64	flags;
#define VFIO_MIGRATION_STOP_COPY	(1 << 0)
#define VFIO_MIGRATION_P2P		(1 << 1)	/* RUNNING_P2P, PRE_COPY_P2P */
#define VFIO_MIGRATION_PRE_COPY		(1 << 2)	/* PRE_COPY, PRE_COPY_P2P */
};

#define VFIO_DEVICE_FEATURE_MIGRATION	1

/*
 * GET: the state. SET: change it, through the states on the shortest way; if that
 * begins a session, data_fd is its migration file, else -1. On failure the device is
 * in its former state, a state on the way, or ERROR: use GET.
 */
struct vfio_device_feature_mig_state {
	__u32	device_state;
	__s32	data_fd;
};

#define VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE	2

enum vfio_device_mig_state {
	VFIO_DEVICE_STATE_ERROR = 0,		/* only a reset leads out */
	VFIO_DEVICE_STATE_STOP = 1,		/* state cannot change */
	VFIO_DEVICE_STATE_RUNNING = 2,		/* after open and after reset */
	VFIO_DEVICE_STATE_STOP_COPY = 3,	/* stopped; the state is read from the file */
	VFIO_DEVICE_STATE_RESUMING = 4,		/* stopped; a state is written to the file */
	VFIO_DEVICE_STATE_RUNNING_P2P = 5,	/* starts no peer-to-peer DMA */
	VFIO_DEVICE_STATE_PRE_COPY = 6,		/* runs; a part is read from the file */
	VFIO_DEVICE_STATE_PRE_COPY_P2P = 7,
	VFIO_DEVICE_STATE_NR = 8,
};

/*
 * On the migration file, in the two PRE_COPY states: how much can be read now.
 * initial_bytes should be sent before the device stops, dirty_bytes is an estimate of
 * what changed since. A read beyond both fails with ENOMSG; at the end of the
 * migration data, in STOP_COPY only, a read returns 0 bytes.
 */
struct vfio_precopy_info {
	__u32	argsz;
	__u32	flags;		/* undefined unless version 2 was selected */
#define VFIO_PRECOPY_INFO_REINIT	(1 << 0)	/* there is new initial data */
	__aligned_u64	initial_bytes;
	__aligned_u64	dirty_bytes;
};

#define VFIO_MIG_GET_PRECOPY_INFO	_IO(VFIO_TYPE, VFIO_BASE + 21)

/* SET: lowest power state of the platform; the next access or EXIT ends it */
#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY	3

struct vfio_device_low_power_entry_with_wakeup {
	__s32	wakeup_eventfd;
	__u32	reserved;
};

#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP	4
#define VFIO_DEVICE_FEATURE_LOW_POWER_EXIT		5

/* SET: the device tracks which pages in these ranges it writes */
struct vfio_device_feature_dma_logging_control {
	__aligned_u64	page_size;
	__u32	num_ranges;
	__u32	__reserved;
	__aligned_u64	ranges;		/* points to what follows */
};

struct vfio_device_feature_dma_logging_range {
	__aligned_u64	iova;
	__aligned_u64	length;
};

#define VFIO_DEVICE_FEATURE_DMA_LOGGING_START	6
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP	7

/* GET: the dirty bitmap of one range, and clear it in the device; sets bits only */
struct vfio_device_feature_dma_logging_report {
	__aligned_u64	iova;
	__aligned_u64	length;
	__aligned_u64	page_size;
	__aligned_u64	bitmap;
};

#define VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT	8

/* GET, in any state: an estimate of the size of the migration data in STOP_COPY */
struct vfio_device_feature_mig_data_size {
	__aligned_u64	stop_copy_length;
};

#define VFIO_DEVICE_FEATURE_MIG_DATA_SIZE	9

/* SET */
struct vfio_device_feature_bus_master {
	__u32	op;
#define VFIO_DEVICE_FEATURE_CLEAR_MASTER	0
#define VFIO_DEVICE_FEATURE_SET_MASTER		1
};

#define VFIO_DEVICE_FEATURE_BUS_MASTER	10

/* SET, without data, before PRE_COPY: flags of vfio_precopy_info are defined */
#define VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2	12	/* 6.12 has none */

/* A type1 container: its limits, and DMA mappings */

struct vfio_iommu_type1_info {
	__u32	argsz;
	__u32	flags;
#define VFIO_IOMMU_INFO_PGSIZES	(1 << 0)
#define VFIO_IOMMU_INFO_CAPS	(1 << 1)
	__aligned_u64	iova_pgsizes;
	__u32	cap_offset;
	__u32	pad;
};

#define VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE	1

struct vfio_iova_range {
	__u64	start;
	__u64	end;		/* the last address of it */
};

struct vfio_iommu_type1_info_cap_iova_range {
	struct vfio_info_cap_header header;
	__u32	nr_iovas;
	__u32	reserved;
	struct vfio_iova_range iova_ranges[];
};

#define VFIO_IOMMU_GET_INFO	_IO(VFIO_TYPE, VFIO_BASE + 12)

struct vfio_iommu_type1_dma_map {
	__u32	argsz;
	__u32	flags;
#define VFIO_DMA_MAP_FLAG_READ	(1 << 0)	/* the device may read */
#define VFIO_DMA_MAP_FLAG_WRITE	(1 << 1)
#define VFIO_DMA_MAP_FLAG_VADDR	(1 << 2)	/* the memory moved: only vaddr is new */
	__u64	vaddr;
	__u64	iova;
	__u64	size;
};

#define VFIO_IOMMU_MAP_DMA	_IO(VFIO_TYPE, VFIO_BASE + 13)

/* Returns in size how much was unmapped */
struct vfio_iommu_type1_dma_unmap {
	__u32	argsz;
	__u32	flags;
#define VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP	(1 << 0)
#define VFIO_DMA_UNMAP_FLAG_ALL			(1 << 1)
#define VFIO_DMA_UNMAP_FLAG_VADDR		(1 << 2)
	__u64	iova;
	__u64	size;
	__u8	data[];
};

#define VFIO_IOMMU_UNMAP_DMA	_IO(VFIO_TYPE, VFIO_BASE + 14)

#endif
