// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of HiSilicon accelerators: the guest part of BAR 2. Behind it are the
 * migration registers, which a guest must not reach.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "hisi_acc_fixture.h"

/* Whether the source has a part of BAR 2 that is not the guest's */
static bool open_source(struct hisi_acc_vf *vf)
{
	hisi_acc_vf_open(vf, source_bdf);
	return !whole_bar_is_guests(vf);
}

/* The region has the size of the guest part, and is readable, writable, mappable */
TEST(bar2_region)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_BAR2_REGION_INDEX,
	};
	u32 flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
		    VFIO_REGION_INFO_FLAG_MMAP;
	struct hisi_acc_vf vf;
	bool part;

	part = open_source(&vf);
	ASSERT_EQ(ioctl(vf.fd, VFIO_DEVICE_GET_REGION_INFO, &info), 0);
	EXPECT_EQ(info.size, part ? GUEST_BAR_SIZE : 2 * GUEST_BAR_SIZE);
	EXPECT_EQ(info.flags & flags, flags);
	hisi_acc_vf_close(&vf);
}

/* read() and write() end at the guest part */
TEST(reach_of_read_and_write)
{
	struct hisi_acc_vf vf;
	u64 word = 0;

	if (!open_source(&vf))
		SKIP(return, "all of BAR 2 is the guest's");
	EXPECT_EQ(pread(vf.fd, &word, 4, vf.bar2 + QM_VF_STATE), 4);
	EXPECT_EQ(word, 1);
	EXPECT_EQ(pread(vf.fd, &word, 8, vf.bar2 + GUEST_BAR_SIZE - 4), 4);
	EXPECT_EQ(pread(vf.fd, &word, 4, vf.bar2 + GUEST_BAR_SIZE), -1);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_EQ(pwrite(vf.fd, &word, 4, vf.bar2 + GUEST_BAR_SIZE), -1);
	EXPECT_EQ(pwrite(vf.fd, &word, 4, vf.bar2 + 2 * GUEST_BAR_SIZE - 4), -1);
	hisi_acc_vf_close(&vf);
}

/* A mapping ends at the guest part */
TEST(reach_of_mmap)
{
	struct hisi_acc_vf vf;

	if (!open_source(&vf))
		SKIP(return, "all of BAR 2 is the guest's");
	EXPECT_EQ(mmap(NULL, GUEST_BAR_SIZE, PROT_READ, MAP_SHARED, vf.fd,
		       vf.bar2 + GUEST_BAR_SIZE), MAP_FAILED);
	EXPECT_EQ(mmap(NULL, 2 * GUEST_BAR_SIZE, PROT_READ, MAP_SHARED, vf.fd,
		       vf.bar2), MAP_FAILED);
	EXPECT_EQ(mmap(NULL, 0x2000, PROT_READ, MAP_SHARED, vf.fd,
		       vf.bar2 + GUEST_BAR_SIZE - 0x1000), MAP_FAILED);
	hisi_acc_vf_close(&vf);
}

/* D14: The kernel does not write behind the guest part by an ioeventfd */
TEST(reach_of_ioeventfd)
{
	struct vfio_device_ioeventfd ioeventfd = {
		.argsz = sizeof(ioeventfd),
		.flags = VFIO_DEVICE_IOEVENTFD_32,
		.fd = eventfd(0, EFD_CLOEXEC),
	};
	struct hisi_acc_vf vf;

	if (!open_source(&vf))
		SKIP(return, "all of BAR 2 is the guest's");
	ioeventfd.offset = vf.bar2 + GUEST_BAR_SIZE;
	EXPECT_EQ(ioctl(vf.fd, VFIO_DEVICE_IOEVENTFD, &ioeventfd), -1);
	hisi_acc_vf_close(&vf);
}

/* No dma-buf has anything behind the guest part, not even together with a part of it */
TEST(reach_of_dma_buf)
{
	/* VFIO_DEVICE_FEATURE_DMA_BUF with one range, which headers before 6.19 lack */
	struct {
		u32 argsz;
		u32 feature;
		u32 region_index;
		u32 open_flags;
		u32 flags;
		u32 nr_ranges;
		u64 offset;
		u64 length;
	} argument = {
		.argsz = sizeof(argument),
		.feature = VFIO_DEVICE_FEATURE_GET | 11,
		.region_index = VFIO_PCI_BAR2_REGION_INDEX,
		.open_flags = O_CLOEXEC | O_RDWR,
		.nr_ranges = 1,
	};
	static const struct {
		u64 offset;
		u64 length;
	} cases[] = {
		{ GUEST_BAR_SIZE, 0x1000 },
		{ 0, 2 * GUEST_BAR_SIZE },
		{ GUEST_BAR_SIZE - 0x1000, 0x2000 },
	};
	struct hisi_acc_vf vf;

	if (!open_source(&vf))
		SKIP(return, "all of BAR 2 is the guest's");
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		argument.offset = cases[i].offset;
		argument.length = cases[i].length;
		EXPECT_EQ(ioctl(vf.fd, VFIO_DEVICE_FEATURE, &argument), -1);
	}
	hisi_acc_vf_close(&vf);
}

int main(int argc, char *argv[])
{
	return hisi_acc_test_run(argc, argv);
}
