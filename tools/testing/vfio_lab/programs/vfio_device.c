// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "vfio_device.h"

static void die(struct device *d, const char *what)
{
	fprintf(stderr, "# %s: %s: %s\n", d->bdf, what, strerror(errno));
	exit(1);
}

static int group_number(struct device *d)
{
	char path[PATH_MAX], link[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group",
		 d->bdf);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		die(d, "no IOMMU group");
	link[n] = 0;
	return atoi(basename(link));
}

static void map_ram(struct device *d)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.iova = GUEST_RAM_IOVA,
		.size = GUEST_RAM_SIZE,
	};

	d->guest.ram = mmap(NULL, GUEST_RAM_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (d->guest.ram == MAP_FAILED)
		die(d, "no memory");
	map.vaddr = (uintptr_t)d->guest.ram;
	if (ioctl(d->container, VFIO_IOMMU_MAP_DMA, &map))
		die(d, "VFIO_IOMMU_MAP_DMA");
}

static void enable_bus_master(struct device *d)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	uint16_t command = htole16(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);

	if (ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, &info) ||
	    pwrite(d->fd, &command, 2, info.offset + PCI_COMMAND) != 2)
		die(d, "PCI command register");
}

static void open_group(struct device *d, const char *bdf, const char *prefix, int iommu)
{
	char path[64];

	*d = (struct device) { .bdf = bdf };
	snprintf(path, sizeof(path), "/dev/vfio/%s%d", prefix, group_number(d));
	d->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	d->group = open(path, O_RDWR | O_CLOEXEC);
	if (d->container < 0 || d->group < 0)
		die(d, path);
	if (ioctl(d->group, VFIO_GROUP_SET_CONTAINER, &d->container) ||
	    ioctl(d->container, VFIO_SET_IOMMU, iommu))
		die(d, "VFIO_SET_IOMMU");
}

static void open_vf(struct device *d, const char *name)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_BAR2_REGION_INDEX,
	};

	do
		d->fd = ioctl(d->group, VFIO_GROUP_GET_DEVICE_FD, name);
	while (d->fd < 0 && errno == EAGAIN);
	if (d->fd < 0)
		die(d, "VFIO_GROUP_GET_DEVICE_FD");
	if (ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, &info))
		die(d, "VFIO_DEVICE_GET_REGION_INFO");
	d->bar2 = info.offset;
	d->bar2_size = info.size;
}

void device_open_noiommu(struct device *d, const char *bdf)
{
	open_group(d, bdf, "noiommu-", VFIO_NOIOMMU_IOMMU);
	open_vf(d, bdf);
}

void device_open(struct device *d, const char *bdf)
{
	device_open_as(d, bdf, bdf);
}

void device_open_as(struct device *d, const char *bdf, const char *name)
{
	open_group(d, bdf, "", VFIO_TYPE1v2_IOMMU);
	map_ram(d);
	open_vf(d, name);
	enable_bus_master(d);
	d->guest.regs = mmap(NULL, GUEST_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		       d->fd, d->bar2);
	if (d->guest.regs == MAP_FAILED)
		die(d, "mmap of BAR2");
}

void device_close(struct device *d)
{
	if (d->guest.regs)
		munmap((void *)d->guest.regs, GUEST_BAR_SIZE);
	close(d->fd);
	close(d->group);
	close(d->container);
	if (d->guest.ram)
		munmap(d->guest.ram, GUEST_RAM_SIZE);
}

uint32_t device_read(struct device *d, unsigned int offset)
{
	return hisi_acc_guest_read(&d->guest, offset);
}

void device_write(struct device *d, unsigned int offset, uint32_t value)
{
	hisi_acc_guest_write(&d->guest, offset, value);
}

void device_mailbox_start(struct device *d, uint32_t command, uint64_t base)
{
	hisi_acc_guest_mailbox_start(&d->guest, command, base);
}

uint64_t device_mailbox_end(struct device *d)
{
	return hisi_acc_guest_mailbox_end(&d->guest);
}

uint64_t device_sqc_table(struct device *d)
{
	return hisi_acc_guest_sqc_table(&d->guest);
}

void device_guest_up(struct device *d)
{
	hisi_acc_guest_up(&d->guest);
}

void device_guest_up_owed(struct device *d, uint16_t events)
{
	hisi_acc_guest_up_owed(&d->guest, events);
}

static int feature(struct device *d, uint32_t flags, void *data, size_t size)
{
	uint64_t buf[8] = {};
	struct vfio_device_feature *feature = (void *)buf;

	feature->argsz = sizeof(*feature) + size;
	feature->flags = flags;
	if (size)
		memcpy(feature->data, data, size);
	if (ioctl(d->fd, VFIO_DEVICE_FEATURE, feature))
		return -errno;
	if (size)
		memcpy(data, feature->data, size);
	return 0;
}

int device_feature_u64(struct device *d, uint32_t number, uint64_t *value)
{
	*value = 0;
	return feature(d, VFIO_DEVICE_FEATURE_GET | number, value,
		       sizeof(*value));
}

int device_state(struct device *d)
{
	struct vfio_device_feature_mig_state mig = {};
	int err = feature(d, VFIO_DEVICE_FEATURE_GET |
			  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &mig,
			  sizeof(mig));

	return err ?: (int)mig.device_state;
}

int device_set_state(struct device *d, int state, int *data_fd)
{
	struct vfio_device_feature_mig_state mig = { .device_state = state };
	int err = feature(d, VFIO_DEVICE_FEATURE_SET |
			  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &mig,
			  sizeof(mig));

	if (data_fd)
		*data_fd = err ? -1 : mig.data_fd;
	return err;
}

int device_reset(struct device *d)
{
	int err;

	/* the host may be resetting it at this moment */
	do
		err = ioctl(d->fd, VFIO_DEVICE_RESET) ? -errno : 0;
	while (err == -EAGAIN);
	return err;
}

ssize_t send_data(int fd, const void *bytes, size_t len)
{
	ssize_t n = write(fd, bytes, len);

	return n < 0 ? -errno : n;
}

ssize_t receive_data(int fd, void *bytes, size_t len)
{
	ssize_t n = read(fd, bytes, len);

	return n < 0 ? -errno : n;
}

int event_fd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}
