// SPDX-License-Identifier: GPL-2.0
/*
 * What of the BAR is the guest's.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hisi_acc_migration_test.h"

static struct vfio_region_info bar2_info(struct device *d)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_BAR2_REGION_INDEX,
	};

	CHECK(ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, &info), 0);
	return info;
}

bool all_is_the_guests(struct device *d)
{
	return device_read(d, HW_VERSION) &&
	       bar2_info(d).size == 2 * BAR2_HALF;
}

static void open_window(struct device *d)
{
	device_open(d, source_bdf);
	if (all_is_the_guests(d))
		skip("all of the BAR is the guest's");
}

/* Catches a region that tells of more than it gives, or less */
static void region_is_half(void)
{
	struct vfio_region_info info;
	uint32_t flags = VFIO_REGION_INFO_FLAG_READ |
			 VFIO_REGION_INFO_FLAG_WRITE |
			 VFIO_REGION_INFO_FLAG_MMAP;
	struct vfio_device_info device = { .argsz = sizeof(device) };
	struct device d;

	device_open(&d, source_bdf);
	info = bar2_info(&d);
	CHECK(info.size, all_is_the_guests(&d) ? 2 * BAR2_HALF : BAR2_HALF);
	CHECK(info.flags & flags, flags);
	CHECK(ioctl(d.fd, VFIO_DEVICE_GET_INFO, &device), 0);
	CHECK(device.flags & VFIO_DEVICE_FLAGS_RESET, VFIO_DEVICE_FLAGS_RESET);
	device_close(&d);
}

/* Catches read() and write() beyond the guest's half */
static void reach_of_read_and_write(void)
{
	struct device d;
	uint64_t word = 0;

	open_window(&d);
	CHECK(pread(d.fd, &word, 4, d.bar2 + 0x60), 4);
	CHECK(word, 1);
	CHECK(pread(d.fd, &word, 8, d.bar2 + BAR2_HALF - 4), 4);
	CHECK(pread(d.fd, &word, 4, d.bar2 + BAR2_HALF), -1);
	CHECK(errno, EINVAL);
	CHECK(pwrite(d.fd, &word, 4, d.bar2 + BAR2_HALF), -1);
	CHECK(pwrite(d.fd, &word, 4, d.bar2 + 2 * BAR2_HALF - 4), -1);
	device_close(&d);
}

/* Catches a mapping beyond the guest's half */
static void reach_of_mmap(void)
{
	struct device d;
	void *upper;

	open_window(&d);
	upper = mmap(NULL, BAR2_HALF, PROT_READ, MAP_SHARED, d.fd,
		     d.bar2 + BAR2_HALF);
	CHECK(upper == MAP_FAILED, true);
	upper = mmap(NULL, 2 * BAR2_HALF, PROT_READ, MAP_SHARED, d.fd, d.bar2);
	CHECK(upper == MAP_FAILED, true);
	upper = mmap(NULL, 0x2000, PROT_READ, MAP_SHARED, d.fd,
		     d.bar2 + BAR2_HALF - 0x1000);
	CHECK(upper == MAP_FAILED, true);
	device_close(&d);
}

/* D14: Catches the kernel writing there for userspace */
static void reach_of_ioeventfd(void)
{
	struct vfio_device_ioeventfd ioeventfd = {
		.argsz = sizeof(ioeventfd),
		.flags = VFIO_DEVICE_IOEVENTFD_32,
		.fd = event_fd(),
	};
	struct device d;

	open_window(&d);
	ioeventfd.offset = d.bar2 + BAR2_HALF;
	CHECK(ioctl(d.fd, VFIO_DEVICE_IOEVENTFD, &ioeventfd), -1);
	device_close(&d);
}

const struct test window_tests[] = {
	{ "region_is_half", region_is_half },
	{ "reach_of_read_and_write", reach_of_read_and_write },
	{ "reach_of_mmap", reach_of_mmap },
	{ "reach_of_ioeventfd", reach_of_ioeventfd },
	{ }
};
