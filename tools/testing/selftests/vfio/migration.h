/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VFIO device that migrates, on top of libvfio: any device with a folder in
 * sysfs, by group or by character device, and the migration calls on it.
 *
 * Calls return what the kernel said: a value, or -errno.
 */
#ifndef SELFTESTS_VFIO_MIGRATION_H
#define SELFTESTS_VFIO_MIGRATION_H

#include <sys/types.h>

#include <libvfio.h>

#define STOP		VFIO_DEVICE_STATE_STOP
#define RUNNING		VFIO_DEVICE_STATE_RUNNING
#define STOP_COPY	VFIO_DEVICE_STATE_STOP_COPY
#define RESUMING	VFIO_DEVICE_STATE_RESUMING
#define RUNNING_P2P	VFIO_DEVICE_STATE_RUNNING_P2P
#define PRE_COPY	VFIO_DEVICE_STATE_PRE_COPY
#define PRE_COPY_P2P	VFIO_DEVICE_STATE_PRE_COPY_P2P

struct migration_device {
	const char *path;	/* in sysfs */
	struct iommu *iommu;
	int group_fd;
	int fd;
	u64 flags;		/* VFIO_MIGRATION_* */
};

/* What a data file gave, or is to take */
struct image {
	u8 *data;
	size_t len;
};

/* The folder of what was named on a command line: an address on the PCI bus, or
 * a folder itself, of a mediated device for one. NULL if it is neither.
 */
char *migration_device_path(const char *name);

/* Whether this mode of libvfio can work here, for this device */
bool migration_mode_works(const char *path, const char *mode);

/* Open without a word about migration; asserts as libvfio does */
struct migration_device *migration_device_open(const char *path, const char *mode);
void migration_device_close(struct migration_device *device);
/* The same, in the same container or with the same iommufd */
void migration_device_reopen(struct migration_device *device);
/* The device's file alone, after the last one was closed */
int __migration_device_get_fd(struct migration_device *device);

/* VFIO_DEVICE_FEATURE with whatever size and flags */
int device_feature(int fd, u32 flags, void *data, size_t size, u32 argsz);
int device_migration_flags(int fd, u64 *flags);
int device_get_state(int fd);
/* data_fd may be NULL; then a file that comes is closed */
int device_set_state(int fd, int state, int *data_fd);
int device_data_size(int fd, u64 *size);
int device_reset(int fd);
int data_file_precopy_info(int data_fd, struct vfio_precopy_info *info);

/* Whether the flags have the state; whether a file comes with it from another;
 * whether the way there is refused
 */
bool state_exists(u64 flags, int state);
bool state_opens_file(int from, int to);
bool state_refused(int from, int to);
static inline bool state_precopy(int state)
{
	return state == PRE_COPY || state == PRE_COPY_P2P;
}

static inline bool state_saves(int state)
{
	return state == STOP_COPY || state_precopy(state);
}

const char *state_name(int state);

/* Read until the end, or until an error, which is returned; chunk of 0 for one
 * that takes all. What was read is added to the image.
 */
int image_read(int data_fd, struct image *image, size_t chunk);
/* Write all of it, or until an error, which is returned */
int image_write(int data_fd, const struct image *image, size_t chunk);
void image_free(struct image *image);
bool image_same(const struct image *a, const struct image *b);

#endif
