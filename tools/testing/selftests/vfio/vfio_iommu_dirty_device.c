// SPDX-License-Identifier: GPL-2.0
/*
 * A device opened by its character device, and what tests need of PCI. The kinds
 * know the registers that make it access memory.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "vfio_iommu_dirty.h"
#include "vfio_open.h"

/* Since 6.6 */
#define BIND_IOMMUFD	_IO(VFIO_TYPE, VFIO_BASE + 18)
#define ATTACH_TABLE	_IO(VFIO_TYPE, VFIO_BASE + 19)

struct dma_id {
	uint16_t vendor, device;
	const struct dma_kind *kind;
};

static const struct dma_id known[] = {
	{ 0x19e5, 0xa256, &accelerator_kind },	/* SEC's virtual function */
	{ 0x19e5, 0xa251, &accelerator_kind },	/* ZIP's */
	{ 0x19e5, 0xa259, &accelerator_kind },	/* HPRE's */
	{ 0x1234, 0x11e8, &edu_kind },
	{ 0x1af4, 0x1042, &virtio_blk_kind },
};

void die(struct device *d, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "%s: ", d->bdf);
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(1);
}

uint64_t device_region(struct device *d, unsigned int index, uint64_t *size)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, &info))
		die(d, "region %u: %s", index, strerror(errno));
	if (size)
		*size = info.size;
	return info.offset;
}

void *device_mmap(struct device *d, unsigned int bar)
{
	uint64_t size, offset = device_region(d, VFIO_PCI_BAR0_REGION_INDEX + bar, &size);
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, offset);

	if (map == MAP_FAILED)
		die(d, "BAR %u cannot be mapped: %s", bar, strerror(errno));
	return map;
}

uint64_t device_config(struct device *d, unsigned int offset, unsigned int size)
{
	uint64_t value = 0;

	if (pread(d->fd, &value, size, d->config + offset) != size)
		die(d, "configuration space at %#x: %s", offset, strerror(errno));
	return value;
}

void device_open(struct device *d, struct space *space, const char *bdf)
{
	struct { uint32_t argsz, flags; int32_t iommufd; uint32_t id; } bind = {
		.argsz = sizeof(bind), .iommufd = space->fd
	};
	char path[PATH_MAX];
	uint32_t id;

	*d = (struct device) { .bdf = bdf, .space = space };
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", bdf);
	d->fd = open_cdev(path);
	if (d->fd < 0)
		die(d, "no character device of VFIO: %s", strerror(-d->fd));
	if (ioctl(d->fd, BIND_IOMMUFD, &bind))
		die(d, "cannot be bound to iommufd: %s", strerror(errno));
	d->id = bind.id;
	d->config = device_region(d, VFIO_PCI_CONFIG_REGION_INDEX, NULL);
	id = device_config(d, PCI_VENDOR_ID, 4);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].vendor == (id & 0xffff) && known[i].device == id >> 16)
			d->kind = known[i].kind;
	}
	if (!d->kind)
		die(d, "%04x:%04x is no device that this test can make access memory",
		    id & 0xffff, id >> 16);
}

int device_attach(struct device *d, uint32_t table)
{
	struct { uint32_t argsz, flags, table; } attach = { sizeof(attach), 0, table };

	return ioctl(d->fd, ATTACH_TABLE, &attach) ? -errno : 0;
}

void device_start(struct device *d)
{
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	/* EINVAL: a device that has no reset */
	if (ioctl(d->fd, VFIO_DEVICE_RESET) && errno != EINVAL)
		die(d, "reset: %s", strerror(errno));
	if (pwrite(d->fd, &command, 2, d->config + PCI_COMMAND) != 2)
		die(d, "command register: %s", strerror(errno));
	d->kind->set_up(d);
}

void device_close(struct device *d)
{
	close(d->fd);
}

size_t device_write(struct device *d, uint64_t iova, size_t len)
{
	size_t done;

	/* order the CPU's stores before, and the device's writes after */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	done = d->kind->access(d, iova, len, true);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return done;
}

size_t device_read(struct device *d, uint64_t iova, size_t len)
{
	return d->kind->access(d, iova, len, false);
}
