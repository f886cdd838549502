// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../selftests/vfio/vfio_open.h"
#include "vfio_device.h"

static void die(struct device *d, const char *what, int err)
{
	fprintf(stderr, "# %s: %s: %s\n", d->bdf, what, strerror(err));
	exit(1);
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
		die(d, "no memory", errno);
	map.vaddr = (uintptr_t)d->guest.ram;
	if (ioctl(d->container, VFIO_IOMMU_MAP_DMA, &map))
		die(d, "VFIO_IOMMU_MAP_DMA", errno);
}

static void join_container(struct device *d, const char *prefix, int iommu)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", d->bdf);
	d->group = open_group(path, prefix);
	if (d->group < 0)
		die(d, "group", -d->group);
	d->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (d->container < 0)
		die(d, "/dev/vfio/vfio", errno);
	if (ioctl(d->group, VFIO_GROUP_SET_CONTAINER, &d->container) ||
	    ioctl(d->container, VFIO_SET_IOMMU, iommu))
		die(d, "VFIO_SET_IOMMU", errno);
}

static void get_device_fd(struct device *d, const char *name)
{
	do
		d->fd = ioctl(d->group, VFIO_GROUP_GET_DEVICE_FD, name);
	while (d->fd < 0 && errno == EAGAIN);
	if (d->fd < 0)
		die(d, "VFIO_GROUP_GET_DEVICE_FD", errno);
}

void device_open_noiommu(struct device *d, const char *bdf)
{
	*d = (struct device) { .bdf = bdf };
	join_container(d, "noiommu-", VFIO_NOIOMMU_IOMMU);
	get_device_fd(d, bdf);
}

void device_open(struct device *d, const char *bdf)
{
	device_open_as(d, bdf, bdf);
}

void device_open_as(struct device *d, const char *bdf, const char *name)
{
	off_t bar2;

	*d = (struct device) { .bdf = bdf };
	join_container(d, "", VFIO_TYPE1v2_IOMMU);
	map_ram(d);
	get_device_fd(d, name);
	bar2 = hisi_acc_guest_map(&d->guest, d->fd);
	if (bar2 < 0)
		die(d, "BAR2", -bar2);
}

void device_close(struct device *d)
{
	if (d->guest.regs)
		hisi_acc_guest_unmap(&d->guest);
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

int device_reset_retried(struct device *d)
{
	int err;

	/* the host may be resetting it at this moment */
	do
		err = device_reset(d->fd);
	while (err == -EAGAIN);
	return err;
}

int event_fd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}
