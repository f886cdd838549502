/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Migration of a VFIO device, on top of libvfio: of any device with a directory in
 * sysfs, opened by its group or by its character device.
 *
 * Functions that end in an ioctl return a value, or -errno.
 */
#ifndef SELFTESTS_VFIO_MIGRATION_H
#define SELFTESTS_VFIO_MIGRATION_H

#include <sys/types.h>

#include <libvfio.h>

#include "migration_ioctl.h"

struct migration_device {
	const char *path;	/* in sysfs */
	struct iommu *iommu;
	int group_fd;
	int fd;
	u64 flags;		/* VFIO_MIGRATION_* */
};

/* Migration data: all of it, or a part */
struct migration_data {
	u8 *bytes;
	size_t len;
};

/*
 * The directory in sysfs of the device that the last argument names, or else the
 * environment, as in vfio_selftests_get_bdf(): a PCI address, or the directory itself.
 * Ends the program with KSFT_SKIP if there is no such device.
 */
char *migration_device_argument(int *argc, char *argv[]);

/*
 * PCI addresses of a source and a destination: the last two arguments, or those in
 * VFIO_SELFTESTS_BDF and VFIO_SELFTESTS_DESTINATION of the environment. Ends the
 * program with KSFT_SKIP if there are not two.
 */
void migration_device_pair(int *argc, char *argv[], const char *bdfs[2]);

/* End the program with KSFT_SKIP if the device cannot be opened or not migrate */
void migration_device_require(const char *path);
/* An attribute in hexadecimal of a device's directory in sysfs; 0 without it */
unsigned int migration_device_attribute(const char *path, const char *name);

/* Whether this mode of libvfio can work here, for this device */
bool migration_mode_works(const char *path, const char *mode);

/* Open, and leave the state as it is; asserts as libvfio does */
struct migration_device *migration_device_open(const char *path, const char *mode);
void migration_device_close(struct migration_device *device);
/* The same, in the same container or with the same iommufd */
void migration_device_reopen(struct migration_device *device);
/* Only the file of the device, after the last one was closed */
int __migration_device_get_fd(struct migration_device *device);

/* device_set_state() from RUNNING: the migration file, -1 if the state has none, or -errno */
int device_enter(int fd, int state);
/* To RUNNING from any state; with a reset only where no arc leads there */
int device_set_running(int fd);

/* Save all of a device's state; it is in STOP afterwards */
int device_save(int fd, struct migration_data *data);
/* Load it, in writes of chunk bytes or all at once; returns how RESUMING -> STOP ended */
int device_load(int fd, const struct migration_data *data, size_t chunk);
/* Whether a stopped device saves the same bytes each time, as most do */
bool device_data_is_constant(int fd, const struct migration_data *data);

#define DEVICE_STATES	7
extern const int device_states[DEVICE_STATES];

/* Whether a device with these flags has the state */
bool state_exists(u64 flags, int state);
/* Whether the arc returns a migration file */
bool state_opens_file(int from, int to);
/* Whether the uAPI forbids the arc */
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

/* Poll without waiting; returns revents */
short poll_now(int fd, short events);

/* A page of memory, none behind it, for accesses that fail at its end; munmap() frees it */
u8 *lone_page(void);

/*
 * Read until the end, or until an error, which is returned; with a chunk of 0 in
 * reads that take all. What is read is appended to data.
 */
int migration_data_read(int data_fd, struct migration_data *data, size_t chunk);
/* Write all of it, or until an error, which is returned */
int migration_data_write(int data_fd, const struct migration_data *data, size_t chunk);
void migration_data_free(struct migration_data *data);
bool migration_data_equal(const struct migration_data *a, const struct migration_data *b);

/* Offsets to split data at: all of short data, about 512 of longer data */
size_t split_step(const struct migration_data *data);

#endif
