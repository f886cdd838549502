// SPDX-License-Identifier: GPL-2.0
/*
 * vfio_noiommu BDF: use a VF without an IOMMU, as in a guest. Opens it, which resets
 * it, resets it again, checks for migration support, reads a word in each half of
 * BAR2, and prints the results.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vfio_device.h"

int main(int argc, char **argv)
{
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
	err = device_reset(&d);
	puts(err ? strerror(-err) : "reset");
	err = device_feature_u64(&d, VFIO_DEVICE_FEATURE_MIGRATION, &flags);
	printf("migration: %s\n", err ? strerror(-err) : "offered");
	for (int half = 0; half < 2; half++) {
		if (pread(d.fd, &word, sizeof(word), d.bar2 + half * d.bar2_size / 2) < 0) {
			perror("BAR2");
			return 1;
		}
	}
	printf("BAR2: %llu bytes\n", (unsigned long long)d.bar2_size);
	device_close(&d);
	puts("closed");
	return 0;
}
