// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that access memory on demand: a VF of a HiSilicon accelerator writes and
 * reads queue contexts by mailbox, QEMU's edu copies up to a page, QEMU's virtio-blk
 * whole sectors, in a thread of its own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "lib/drivers/hisi_acc/mailbox.h"
#include "lib/drivers/hisi_acc/registers.h"
#include "vfio_iommu_dirty.h"

/* Accelerator: the context of the event queue is dumped, or loaded */
#define EQC_BYTES	28

static void accelerator_set_up(struct device *d)
{
	d->regs = device_mmap(d, 2);
}

static size_t accelerator_access(struct device *d, uint64_t iova, size_t len, bool write)
{
	volatile uint8_t *mailbox = d->regs + QM_MAILBOX;
	uint64_t low = MB_EQC | MB_BUSY | (write ? MB_GET : 0) | iova << 32, high = iova >> 32;

	(void)len;
	mailbox_store(mailbox, low, high);
	do {
		mailbox_load(mailbox, &low, &high);
	} while (low & MB_BUSY);
	return EQC_BYTES;
}

const struct dma_kind accelerator_kind = {
	"accelerator", accelerator_set_up, accelerator_access
};

/* edu: one copy between memory and 4 KiB of its own */
#define EDU_SOURCE	0x80
#define EDU_TARGET	0x88
#define EDU_COUNT	0x90
#define EDU_COMMAND	0x98
#define EDU_RUN		(1u << 0)
#define EDU_TO_MEMORY	(1u << 1)
#define EDU_BUFFER	0x40000

static void edu_set_up(struct device *d)
{
	d->regs = device_mmap(d, 0);
}

static size_t edu_access(struct device *d, uint64_t iova, size_t len, bool write)
{
	*(volatile uint64_t *)(d->regs + EDU_SOURCE) = write ? EDU_BUFFER : iova;
	*(volatile uint64_t *)(d->regs + EDU_TARGET) = write ? iova : EDU_BUFFER;
	*(volatile uint64_t *)(d->regs + EDU_COUNT) = len;
	*(volatile uint64_t *)(d->regs + EDU_COMMAND) = EDU_RUN | (write ? EDU_TO_MEMORY : 0);
	while (*(volatile uint64_t *)(d->regs + EDU_COMMAND) & EDU_RUN)
		;
	return len;
}

const struct dma_kind edu_kind = { "edu", edu_set_up, edu_access };

/*
 * virtio-blk: one request at a time. Its rings lie outside of what is compared.
 */
#define RING_IOVA	0x20000000ull
#define RING_SIZE	8
#define SECTOR		512

struct virtio_blk {
	volatile struct virtio_pci_common_cfg *common;
	volatile uint16_t *notify;
	struct ring {
		struct vring_desc desc[RING_SIZE];
		struct { uint16_t flags, idx, ring[RING_SIZE]; } avail;
		struct { uint32_t type, reserved; uint64_t sector; } header;
		uint8_t status;
		struct {
			_Alignas(16) uint16_t flags;
			uint16_t idx;
			struct vring_used_elem ring[RING_SIZE];
		} used;
	} *ring;
};

/* Find a virtio structure in the BARs */
static volatile uint8_t *virtio_structure(struct device *d, unsigned int type, uint32_t *extra)
{
	unsigned int at = device_config(d, PCI_CAPABILITY_LIST, 1);

	for (; at; at = device_config(d, at + PCI_CAP_LIST_NEXT, 1)) {
		if (device_config(d, at, 1) != PCI_CAP_ID_VNDR ||
		    device_config(d, at + 3, 1) != type)
			continue;
		if (extra)
			*extra = device_config(d, at + 16, 4);
		return (volatile uint8_t *)device_mmap(d, device_config(d, at + 4, 1)) +
		       device_config(d, at + 8, 4);
	}
	die(d, "no structure %u of virtio", type);
}

static void virtio_blk_set_up(struct device *d)
{
	static uint64_t next_ring = RING_IOVA;
	struct virtio_blk *blk = calloc(1, sizeof(*blk));
	uint64_t ring = next_ring;
	volatile struct virtio_pci_common_cfg *common;
	volatile uint8_t *notify;
	uint32_t scale;
	int err;

	d->blk = blk;
	blk->ring = mmap(NULL, DIRTY_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	next_ring += DIRTY_PAGE;
	blk->ring->avail.flags = VRING_AVAIL_F_NO_INTERRUPT;
	err = space_map(d->space, blk->ring, DIRTY_PAGE, ring, true);
	if (err)
		die(d, "its ring: %s", strerror(-err));

	common = (void *)virtio_structure(d, VIRTIO_PCI_CAP_COMMON_CFG, NULL);
	blk->common = common;
	notify = virtio_structure(d, VIRTIO_PCI_CAP_NOTIFY_CFG, &scale);
	common->device_status = 0;
	while (common->device_status)
		;
	common->device_status = 1 | 2;		/* acknowledged, there is a driver */
	common->guest_feature_select = 1;
	common->guest_feature = 1 << 0 | 1 << 1;	/* version 1, by the IOMMU */
	common->device_status = 1 | 2 | 8;
	common->queue_select = 0;
	common->queue_size = RING_SIZE;
	common->queue_desc_lo = ring + offsetof(struct ring, desc);
	common->queue_desc_hi = 0;
	common->queue_avail_lo = ring + offsetof(struct ring, avail);
	common->queue_avail_hi = 0;
	common->queue_used_lo = ring + offsetof(struct ring, used);
	common->queue_used_hi = 0;
	common->queue_enable = 1;
	blk->notify = (void *)(notify + common->queue_notify_off * scale);
	common->device_status = 1 | 2 | 8 | 4;
	if (!(common->device_status & 8) || common->device_status & 0xc0)
		die(d, "status %#x", common->device_status);
}

static size_t virtio_blk_access(struct device *d, uint64_t iova, size_t len, bool write)
{
	struct virtio_blk *blk = d->blk;
	struct ring *ring = blk->ring;
	uint64_t base = RING_IOVA;
	uint16_t idx = ring->avail.idx;

	len = (len + SECTOR - 1) / SECTOR * SECTOR;
	base = blk->common->queue_desc_lo;
	ring->header.type = write ? 0 : 1;	/* a read of the disk writes memory */
	ring->status = 0xff;
	ring->desc[0] = (struct vring_desc) {
		base + offsetof(struct ring, header), 16, VRING_DESC_F_NEXT, 1
	};
	ring->desc[1] = (struct vring_desc) {
		iova, len, VRING_DESC_F_NEXT | (write ? VRING_DESC_F_WRITE : 0), 2
	};
	ring->desc[2] = (struct vring_desc) {
		base + offsetof(struct ring, status), 1, VRING_DESC_F_WRITE, 0
	};
	ring->avail.ring[idx % RING_SIZE] = 0;
	__atomic_store_n(&ring->avail.idx, idx + 1, __ATOMIC_SEQ_CST);
	*blk->notify = 0;
	while (__atomic_load_n(&ring->used.idx, __ATOMIC_SEQ_CST) != (uint16_t)(idx + 1)) {
		/* otherwise the device rejected the request */
		if (blk->common->device_status & 0x40)
			die(d, "needs a reset");
	}
	return len;
}

const struct dma_kind virtio_blk_kind = {
	"virtio-blk", virtio_blk_set_up, virtio_blk_access
};
