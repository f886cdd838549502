/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files of a VFIO device, which is named by its directory in sysfs. Needs no libvfio.
 *
 * These return the file, or -errno: -ENOENT without a VFIO driver.
 */
#ifndef SELFTESTS_VFIO_OPEN_H
#define SELFTESTS_VFIO_OPEN_H

/* /dev/vfio/devices/vfioN, for iommufd; -ENOENT also on a kernel that has none */
int open_cdev(const char *path);

/*
 * /dev/vfio/PREFIXN of its group, for a container: the prefix is empty, or "noiommu-"
 * without an IOMMU. It exists while VFIO drivers have all devices of the group.
 */
int open_group(const char *path, const char *prefix);

#endif
