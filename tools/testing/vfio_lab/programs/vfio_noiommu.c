// SPDX-License-Identifier: GPL-2.0
/*
 * vfio_noiommu BDF: use a VF without an IOMMU, as in a guest. Opens it, which resets
 * it, resets it again, checks for migration support, reads a word in each half of
 * BAR2, and prints the results.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vfio.h>

static int must(int ret, const char *what)
{
	if (ret < 0) {
		printf("vfio_noiommu: %s: %s\n", what, strerror(errno));
		exit(1);
	}
	return ret;
}

static int open_function(const char *bdf)
{
	int container = must(open("/dev/vfio/vfio", O_RDWR), "the container");
	char path[PATH_MAX], link[PATH_MAX] = "";
	int group;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	must(readlink(path, link, sizeof(link) - 1), path);
	snprintf(path, sizeof(path), "/dev/vfio/noiommu-%s", basename(link));
	group = must(open(path, O_RDWR), path);
	must(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), "VFIO_GROUP_SET_CONTAINER");
	must(ioctl(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU), "VFIO_SET_IOMMU");
	return must(ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf), "VFIO_GROUP_GET_DEVICE_FD");
}

int main(int argc, char **argv)
{
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = VFIO_PCI_BAR2_REGION_INDEX };
	struct vfio_device_feature probe = {
		.argsz = sizeof(probe), .flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET |
						  VFIO_DEVICE_FEATURE_MIGRATION };
	uint32_t word;
	int fd;

	if (argc != 2) {
		fputs("usage: vfio_noiommu BDF\n", stderr);
		return 2;
	}
	fd = open_function(argv[1]);
	puts("opened");
	must(ioctl(fd, VFIO_DEVICE_RESET), "VFIO_DEVICE_RESET");
	puts("reset");
	printf("migration: %s\n", ioctl(fd, VFIO_DEVICE_FEATURE, &probe) ? strerror(errno) : "offered");
	must(ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &bar), "VFIO_DEVICE_GET_REGION_INFO");
	for (int half = 0; half < 2; half++)
		must(pread(fd, &word, sizeof(word), bar.offset + half * bar.size / 2), "BAR2");
	printf("BAR2: %llu bytes\n", (unsigned long long)bar.size);
	must(close(fd), "close");
	puts("closed");
	return 0;
}
