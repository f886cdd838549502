/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a guest does to its function by config space.
 */
#ifndef VFIO_CONFIG_H
#define VFIO_CONFIG_H

#include <endian.h>
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "../../selftests/vfio/hisi_acc_test_device.h"

/* A function level reset, of whose outcome a guest is not told: 0 or -errno of the write */
static inline int config_flr(struct device *d)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	uint16_t control;
	uint8_t at, cap[2];

	if (ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, &info) ||
	    pread(d->fd, &at, 1, info.offset + PCI_CAPABILITY_LIST) != 1)
		return -errno;
	while (pread(d->fd, cap, 2, info.offset + at) == 2 && cap[0] != PCI_CAP_ID_EXP) {
		if (!cap[1])
			return -ENOENT;
		at = cap[1];
	}
	if (pread(d->fd, &control, 2, info.offset + at + PCI_EXP_DEVCTL) != 2)
		return -errno;
	control |= htole16(PCI_EXP_DEVCTL_BCR_FLR);
	return pwrite(d->fd, &control, 2, info.offset + at + PCI_EXP_DEVCTL) == 2 ? 0 : -errno;
}

#endif
