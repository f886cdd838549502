/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Accesses of a guest to the config space of its VF.
 */
#ifndef VFIO_CONFIG_H
#define VFIO_CONFIG_H

#include <endian.h>
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "vfio_device.h"

/* Where a capability is in the file of the device, or -errno */
static inline off_t config_capability(struct device *d, uint8_t id)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	uint8_t at, cap[2];

	if (ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, &info) ||
	    pread(d->fd, &at, 1, info.offset + PCI_CAPABILITY_LIST) != 1)
		return -errno;
	while (at && pread(d->fd, cap, 2, info.offset + at) == 2) {
		if (cap[0] == id)
			return info.offset + at;
		at = cap[1];
	}
	return -ENOENT;
}

/* 0 or -errno */
static inline int config_change(struct device *d, uint8_t id, int offset, uint16_t clear, uint16_t set)
{
	off_t at = config_capability(d, id);
	uint16_t value;

	if (at < 0)
		return at;
	if (pread(d->fd, &value, 2, at + offset) != 2)
		return -errno;
	value = (value & ~htole16(clear)) | htole16(set);
	return pwrite(d->fd, &value, 2, at + offset) == 2 ? 0 : -errno;
}

/* FLR, whose result a guest does not see: 0 or -errno of the write */
static inline int config_flr(struct device *d)
{
	return config_change(d, PCI_CAP_ID_EXP, PCI_EXP_DEVCTL, 0, PCI_EXP_DEVCTL_BCR_FLR);
}

/* Device Control as it is, as a driver restores it: 0 or -errno */
static inline int config_restore(struct device *d)
{
	return config_change(d, PCI_CAP_ID_EXP, PCI_EXP_DEVCTL, 0, 0);
}

/* Bus mastering: 0 or -errno */
static inline int config_bus_master(struct device *d, bool on)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	uint16_t value;

	if (ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, &info) ||
	    pread(d->fd, &value, 2, info.offset + PCI_COMMAND) != 2)
		return -errno;
	value &= ~htole16(PCI_COMMAND_MASTER);
	if (on)
		value |= htole16(PCI_COMMAND_MASTER);
	return pwrite(d->fd, &value, 2, info.offset + PCI_COMMAND) == 2 ? 0 : -errno;
}

/* Power state: 0 is D0, 3 is D3hot */
static inline int config_power(struct device *d, int state)
{
	return config_change(d, PCI_CAP_ID_PM, PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK, state);
}

#endif
