// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/limits.h>

#include "kselftest.h"
#include "migration.h"
#include "vfio_open.h"

#define ALL	(1 << 20)
#define SPLITS	512

char *migration_device_argument(int *argc, char *argv[])
{
	char path[PATH_MAX], *found;
	const char *name;

	if (*argc > 1 && argv[*argc - 1][0] == '/') {
		name = argv[--*argc];
		snprintf_assert(path, sizeof(path), "%s", name);
	} else {
		name = vfio_selftests_get_bdf(argc, argv);
		snprintf_assert(path, sizeof(path), "/sys/bus/pci/devices/%s", name);
	}
	found = realpath(path, NULL);
	if (!found)
		ksft_exit_skip("there is no device %s\n", name);
	return found;
}

void migration_device_pair(int *argc, char *argv[], const char *bdfs[2])
{
	int count;
	char **given = vfio_selftests_get_bdfs(argc, argv, &count);

	bdfs[0] = given[0];
	bdfs[1] = count > 1 ? given[1] : getenv("VFIO_SELFTESTS_DESTINATION");
	if (!bdfs[1])
		ksft_exit_skip("needs a source and a destination\n");
}

unsigned int migration_device_attribute(const char *path, const char *name)
{
	char file[PATH_MAX];
	unsigned int value;
	FILE *attribute;

	snprintf_assert(file, sizeof(file), "%s/%s", path, name);
	attribute = fopen(file, "r");
	if (!attribute || fscanf(attribute, "%x", &value) != 1)
		value = 0;
	if (attribute)
		fclose(attribute);
	return value;
}

void migration_device_require(const char *path)
{
	static const char *const modes[] = { MODE_IOMMUFD, MODE_VFIO_TYPE1_IOMMU };
	struct migration_device *device;
	unsigned int mode = 0;
	u64 flags;
	int ret;

	while (!migration_mode_works(path, modes[mode]))
		if (++mode == ARRAY_SIZE(modes))
			ksft_exit_skip("%s is not bound to a VFIO driver\n", path);
	device = migration_device_open(path, modes[mode]);
	ret = device_migration_flags(device->fd, &flags);
	migration_device_close(device);
	if (ret == -ENOTTY)
		ksft_exit_skip("%s: its driver offers no migration\n", path);
	if (ret)
		ksft_exit_fail_msg("%s: VFIO_DEVICE_FEATURE_MIGRATION: %s\n",
				   path, strerror(-ret));
}

bool migration_mode_works(const char *path, const char *mode)
{
	bool container = !strncmp(mode, "vfio_", 5);
	int fd;

	if (access(container ? "/dev/vfio/vfio" : "/dev/iommu", R_OK | W_OK))
		return false;
	fd = strcmp(mode, MODE_IOMMUFD) ? open_group(path, "") : open_cdev(path);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int get_device_fd(struct migration_device *device)
{
	char *path = strdup(device->path);
	int fd;

	fd = ioctl(device->group_fd, VFIO_GROUP_GET_DEVICE_FD, basename(path));
	if (fd < 0)
		fd = -errno;
	free(path);
	return fd;
}

static void join_container(struct migration_device *device)
{
	/* libvfio's function takes a device of libvfio */
	struct vfio_pci_device container = { .iommu = device->iommu };

	device->group_fd = open_group(device->path, "");
	VFIO_ASSERT_GE(device->group_fd, 0, "group of %s\n", device->path);
	ioctl_assert(device->group_fd, VFIO_GROUP_SET_CONTAINER,
		     &device->iommu->container_fd);
	vfio_container_set_iommu(&container);
}

static int bind_and_attach(int fd, struct iommu *iommu)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = iommu->ioas_id,
	};
	int ret = __vfio_device_bind_iommufd(fd, iommu->iommufd, NULL);

	if (!ret && ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		ret = -errno;
	return ret;
}

int __migration_device_get_fd(struct migration_device *device)
{
	bool container = device->iommu->mode->container_path;
	int fd = container ? get_device_fd(device) : open_cdev(device->path);
	int ret;

	if (fd < 0)
		return fd;
	ret = container ? 0 : bind_and_attach(fd, device->iommu);
	if (ret)
		close(fd);
	else
		device->fd = fd;
	return ret;
}

static void open_device(struct migration_device *device)
{
	VFIO_ASSERT_EQ(__migration_device_get_fd(device), 0,
		       "%s cannot be opened\n", device->path);
}

struct migration_device *migration_device_open(const char *path, const char *mode)
{
	struct migration_device *device = calloc(1, sizeof(*device));

	VFIO_ASSERT_NOT_NULL(device);
	device->path = path;
	device->iommu = iommu_init(mode);
	device->group_fd = -1;
	if (device->iommu->mode->container_path)
		join_container(device);
	open_device(device);
	return device;
}

void migration_device_reopen(struct migration_device *device)
{
	close(device->fd);
	open_device(device);
}

void migration_device_close(struct migration_device *device)
{
	close(device->fd);
	if (device->group_fd >= 0)
		close(device->group_fd);
	iommu_cleanup(device->iommu);
	free(device);
}

int device_enter(int fd, int state)
{
	int data_fd = -1;
	int ret = device_set_state(fd, state, &data_fd);

	return ret ?: data_fd;
}

int device_set_running(int fd)
{
	int state = device_get_state(fd);

	/* a reset takes long on some devices */
	if (state == RESUMING || state == VFIO_DEVICE_STATE_ERROR)
		return device_reset(fd);
	return state < 0 ? state : device_set_state(fd, RUNNING, NULL);
}

int device_save(int fd, struct migration_data *data)
{
	int data_fd, ret;

	*data = (struct migration_data) {};
	ret = device_set_state(fd, STOP_COPY, &data_fd);
	if (ret)
		return ret;
	ret = migration_data_read(data_fd, data, 0);
	close(data_fd);
	return ret ?: device_set_state(fd, STOP, NULL);
}

int device_load(int fd, const struct migration_data *data, size_t chunk)
{
	int data_fd, ret;

	ret = device_set_state(fd, RESUMING, &data_fd);
	if (ret)
		return ret;
	ret = migration_data_write(data_fd, data, chunk);
	if (!ret)
		ret = device_set_state(fd, STOP, NULL);
	close(data_fd);
	return ret;
}

bool device_data_is_constant(int fd, const struct migration_data *data)
{
	struct migration_data again;
	bool equal;

	if (device_save(fd, &again))
		return false;
	equal = migration_data_equal(data, &again);
	migration_data_free(&again);
	return equal;
}

const int device_states[DEVICE_STATES] = {
	STOP, RUNNING, STOP_COPY, RESUMING, RUNNING_P2P, PRE_COPY, PRE_COPY_P2P,
};

bool state_exists(u64 flags, int state)
{
	if (state == RUNNING_P2P || state == PRE_COPY_P2P)
		if (!(flags & VFIO_MIGRATION_P2P))
			return false;
	return !state_precopy(state) || flags & VFIO_MIGRATION_PRE_COPY;
}

bool state_refused(int from, int to)
{
	return from == STOP_COPY && state_precopy(to);
}

bool state_opens_file(int from, int to)
{
	if (from == to || state_refused(from, to))
		return false;
	if (to == RESUMING)
		return true;
	return state_saves(to) && !state_precopy(from);
}

const char *state_name(int state)
{
	static const char *const names[] = {
		"ERROR", "STOP", "RUNNING", "STOP_COPY", "RESUMING",
		"RUNNING_P2P", "PRE_COPY", "PRE_COPY_P2P",
	};

	return state >= 0 && state <= PRE_COPY_P2P ? names[state] : "?";
}

u8 *lone_page(void)
{
	size_t page = getpagesize();
	u8 *pages;

	pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	VFIO_ASSERT_NE(pages, MAP_FAILED);
	VFIO_ASSERT_EQ(munmap(pages + page, page), 0);
	return pages;
}

short poll_now(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

int migration_data_read(int data_fd, struct migration_data *data, size_t chunk)
{
	ssize_t got;

	do {
		data->bytes = realloc(data->bytes, data->len + (chunk ?: ALL));
		VFIO_ASSERT_NOT_NULL(data->bytes);
		got = read(data_fd, data->bytes + data->len, chunk ?: ALL);
		if (got > 0)
			data->len += got;
	} while (got > 0);
	return got ? -errno : 0;
}

int migration_data_write(int data_fd, const struct migration_data *data, size_t chunk)
{
	size_t at = 0;

	while (at < data->len) {
		size_t want = chunk && chunk < data->len - at ? chunk :
			      data->len - at;
		ssize_t put = write(data_fd, data->bytes + at, want);

		if (put <= 0)
			return put ? -errno : -EIO;
		at += put;
	}
	return 0;
}

void migration_data_free(struct migration_data *data)
{
	free(data->bytes);
	*data = (struct migration_data) {};
}

bool migration_data_equal(const struct migration_data *a, const struct migration_data *b)
{
	return a->len == b->len && !memcmp(a->bytes, b->bytes, a->len);
}

size_t split_step(const struct migration_data *data)
{
	return data->len / SPLITS + 1;
}
