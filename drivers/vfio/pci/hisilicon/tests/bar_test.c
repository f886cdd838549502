// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: what userspace reaches of BAR2.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "fake_device.h"

#define GUEST_LEN	0x8000
#define BAR_POS		VFIO_PCI_INDEX_TO_OFFSET(HISI_ACC_BAR)

/* The last call that was passed on to vfio-pci-core or to access.c */
static enum call {
	PASSED_NONE, PASSED_READ, PASSED_WRITE, PASSED_MMAP, PASSED_IOCTL,
	PASSED_RESET, PASSED_CONFIG_WRITE,
} passed;

static ssize_t pass_read(struct vfio_device *vdev, char __user *buf,
			 size_t count, loff_t *ppos)
{
	passed = PASSED_READ;
	return count;
}

static ssize_t pass_write(struct vfio_device *vdev, const char __user *buf,
			  size_t count, loff_t *ppos)
{
	passed = PASSED_WRITE;
	return count;
}

static ssize_t pass_config_write(struct hisi_acc_vf *vf, const char __user *buf,
				 size_t count, loff_t *ppos)
{
	passed = PASSED_CONFIG_WRITE;
	return count;
}

static int pass_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	passed = PASSED_MMAP;
	return 0;
}

static long pass_ioctl(struct vfio_device *vdev, unsigned int cmd,
		       unsigned long arg)
{
	passed = PASSED_IOCTL;
	return 0;
}

static long pass_reset(struct hisi_acc_vf *vf, unsigned long arg)
{
	passed = PASSED_RESET;
	return 0;
}

static int whole_bar(struct vfio_device *vdev, struct vfio_region_info *info,
		     struct vfio_info_cap *caps)
{
	info->size = 2 * GUEST_LEN;
	return 0;
}

#define vfio_pci_core_read		pass_read
#define vfio_pci_core_write		pass_write
#define vfio_pci_core_mmap		pass_mmap
#define vfio_pci_core_ioctl		pass_ioctl
#define vfio_pci_ioctl_get_region_info	whole_bar
#define hisi_acc_access_reset		pass_reset
#define hisi_acc_access_config_write	pass_config_write

#include "../bar.c"

static struct fake_device *guest_part(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);

	fake->vf.guest_bar_len = GUEST_LEN;
	passed = PASSED_NONE;
	return fake;
}

static const struct {
	loff_t offset;
	size_t count;
	ssize_t passed;
} reaches[] = {
	{ 0, 8, 8 },
	{ 0, 0, 0 },
	{ GUEST_LEN - 4, 4, 4 },
	{ GUEST_LEN - 4, 8, 4 },
	{ 0, 2 * GUEST_LEN, GUEST_LEN },
	{ GUEST_LEN - 1, SSIZE_MAX, 1 },
	{ GUEST_LEN, 1, -EINVAL },
	{ GUEST_LEN, 0, 0 },
	{ GUEST_LEN + 4, 4, -EINVAL },
	{ VFIO_PCI_OFFSET_MASK, 1, -EINVAL },
};

/* No byte behind the guest's part is read or written */
static void reads_and_writes_end_with_it(struct kunit *test)
{
	struct vfio_device *vdev = &guest_part(test)->vf.core.vdev;

	for (int i = 0; i < ARRAY_SIZE(reaches); i++) {
		loff_t pos = BAR_POS + reaches[i].offset;

		KUNIT_EXPECT_EQ(test, reaches[i].passed,
				hisi_acc_bar_read(vdev, NULL, reaches[i].count, &pos));
		KUNIT_EXPECT_EQ(test, reaches[i].passed,
				hisi_acc_bar_write(vdev, NULL, reaches[i].count, &pos));
	}
}

/* Accesses to other regions go to vfio-pci-core; config writes may reset the VF */
static void other_regions_are_passed_on(struct kunit *test)
{
	struct fake_device *fake = guest_part(test);
	struct vfio_device *vdev = &fake->vf.core.vdev;
	loff_t pos = VFIO_PCI_INDEX_TO_OFFSET(VFIO_PCI_CONFIG_REGION_INDEX) + 4;
	loff_t rom = VFIO_PCI_INDEX_TO_OFFSET(VFIO_PCI_ROM_REGION_INDEX) + GUEST_LEN;

	KUNIT_EXPECT_EQ(test, 2, hisi_acc_bar_read(vdev, NULL, 2, &pos));
	KUNIT_EXPECT_EQ(test, PASSED_READ, passed);
	KUNIT_EXPECT_EQ(test, 2, hisi_acc_bar_write(vdev, NULL, 2, &pos));
	KUNIT_EXPECT_EQ(test, PASSED_CONFIG_WRITE, passed);
	KUNIT_EXPECT_EQ(test, 4, hisi_acc_bar_write(vdev, NULL, 4, &rom));
	KUNIT_EXPECT_EQ(test, PASSED_WRITE, passed);

	fake->vf.pf_qm = NULL;
	KUNIT_EXPECT_EQ(test, 2, hisi_acc_bar_write(vdev, NULL, 2, &pos));
	KUNIT_EXPECT_EQ(test, PASSED_WRITE, passed);
}

/* A mapping that is not all inside is rejected */
static void mappings_are_inside_or_rejected(struct kunit *test)
{
	struct vfio_device *vdev = &guest_part(test)->vf.core.vdev;
	static const struct {
		unsigned long first, pages;
		bool inside;
	} mappings[] = {
		{ 0, 1, true },
		{ 0, GUEST_LEN / PAGE_SIZE, true },
		{ 1, GUEST_LEN / PAGE_SIZE, false },
		{ 0, GUEST_LEN / PAGE_SIZE + 1, false },
		{ GUEST_LEN / PAGE_SIZE, 1, false },
	};

	for (int i = 0; i < ARRAY_SIZE(mappings); i++) {
		struct vm_area_struct vma = {
			.vm_start = PAGE_SIZE,
			.vm_end = (1 + mappings[i].pages) * PAGE_SIZE,
			.vm_pgoff = (BAR_POS >> PAGE_SHIFT) + mappings[i].first,
		};

		passed = PASSED_NONE;
		KUNIT_EXPECT_EQ(test, mappings[i].inside ? 0 : -EINVAL,
				hisi_acc_bar_mmap(vdev, &vma));
		KUNIT_EXPECT_EQ(test, mappings[i].inside ? PASSED_MMAP : PASSED_NONE,
				passed);
	}
}

/* ioeventfds are rejected and resets wait for the PF; without migration, neither */
static void other_accesses_are_closed(struct kunit *test)
{
	struct fake_device *fake = guest_part(test);
	struct vfio_device *vdev = &fake->vf.core.vdev;

	KUNIT_EXPECT_EQ(test, -ENOTTY,
			hisi_acc_bar_ioctl(vdev, VFIO_DEVICE_IOEVENTFD, 0));
	KUNIT_EXPECT_EQ(test, PASSED_NONE, passed);
	hisi_acc_bar_ioctl(vdev, VFIO_DEVICE_RESET, 0);
	KUNIT_EXPECT_EQ(test, PASSED_RESET, passed);
	hisi_acc_bar_ioctl(vdev, VFIO_DEVICE_GET_INFO, 0);
	KUNIT_EXPECT_EQ(test, PASSED_IOCTL, passed);

	fake->vf.pf_qm = NULL;
	passed = PASSED_NONE;
	hisi_acc_bar_ioctl(vdev, VFIO_DEVICE_IOEVENTFD, 0);
	KUNIT_EXPECT_EQ(test, PASSED_IOCTL, passed);
	passed = PASSED_NONE;
	hisi_acc_bar_ioctl(vdev, VFIO_DEVICE_RESET, 0);
	KUNIT_EXPECT_EQ(test, PASSED_IOCTL, passed);
}

/* The size that userspace reads is that of the guest's part */
static void region_has_the_size_of_it(struct kunit *test)
{
	struct vfio_device *vdev = &guest_part(test)->vf.core.vdev;
	struct vfio_region_info info = { .index = HISI_ACC_BAR };

	KUNIT_EXPECT_EQ(test, 0, hisi_acc_bar_region_info(vdev, &info, NULL));
	KUNIT_EXPECT_EQ(test, GUEST_LEN, info.size);
	info.index = VFIO_PCI_CONFIG_REGION_INDEX;
	KUNIT_EXPECT_EQ(test, 0, hisi_acc_bar_region_info(vdev, &info, NULL));
	KUNIT_EXPECT_EQ(test, 2 * GUEST_LEN, info.size);
}

static struct kunit_case bar_cases[] = {
	KUNIT_CASE(reads_and_writes_end_with_it),
	KUNIT_CASE(other_regions_are_passed_on),
	KUNIT_CASE(mappings_are_inside_or_rejected),
	KUNIT_CASE(other_accesses_are_closed),
	KUNIT_CASE(region_has_the_size_of_it),
	{ }
};

static struct kunit_suite bar_suite = {
	.name = "hisi_acc_bar",
	.test_cases = bar_cases,
};

kunit_test_suite(bar_suite);
