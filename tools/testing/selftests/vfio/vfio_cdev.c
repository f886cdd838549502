// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <linux/limits.h>

#include "vfio_cdev.h"

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
