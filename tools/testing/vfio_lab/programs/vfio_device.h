/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VF of an accelerator, opened by its group, with the guest driver of the selftests
 * and their ioctls.
 */
#ifndef VFIO_DEVICE_H
#define VFIO_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/vfio.h>

#include "../../selftests/vfio/hisi_acc_guest.h"
#include "../../selftests/vfio/migration_ioctl.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define DATA_SIZE	176

struct device {
	const char *bdf;
	int container;
	int group;
	int fd;
	struct hisi_acc_guest guest;
};

void device_open(struct device *d, const char *bdf);

/* The same with a name that has additional options for VFIO */
void device_open_as(struct device *d, const char *bdf, const char *name);
/* The same without an IOMMU, as in a guest: neither memory nor BAR2 is mapped */
void device_open_noiommu(struct device *d, const char *bdf);
void device_close(struct device *d);

/* Start the guest driver of the selftests: rings, tables, VF_STATE */
void device_guest_up(struct device *d);
uint64_t device_sqc_table(struct device *d);
uint32_t device_read(struct device *d, unsigned int offset);
void device_write(struct device *d, unsigned int offset, uint32_t value);

/* The same, with so many unconsumed events */
void device_guest_up_owed(struct device *d, uint16_t events);

/* A command of the guest's, in two halves: it may be stopped in between */
void device_mailbox_start(struct device *d, uint32_t command, uint64_t base);
uint64_t device_mailbox_end(struct device *d);

/* Each of these returns a value of the kernel, or -errno */
int device_reset_retried(struct device *d);
int event_fd(void);

#endif
