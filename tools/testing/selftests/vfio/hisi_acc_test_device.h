/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One function of an accelerator, opened through VFIO, with a stand-in for the
 * guest's driver: enough of it to give the function a state.
 */
#ifndef HISI_ACC_TEST_DEVICE_H
#define HISI_ACC_TEST_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/vfio.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define IMAGE_SIZE	176
#define MATCH_SIZE	40
#define BAR2_HALF	0x8000
#define SQC_TABLE_IOVA	0x10005000
#define MB_GET		(1u << 14)
#define MB_VFT		0x6

enum {
	STOP = VFIO_DEVICE_STATE_STOP,
	RUNNING = VFIO_DEVICE_STATE_RUNNING,
	STOP_COPY = VFIO_DEVICE_STATE_STOP_COPY,
	RESUMING = VFIO_DEVICE_STATE_RESUMING,
	RUNNING_P2P = VFIO_DEVICE_STATE_RUNNING_P2P,
	PRE_COPY = VFIO_DEVICE_STATE_PRE_COPY,
	PRE_COPY_P2P = VFIO_DEVICE_STATE_PRE_COPY_P2P,
};

struct device {
	const char *bdf;
	int container;
	int group;
	int fd;
	uint64_t bar2;		/* offset in fd */
	volatile void *regs;	/* the guest's half of BAR2 */
	uint8_t *ram;		/* what the stand-in gives the function */
};

void device_open(struct device *d, const char *bdf);

/* The same by another name, for one that VFIO wants more said of */
void device_open_as(struct device *d, const char *bdf, const char *name);
void device_close(struct device *d);

/* Bring the stand-in for the guest's driver up: rings, tables, VF_STATE */
void device_guest_up(struct device *d);
uint64_t device_sqc_table(struct device *d);

/* So many queues the device says that the function has */
unsigned int device_queues(struct device *d);
uint32_t device_read(struct device *d, unsigned int offset);
void device_write(struct device *d, unsigned int offset, uint32_t value);

/* The same, with so many events that nobody has looked at yet */
void device_guest_up_owed(struct device *d, uint16_t events);

/* A command of the guest's, in two halves: it may be stopped in between */
void device_mailbox_start(struct device *d, uint32_t command, uint64_t base);
uint64_t device_mailbox_end(struct device *d);

/* Each of these returns what the kernel said: a value, or -errno */
int device_state(struct device *d);
int device_set_state(struct device *d, int state, int *data_fd);
int device_reset(struct device *d);
int device_feature_u64(struct device *d, uint32_t feature, uint64_t *value);
int device_set_feature(struct device *d, uint32_t feature);
int event_fd(void);

/* read() and write() of a data file, which return -errno */
ssize_t receive_image(int fd, void *bytes, size_t len);
ssize_t send_image(int fd, const void *bytes, size_t len);

/* A number in an image */
uint64_t field(const uint8_t *image, unsigned int offset, unsigned int size);
void put(uint8_t *image, unsigned int offset, uint64_t value,
	 unsigned int size);

/* The checksum of an image, and an image with it, where its version has one */
uint32_t image_checksum(const uint8_t *image);
void sign_image(uint8_t *image);

#endif
