/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Dirty tracking of an IOMMU from userspace: an address space of iommufd with a
 * page table that tracks, and devices that read and write memory on demand.
 */
#ifndef VFIO_IOMMU_DIRTY_H
#define VFIO_IOMMU_DIRTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIRTY_PAGE	4096u
#define MAX_DEVICES	4

/* The words of a bitmap that has a bit for each of n pages */
#define DIRTY_WORDS(n)	(((n) + 63) / 64)

struct space {
	int fd;			/* /dev/iommu */
	uint32_t ioas;
	uint32_t table;		/* the page table that tracks; 0: none yet */
};

/* Each of these returns 0, or -errno */
int space_open(struct space *s);
void space_close(struct space *s);
int space_map(struct space *s, void *va, uint64_t len, uint64_t iova, bool writable);
int space_unmap(struct space *s, uint64_t iova, uint64_t len);
int space_make_table(struct space *s, uint32_t device);
int space_track(struct space *s, bool on);
/* Set the bits of dirty pages in @bitmap; the pages are clean then, unless @keep */
int space_dirty(struct space *s, uint64_t iova, uint64_t len, uint64_t page_size,
		bool keep, uint64_t *bitmap);
int space_capabilities(struct space *s, uint32_t device, uint64_t *capabilities);

/*
 * Contiguous memory, for blocks of the page table, until @sock is closed: the ring of
 * a packet socket, which needs no configured huge pages.
 */
void *contiguous_memory(unsigned int blocks, size_t size, int *sock);

struct device;

/* One kind of device that a test can make access memory */
struct dma_kind {
	const char *name;
	void (*set_up)(struct device *d);
	/* Accesses @len bytes, or as many as the kind always does; returns how many */
	size_t (*access)(struct device *d, uint64_t iova, size_t len, bool write);
};

struct device {
	const char *bdf;
	struct space *space;
	const struct dma_kind *kind;
	int fd;
	uint32_t id;			/* in iommufd */
	uint64_t config;		/* offset of configuration space in fd */
	volatile uint8_t *regs;
	struct virtio_blk *blk;
};

/* Open a device that is bound to VFIO, in @space; exits if that fails */
void device_open(struct device *d, struct space *space, const char *bdf);
int device_attach(struct device *d, uint32_t table);
/* Let the device access memory */
void device_start(struct device *d);
void device_close(struct device *d);

size_t device_write(struct device *d, uint64_t iova, size_t len);
size_t device_read(struct device *d, uint64_t iova, size_t len);

/* Used by the kinds of devices */
__attribute__((noreturn, format(printf, 2, 3)))
void die(struct device *d, const char *format, ...);
uint64_t device_region(struct device *d, unsigned int index, uint64_t *size);
void *device_mmap(struct device *d, unsigned int bar);
uint64_t device_config(struct device *d, unsigned int offset, unsigned int size);

extern const struct dma_kind accelerator_kind, edu_kind, virtio_blk_kind;

#endif
