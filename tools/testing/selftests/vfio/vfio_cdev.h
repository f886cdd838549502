/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The character device of a VFIO device, for iommufd.
 */
#ifndef SELFTESTS_VFIO_CDEV_H
#define SELFTESTS_VFIO_CDEV_H

/*
 * Open /dev/vfio/devices/vfioN of the device whose folder in sysfs this is; returns
 * the file, or -errno: -ENOENT without a VFIO driver, or a kernel that has no such
 * files.
 */
int open_cdev(const char *path);

#endif
