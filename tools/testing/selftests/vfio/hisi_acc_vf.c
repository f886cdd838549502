// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/limits.h>
#include <linux/pci_ids.h>

#include "hisi_acc_vf.h"

static char *path_of(const char *bdf)
{
	char path[PATH_MAX];

	snprintf_assert(path, sizeof(path), "/sys/bus/pci/devices/%s", bdf);
	return realpath(path, NULL);
}

/* iommufd for kernels without the container */
static const char *mode_for(const char *path)
{
	static const char *const modes[] = { MODE_VFIO_TYPE1V2_IOMMU, MODE_IOMMUFD };

	for (unsigned int i = 0; path && i < ARRAY_SIZE(modes); i++)
		if (migration_mode_works(path, modes[i]))
			return modes[i];
	return NULL;
}

void hisi_acc_vf_require(const char *bdf)
{
	char *path = path_of(bdf);

	if (!path)
		ksft_exit_skip("there is no device %s\n", bdf);
	if (migration_device_attribute(path, "vendor") != PCI_VENDOR_ID_HUAWEI)
		ksft_exit_skip("%s is not a HiSilicon accelerator\n", bdf);
	migration_device_require(path);
	free(path);
}

void hisi_acc_vf_pair(int *argc, char *argv[], const char *bdfs[2])
{
	migration_device_pair(argc, argv, bdfs);
	hisi_acc_vf_require(bdfs[0]);
	hisi_acc_vf_require(bdfs[1]);
}

void hisi_acc_vf_open(struct hisi_acc_vf *vf, const char *bdf)
{
	char *path = path_of(bdf);
	const char *mode = mode_for(path);
	off_t bar2;

	if (!mode) {
		fprintf(stderr, "%s: not bound to a VFIO driver\n", bdf);
		exit(KSFT_FAIL);
	}
	*vf = (struct hisi_acc_vf) { .bdf = bdf };
	vf->device = migration_device_open(path, mode);
	vf->fd = vf->device->fd;
	vf->ram.size = GUEST_RAM_SIZE;
	vf->ram.iova = GUEST_RAM_IOVA;
	vf->ram.vaddr = mmap(NULL, GUEST_RAM_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	VFIO_ASSERT_NE(vf->ram.vaddr, MAP_FAILED);
	iommu_map(vf->device->iommu, &vf->ram);
	vf->guest.ram = vf->ram.vaddr;
	bar2 = hisi_acc_guest_map(&vf->guest, vf->fd);
	VFIO_ASSERT_GE(bar2, 0, "BAR 2 of %s\n", bdf);
	vf->bar2 = bar2;
}

void hisi_acc_vf_close(struct hisi_acc_vf *vf)
{
	const char *path = vf->device->path;

	hisi_acc_guest_unmap(&vf->guest);
	migration_device_close(vf->device);
	munmap(vf->ram.vaddr, GUEST_RAM_SIZE);
	free((void *)path);
}
