// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "hisi_acc_guest.h"
#include "lib/drivers/hisi_acc/mailbox.h"

/* In the answer to MB_VFT: the number of the last queue */
#define VFT_LAST	45
#define VFT_LAST_MASK	0x3ff

#define EQ_RING		0x1000
#define AEQ_RING	0x3000
#define SQC_TABLE	(GUEST_SQC_TABLE - GUEST_RAM_IOVA)
#define CQC_TABLE	0x8000
#define EQC		0xb000
#define AEQC		0xb100
#define RING_DEPTH	256

static off_t region_offset(int fd, uint32_t index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	return ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info) ? -errno : (off_t)info.offset;
}

off_t hisi_acc_guest_map(struct hisi_acc_guest *guest, int fd)
{
	off_t config = region_offset(fd, VFIO_PCI_CONFIG_REGION_INDEX);
	off_t bar2 = region_offset(fd, VFIO_PCI_BAR2_REGION_INDEX);
	uint16_t command = htole16(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	void *regs;

	if (config < 0 || bar2 < 0)
		return config < 0 ? config : bar2;
	if (pwrite(fd, &command, sizeof(command), config + PCI_COMMAND) < 0)
		return -errno;
	regs = mmap(NULL, GUEST_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, bar2);
	if (regs == MAP_FAILED)
		return -errno;
	guest->regs = regs;
	return bar2;
}

void hisi_acc_guest_unmap(struct hisi_acc_guest *guest)
{
	munmap((void *)guest->regs, GUEST_BAR_SIZE);
}

uint32_t hisi_acc_guest_read(struct hisi_acc_guest *guest, unsigned int offset)
{
	return le32toh(*(volatile uint32_t *)(guest->regs + offset));
}

void hisi_acc_guest_write(struct hisi_acc_guest *guest, unsigned int offset, uint32_t value)
{
	*(volatile uint32_t *)(guest->regs + offset) = htole32(value);
}

void hisi_acc_guest_mailbox_start(struct hisi_acc_guest *guest, uint32_t command, uint64_t base)
{
	mailbox_store(guest->regs + QM_MAILBOX, command | MB_BUSY | base << 32, base >> 32);
}

uint64_t hisi_acc_guest_mailbox_end(struct hisi_acc_guest *guest)
{
	uint64_t low, high;

	do {
		mailbox_load(guest->regs + QM_MAILBOX, &low, &high);
	} while (low & MB_BUSY);
	return low >> 32 | high << 32;
}

static uint64_t mailbox(struct hisi_acc_guest *guest, uint32_t command, uint64_t base)
{
	hisi_acc_guest_mailbox_start(guest, command, base);
	return hisi_acc_guest_mailbox_end(guest);
}

uint64_t hisi_acc_guest_sqc_table(struct hisi_acc_guest *guest)
{
	return mailbox(guest, MB_SQC_BT | MB_GET, 0);
}

unsigned int hisi_acc_guest_queues(struct hisi_acc_guest *guest)
{
	return (mailbox(guest, MB_VFT | MB_GET, 0) >> VFT_LAST & VFT_LAST_MASK) + 1;
}

static void set_event_queue(struct hisi_acc_guest *guest, uint32_t command, uint32_t at,
			    uint32_t ring, uint16_t tail)
{
	uint32_t words[8] = {
		[0] = htole32(tail << 16),
		[1] = htole32((uint32_t)(GUEST_RAM_IOVA + ring)),
		[2] = htole32((GUEST_RAM_IOVA + ring) >> 32),
		[3] = htole32(2 << 12),
		[6] = htole32((RING_DEPTH - 1) | 1 << 16),
	};

	memcpy(guest->ram + at, words, sizeof(words));
	mailbox(guest, command, GUEST_RAM_IOVA + at);
}

static void bring_up(struct hisi_acc_guest *guest, uint16_t events)
{
	set_event_queue(guest, MB_EQC, EQC, EQ_RING, events);
	set_event_queue(guest, MB_AEQC, AEQC, AEQ_RING, 0);
	mailbox(guest, MB_SQC_BT, GUEST_RAM_IOVA + SQC_TABLE);
	mailbox(guest, MB_CQC_BT, GUEST_RAM_IOVA + CQC_TABLE);
	hisi_acc_guest_write(guest, QM_VF_STATE, 0);
}

void hisi_acc_guest_up(struct hisi_acc_guest *guest)
{
	bring_up(guest, 0);
}

void hisi_acc_guest_up_owed(struct hisi_acc_guest *guest, uint16_t events)
{
	bring_up(guest, events);
	hisi_acc_guest_write(guest, QM_EQ_INT_MASK, 0);
}
