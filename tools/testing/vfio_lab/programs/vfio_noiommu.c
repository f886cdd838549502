// SPDX-License-Identifier: GPL-2.0
/*
 * vfio_noiommu BDF: use a VF without an IOMMU, as in a guest. Opens it, which resets
 * it, resets it again, checks for migration support, reads a word in each half of
 * BAR2, and prints the results.
 */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vfio_device.h"

int main(int argc, char **argv)
{
	struct vfio_region_info bar2 = { .argsz = sizeof(bar2), .index = VFIO_PCI_BAR2_REGION_INDEX };
	uint64_t flags;
	uint32_t word;
	struct device d;
	int err;

	if (argc != 2) {
		fputs("usage: vfio_noiommu BDF\n", stderr);
		return 2;
	}
	device_open_noiommu(&d, argv[1]);
	puts("opened");
	err = device_reset_retried(&d);
	puts(err ? strerror(-err) : "reset");
	err = device_migration_flags(d.fd, &flags);
	printf("migration: %s\n", err ? strerror(-err) : "offered");
	if (ioctl(d.fd, VFIO_DEVICE_GET_REGION_INFO, &bar2)) {
		perror("BAR2");
		return 1;
	}
	for (int half = 0; half < 2; half++) {
		if (pread(d.fd, &word, sizeof(word), bar2.offset + half * bar2.size / 2) < 0) {
			perror("BAR2");
			return 1;
		}
	}
	printf("BAR2: %llu bytes\n", (unsigned long long)bar2.size);
	device_close(&d);
	puts("closed");
	return 0;
}
