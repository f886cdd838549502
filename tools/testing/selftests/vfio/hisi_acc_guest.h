/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver of a guest for a VF of a HiSilicon accelerator: as much of it as gives
 * the VF a state. Submits no request. Needs no libvfio.
 */
#ifndef HISI_ACC_GUEST_H
#define HISI_ACC_GUEST_H

#include <stdint.h>
#include <sys/types.h>

#include "lib/drivers/hisi_acc/registers.h"

#define GUEST_BAR_SIZE		0x8000
#define GUEST_RAM_SIZE		0x10000
#define GUEST_RAM_IOVA		0x10000000ull
#define GUEST_SQC_TABLE		0x10005000ull

struct hisi_acc_guest {
	volatile void *regs;	/* GUEST_BAR_SIZE of BAR 2 */
	uint8_t *ram;		/* GUEST_RAM_SIZE, mapped at GUEST_RAM_IOVA */
};

/*
 * Let the VF with this file of VFIO access memory, and map its registers; returns the
 * offset of BAR 2 in the file, or -errno
 */
off_t hisi_acc_guest_map(struct hisi_acc_guest *guest, int fd);
void hisi_acc_guest_unmap(struct hisi_acc_guest *guest);

uint32_t hisi_acc_guest_read(struct hisi_acc_guest *guest, unsigned int offset);
void hisi_acc_guest_write(struct hisi_acc_guest *guest, unsigned int offset, uint32_t value);

/* A mailbox command in two halves: the VF may be stopped in between */
void hisi_acc_guest_mailbox_start(struct hisi_acc_guest *guest, uint32_t command, uint64_t base);
uint64_t hisi_acc_guest_mailbox_end(struct hisi_acc_guest *guest);

/* Set up rings and tables, and clear VF_STATE */
void hisi_acc_guest_up(struct hisi_acc_guest *guest);
/* The same, with so many events that were not consumed */
void hisi_acc_guest_up_owed(struct hisi_acc_guest *guest, uint16_t events);

/* The address of the table of SQ contexts that the device has, 0 if none */
uint64_t hisi_acc_guest_sqc_table(struct hisi_acc_guest *guest);
/* The number of queues that the device reports for the VF */
unsigned int hisi_acc_guest_queues(struct hisi_acc_guest *guest);

#endif
