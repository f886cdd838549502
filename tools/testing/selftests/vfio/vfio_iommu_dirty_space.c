// SPDX-License-Identifier: GPL-2.0
/*
 * iommufd: an address space, a page table that tracks dirty pages, its bitmap.
 *
 * The structures are those of linux/iommufd.h, for systems whose headers are older.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_packet.h>

#include "vfio_iommu_dirty.h"

#define IOMMUFD(n)		_IO(';', n)
#define DESTROY			IOMMUFD(0x80)
#define IOAS_ALLOC		IOMMUFD(0x81)
#define IOAS_MAP		IOMMUFD(0x85)
#define IOAS_UNMAP		IOMMUFD(0x86)
#define TABLE_ALLOC		IOMMUFD(0x89)
#define GET_HW_INFO		IOMMUFD(0x8a)
#define SET_DIRTY_TRACKING	IOMMUFD(0x8b)
#define GET_DIRTY_BITMAP	IOMMUFD(0x8c)

#define MAP_FIXED_IOVA		(1 << 0)
#define MAP_WRITABLE		(1 << 1)
#define MAP_READABLE		(1 << 2)
#define TABLE_TRACKS		(1 << 1)
#define TRACKING_ON		(1 << 0)
#define BITMAP_NO_CLEAR		(1 << 0)

/* 0, or -errno */
static int call(struct space *s, unsigned long request, void *arg)
{
	return ioctl(s->fd, request, arg) ? -errno : 0;
}

static void destroy(struct space *s, uint32_t id)
{
	struct { uint32_t size, id; } arg = { sizeof(arg), id };

	call(s, DESTROY, &arg);
}

int space_open(struct space *s)
{
	struct { uint32_t size, flags, id; } arg = { .size = sizeof(arg) };
	int err;

	*s = (struct space) { .fd = open("/dev/iommu", O_RDWR | O_CLOEXEC) };
	if (s->fd < 0)
		return -errno;
	err = call(s, IOAS_ALLOC, &arg);
	s->ioas = arg.id;
	return err;
}

void space_close(struct space *s)
{
	if (s->table)
		destroy(s, s->table);
	destroy(s, s->ioas);
	close(s->fd);
}

int space_map(struct space *s, void *va, uint64_t len, uint64_t iova, bool writable)
{
	struct {
		uint32_t size, flags, ioas, reserved;
		uint64_t va, len, iova;
	} arg = {
		.size = sizeof(arg),
		.flags = MAP_FIXED_IOVA | MAP_READABLE | (writable ? MAP_WRITABLE : 0),
		.ioas = s->ioas,
		.va = (uintptr_t)va,
		.len = len,
		.iova = iova,
	};

	return call(s, IOAS_MAP, &arg);
}

int space_unmap(struct space *s, uint64_t iova, uint64_t len)
{
	struct {
		uint32_t size, ioas;
		uint64_t iova, len;
	} arg = { sizeof(arg), s->ioas, iova, len };

	return call(s, IOAS_UNMAP, &arg);
}

int space_make_table(struct space *s, uint32_t device)
{
	struct {
		uint32_t size, flags, device, ioas, id, reserved, type, len;
		uint64_t data;
		uint32_t fault, reserved2;
	} arg = {
		.size = sizeof(arg),
		.flags = TABLE_TRACKS,
		.device = device,
		.ioas = s->ioas,
	};
	int err = call(s, TABLE_ALLOC, &arg);

	if (!err)
		s->table = arg.id;
	return err;
}

int space_track(struct space *s, bool on)
{
	struct { uint32_t size, flags, table, reserved; } arg = {
		sizeof(arg), on ? TRACKING_ON : 0, s->table, 0
	};

	return call(s, SET_DIRTY_TRACKING, &arg);
}

int space_dirty(struct space *s, uint64_t iova, uint64_t len, uint64_t page_size,
		bool keep, uint64_t *bitmap)
{
	struct {
		uint32_t size, table, flags, reserved;
		uint64_t iova, len, page_size, bitmap;
	} arg = {
		.size = sizeof(arg),
		.table = s->table,
		.flags = keep ? BITMAP_NO_CLEAR : 0,
		.iova = iova,
		.len = len,
		.page_size = page_size,
		.bitmap = (uintptr_t)bitmap,
	};

	return call(s, GET_DIRTY_BITMAP, &arg);
}

int space_capabilities(struct space *s, uint32_t device, uint64_t *capabilities)
{
	struct {
		uint32_t size, flags, device, len;
		uint64_t data;
		uint32_t type, reserved;
		uint64_t capabilities;
	} arg = { .size = sizeof(arg), .device = device };
	int err = call(s, GET_HW_INFO, &arg);

	*capabilities = arg.capabilities;
	return err;
}

void *contiguous_memory(unsigned int blocks, size_t size, int *sock)
{
	struct tpacket_req ring = {
		.tp_block_size = size, .tp_block_nr = blocks,
		.tp_frame_size = DIRTY_PAGE, .tp_frame_nr = size / DIRTY_PAGE * blocks,
	};
	void *va;

	*sock = socket(AF_PACKET, SOCK_RAW, 0);
	if (*sock < 0 || setsockopt(*sock, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)))
		return NULL;
	va = mmap(NULL, blocks * size, PROT_READ | PROT_WRITE, MAP_SHARED, *sock, 0);
	return va == MAP_FAILED ? NULL : va;
}
