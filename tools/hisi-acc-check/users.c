// SPDX-License-Identifier: GPL-2.0
/*
 * Which process has a VF open: the open files of all processes are compared with the
 * VFs' devices, by number.
 */
#include <dirent.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "check.h"

/* The devices of a VF; 0 is none */
struct nodes {
	dev_t cdev;
	dev_t group;
};

__printf(1, 2)
static dev_t users_device(const char *format, ...)
{
	unsigned int major, minor;
	char path[NAME_SIZE * 3], text[NAME_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	if (files_read(text, sizeof(text), "%s", path) ||
	    sscanf(text, "%u:%u", &major, &minor) != 2)
		return 0;
	return makedev(major, minor);
}

static void users_match(struct vf *vfs, const struct nodes *nodes, size_t count, dev_t device,
			const char *pid)
{
	for (size_t i = 0; i < count; i++) {
		bool group = device == nodes[i].group;

		if (!group && device != nodes[i].cdev)
			continue;
		vfs[i].in_use = KNOWN_YES;
		vfs[i].user.pid = atoi(pid);
		vfs[i].user.group = group;
		files_read(vfs[i].user.name, NAME_SIZE, "/proc/%s/comm", pid);
	}
}

/* Whether all files of the process could be seen */
static bool users_of_process(struct vf *vfs, const struct nodes *nodes, size_t count,
			     const char *pid)
{
	struct dirent *entry;
	char path[NAME_SIZE];
	struct stat st;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	dir = opendir(path);
	if (!dir)
		/* it has ended, or is another user's */
		return access(path, F_OK);
	while ((entry = readdir(dir)))
		if (!fstatat(dirfd(dir), entry->d_name, &st, 0) && S_ISCHR(st.st_mode) &&
		    st.st_rdev)
			users_match(vfs, nodes, count, st.st_rdev, pid);
	closedir(dir);
	return true;
}

/* Needs root to see all processes; without, a VF may be in use although none is found */
void users_find(struct vf *vfs, size_t count)
{
	struct nodes *nodes = calloc(count + 1, sizeof(*nodes));
	bool all = !files_root[0] && !geteuid();
	char **pids = NULL;
	size_t found = 0;

	if (!nodes || files_root[0])
		goto out;
	for (size_t i = 0; i < count; i++) {
		if (vfs[i].cdev[0])
			nodes[i].cdev = users_device("/sys/bus/pci/devices/%s/vfio-dev/%s/dev",
						     vfs[i].address, vfs[i].cdev);
		if (vfs[i].group >= 0)
			nodes[i].group = users_device("/sys/class/vfio/%d/dev", vfs[i].group);
	}
	if (files_list(&pids, &found, "/proc"))
		all = false;
	for (size_t i = 0; i < found; i++)
		if (pids[i][strspn(pids[i], "0123456789")] == 0 &&
		    !users_of_process(vfs, nodes, count, pids[i]))
			all = false;
	for (size_t i = 0; all && i < count; i++)
		if (vfs[i].in_use == KNOWN_NOT)
			vfs[i].in_use = KNOWN_NO;
out:
	files_list_free(pids, found);
	free(nodes);
}
