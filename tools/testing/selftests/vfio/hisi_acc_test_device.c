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

#include "hisi_acc_test_device.h"

#define EQ_INT_MASK	0x0c
#define VF_STATE	0x60
#define MAILBOX		0x300
#define MB_EQC		0x2
#define MB_AEQC		0x3
#define MB_SQC_BT	0x4
#define MB_CQC_BT	0x5
#define MB_BUSY		(1u << 13)
/* Of the answer to MB_VFT: the number of the function's last queue */
#define VFT_LAST	45
#define VFT_LAST_MASK	0x3ff

#define RAM_SIZE	0x10000
#define RAM_IOVA	0x10000000ull
#define EQ_RING		0x1000
#define AEQ_RING	0x3000
#define SQC_TABLE	(SQC_TABLE_IOVA - RAM_IOVA)
#define CQC_TABLE	0x8000
#define EQC		0xb000
#define AEQC		0xb100
#define RING_DEPTH	256

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
		.iova = RAM_IOVA,
		.size = RAM_SIZE,
	};

	d->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (d->ram == MAP_FAILED)
		die(d, "no memory");
	map.vaddr = (uintptr_t)d->ram;
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

void device_open(struct device *d, const char *bdf)
{
	device_open_as(d, bdf, bdf);
}

void device_open_as(struct device *d, const char *bdf, const char *name)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_BAR2_REGION_INDEX,
	};
	char path[64];

	*d = (struct device) { .bdf = bdf };
	snprintf(path, sizeof(path), "/dev/vfio/%d", group_number(d));
	d->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	d->group = open(path, O_RDWR | O_CLOEXEC);
	if (d->container < 0 || d->group < 0)
		die(d, path);
	if (ioctl(d->group, VFIO_GROUP_SET_CONTAINER, &d->container) ||
	    ioctl(d->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		die(d, "VFIO_SET_IOMMU");
	map_ram(d);
	do
		d->fd = ioctl(d->group, VFIO_GROUP_GET_DEVICE_FD, name);
	while (d->fd < 0 && errno == EAGAIN);
	if (d->fd < 0)
		die(d, "VFIO_GROUP_GET_DEVICE_FD");
	enable_bus_master(d);
	if (ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, &info))
		die(d, "VFIO_DEVICE_GET_REGION_INFO");
	d->bar2 = info.offset;
	d->regs = mmap(NULL, BAR2_HALF, PROT_READ | PROT_WRITE, MAP_SHARED,
		       d->fd, d->bar2);
	if (d->regs == MAP_FAILED)
		die(d, "mmap of BAR2");
}

void device_close(struct device *d)
{
	munmap((void *)d->regs, BAR2_HALF);
	close(d->fd);
	close(d->group);
	close(d->container);
	munmap(d->ram, RAM_SIZE);
}

uint32_t device_read(struct device *d, unsigned int offset)
{
	return le32toh(*(volatile uint32_t *)(d->regs + offset));
}

void device_write(struct device *d, unsigned int offset, uint32_t value)
{
	*(volatile uint32_t *)(d->regs + offset) = htole32(value);
}

/* One store of 16 bytes, as the device wants it */
void device_mailbox_start(struct device *d, uint32_t command, uint64_t base)
{
	volatile void *reg = d->regs + MAILBOX;
	uint64_t lo = command | MB_BUSY | base << 32, hi = base >> 32;

	asm volatile("dsb st; stp %x0, %x1, [%2]"
		     :: "r" (lo), "r" (hi), "r" (reg) : "memory");
}

uint64_t device_mailbox_end(struct device *d)
{
	while (device_read(d, MAILBOX) & MB_BUSY)
		;
	return (uint64_t)device_read(d, MAILBOX + 8) << 32 |
	       device_read(d, MAILBOX + 4);
}

static uint64_t mailbox(struct device *d, uint32_t command, uint64_t base)
{
	device_mailbox_start(d, command, base);
	return device_mailbox_end(d);
}

uint64_t device_sqc_table(struct device *d)
{
	return mailbox(d, MB_SQC_BT | MB_GET, 0);
}

unsigned int device_queues(struct device *d)
{
	return (mailbox(d, MB_VFT | MB_GET, 0) >> VFT_LAST & VFT_LAST_MASK) + 1;
}

static void set_event_queue(struct device *d, uint32_t command, uint32_t at,
			    uint32_t ring, uint16_t tail)
{
	uint32_t words[8] = {
		[0] = htole32(tail << 16),
		[1] = htole32((uint32_t)(RAM_IOVA + ring)),
		[2] = htole32((RAM_IOVA + ring) >> 32),
		[3] = htole32(2 << 12),
		[6] = htole32((RING_DEPTH - 1) | 1 << 16),
	};

	memcpy(d->ram + at, words, sizeof(words));
	mailbox(d, command, RAM_IOVA + at);
}

static void guest_up(struct device *d, uint16_t events)
{
	set_event_queue(d, MB_EQC, EQC, EQ_RING, events);
	set_event_queue(d, MB_AEQC, AEQC, AEQ_RING, 0);
	mailbox(d, MB_SQC_BT, RAM_IOVA + SQC_TABLE);
	mailbox(d, MB_CQC_BT, RAM_IOVA + CQC_TABLE);
	device_write(d, VF_STATE, 0);
}

void device_guest_up(struct device *d)
{
	guest_up(d, 0);
}

void device_guest_up_owed(struct device *d, uint16_t events)
{
	guest_up(d, events);
	device_write(d, EQ_INT_MASK, 0);
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

int device_set_feature(struct device *d, uint32_t number)
{
	return feature(d, VFIO_DEVICE_FEATURE_SET | number, NULL, 0);
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

ssize_t send_image(int fd, const void *bytes, size_t len)
{
	ssize_t n = write(fd, bytes, len);

	return n < 0 ? -errno : n;
}

ssize_t receive_image(int fd, void *bytes, size_t len)
{
	ssize_t n = read(fd, bytes, len);

	return n < 0 ? -errno : n;
}

uint64_t field(const uint8_t *image, unsigned int offset, unsigned int size)
{
	uint64_t value = 0;

	memcpy(&value, image + offset, size);
	return value;
}

void put(uint8_t *image, unsigned int offset, uint64_t value,
	 unsigned int size)
{
	memcpy(image + offset, &value, size);
}

/* CRC-32 as in Ethernet, with the checksum's own word as 0 */
uint32_t image_checksum(const uint8_t *image)
{
	uint32_t crc = ~0u;

	for (unsigned int i = 0; i < IMAGE_SIZE; i++) {
		crc ^= i >= 136 && i < 140 ? 0 : image[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

void sign_image(uint8_t *image)
{
	if (field(image, 30, 2))
		put(image, 136, image_checksum(image), 4);
}

int event_fd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}
