// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/limits.h>

#include "vfio_open.h"

int open_cdev(const char *path)
{
	char name[PATH_MAX];
	struct dirent *entry;
	int fd = -ENOENT;
	DIR *dir;

	if (snprintf(name, sizeof(name), "%s/vfio-dev", path) >= (int)sizeof(name))
		return -ENAMETOOLONG;
	dir = opendir(name);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "vfio", 4))
			continue;
		snprintf(name, sizeof(name), "/dev/vfio/devices/%s", entry->d_name);
		fd = open(name, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	closedir(dir);
	return fd;
}

int open_group(const char *path, const char *prefix)
{
	char name[PATH_MAX], target[PATH_MAX];
	ssize_t len;
	int fd;

	if (snprintf(name, sizeof(name), "%s/iommu_group", path) >= (int)sizeof(name))
		return -ENAMETOOLONG;
	len = readlink(name, target, sizeof(target) - 1);
	if (len < 0)
		return -errno;
	target[len] = 0;
	snprintf(name, sizeof(name), "/dev/vfio/%s%d", prefix, atoi(basename(target)));
	fd = open(name, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
