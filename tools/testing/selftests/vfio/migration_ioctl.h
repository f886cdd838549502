/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Migration of a VFIO device whose file is open, by plain ioctls. Needs no libvfio.
 *
 * These return a value, or -errno.
 */
#ifndef SELFTESTS_VFIO_MIGRATION_IOCTL_H
#define SELFTESTS_VFIO_MIGRATION_IOCTL_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <linux/vfio.h>

#define STOP		VFIO_DEVICE_STATE_STOP
#define RUNNING		VFIO_DEVICE_STATE_RUNNING
#define STOP_COPY	VFIO_DEVICE_STATE_STOP_COPY
#define RESUMING	VFIO_DEVICE_STATE_RESUMING
#define RUNNING_P2P	VFIO_DEVICE_STATE_RUNNING_P2P
#define PRE_COPY	VFIO_DEVICE_STATE_PRE_COPY
#define PRE_COPY_P2P	VFIO_DEVICE_STATE_PRE_COPY_P2P

#define FEATURE_HEADER	sizeof(struct vfio_device_feature)

/* VFIO_DEVICE_FEATURE with any size and flags */
int device_feature(int fd, uint32_t flags, void *data, size_t size, uint32_t argsz);
int device_migration_flags(int fd, uint64_t *flags);
int device_get_state(int fd);
/* With data_fd NULL the migration file, if one is returned, is closed */
int device_set_state(int fd, int state, int *data_fd);
int device_data_size(int fd, uint64_t *size);
int device_reset(int fd);
int migf_precopy_info(int data_fd, struct vfio_precopy_info *info);

/* read() and write() of a migration file */
static inline ssize_t data_receive(int data_fd, void *bytes, size_t len)
{
	ssize_t n = read(data_fd, bytes, len);

	return n < 0 ? -errno : n;
}

static inline ssize_t data_send(int data_fd, const void *bytes, size_t len)
{
	ssize_t n = write(data_fd, bytes, len);

	return n < 0 ? -errno : n;
}

#endif
