// SPDX-License-Identifier: GPL-2.0
/*
 * The states of migration, and the file of pre-copy.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "hisi_acc_migration_test.h"

static const int all_states[] = {
	STOP, RUNNING, STOP_COPY, RESUMING, RUNNING_P2P, PRE_COPY, PRE_COPY_P2P,
};

uint64_t flags_of(struct device *d)
{
	uint64_t flags;

	CHECK(device_feature_u64(d, VFIO_DEVICE_FEATURE_MIGRATION, &flags), 0);
	return flags;
}

bool has_state(uint64_t flags, int state)
{
	if (state == RUNNING_P2P)
		return flags & VFIO_MIGRATION_P2P;
	if (state == PRE_COPY)
		return flags & VFIO_MIGRATION_PRE_COPY;
	if (state == PRE_COPY_P2P)
		return flags & VFIO_MIGRATION_P2P && flags & VFIO_MIGRATION_PRE_COPY;
	return true;
}

static bool is_precopy(int state)
{
	return state == PRE_COPY || state == PRE_COPY_P2P;
}

/* Whether a file comes back: where its stream begins */
static bool opens_file(int from, int to)
{
	if (from == to)
		return false;
	if (to == STOP_COPY)
		return !is_precopy(from);
	return to == RESUMING || (is_precopy(to) && !is_precopy(from));
}

/* Catches a guest with several devices that QEMU will not migrate */
static void p2p_is_offered(void)
{
	uint64_t all = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY;
	struct device d;

	device_open(&d, source_bdf);
	CHECK(flags_of(&d), all);
	device_close(&d);
}

static void one_way(struct device *d, int from, int to, const uint8_t *image)
{
	bool refused = from == STOP_COPY && is_precopy(to);
	int fd, first;

	device_guest_up(d);
	CHECK(device_set_state(d, from, &first), 0);
	CHECK(device_state(d), from);
	CHECK(first >= 0, opens_file(RUNNING, from));
	if (from == RESUMING && to != RESUMING)
		CHECK(send_image(first, image, IMAGE_SIZE), IMAGE_SIZE);
	CHECK(device_set_state(d, to, &fd), refused ? -EINVAL : 0);
	CHECK(device_state(d), refused ? from : to);
	CHECK(fd >= 0, !refused && opens_file(from, to));
	CHECK(device_set_state(d, refused ? from : to, NULL), 0);
	close(fd);
	close(first);
	CHECK(device_reset(d), 0);
	CHECK(device_state(d), RUNNING);
}

/* Catches a way between two states that is refused, or ends elsewhere */
static void every_pair(void)
{
	uint8_t image[IMAGE_SIZE];
	uint64_t flags;
	struct device d;

	make_image(image, true);
	device_open(&d, destination_bdf);
	flags = flags_of(&d);
	CHECK(device_state(&d), RUNNING);
	for (unsigned int i = 0; i < 49; i++) {
		int from = all_states[i / 7], to = all_states[i % 7];

		if (has_state(flags, from) && has_state(flags, to))
			one_way(&d, from, to, image);
	}
	device_close(&d);
}

/* Catches a function that does not work as before when migration is given up */
static void and_back(void)
{
	uint64_t flags, table;
	struct device d;
	int fd;

	device_open(&d, source_bdf);
	flags = flags_of(&d);
	device_guest_up(&d);
	table = device_sqc_table(&d);
	for (unsigned int i = 0; i < ARRAY_SIZE(all_states); i++) {
		if (all_states[i] == RESUMING || !has_state(flags, all_states[i]))
			continue;
		CHECK(device_set_state(&d, all_states[i], &fd), 0);
		close(fd);
		CHECK(device_set_state(&d, RUNNING, NULL), 0);
		CHECK(device_sqc_table(&d), table);
		CHECK(device_read(&d, 0x60), 0);
	}
	device_close(&d);
}

/* Catches an unknown or reserved state that is taken, or moves it */
static void bad_states(void)
{
	static const int bad[] = { VFIO_DEVICE_STATE_ERROR, 8, 99, -1 };
	struct device d;

	device_open(&d, source_bdf);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK(device_set_state(&d, bad[i], NULL), -EINVAL);
		CHECK(device_state(&d), RUNNING);
	}
	device_close(&d);
}

/* Catches a size that is not what is then read, in any state */
static void data_size(void)
{
	uint8_t image[IMAGE_SIZE];
	uint64_t flags, value;
	struct device d;
	size_t len;
	int fd;

	device_open(&d, source_bdf);
	flags = flags_of(&d);
	for (unsigned int i = 0; i < ARRAY_SIZE(all_states); i++) {
		if (!has_state(flags, all_states[i]))
			continue;
		CHECK(device_set_state(&d, all_states[i], &fd), 0);
		CHECK(device_feature_u64(&d, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
					 &value), 0);
		CHECK(value, IMAGE_SIZE);
		close(fd);
		CHECK(device_reset(&d), 0);
	}
	device_close(&d);

	/* and true, also with nothing behind the function */
	len = make_image(image, false);
	CHECK(len, value);
}

static struct device *open_precopy(struct device *d, bool guest_up, int *fd)
{
	device_open(d, source_bdf);
	if (!has_state(flags_of(d), PRE_COPY))
		skip("no PRE_COPY");
	if (guest_up)
		device_guest_up(d);
	CHECK(device_set_state(d, PRE_COPY, fd), 0);
	return d;
}

static int readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	poll(&p, 1, 0);
	return p.revents;
}

/* D12: Catches 0 for the end of what there is so far */
static void precopy_end(void)
{
	uint8_t image[IMAGE_SIZE];
	struct device d;
	int fd;

	open_precopy(&d, true, &fd);
	CHECK(receive_image(fd, image, 1), 1);
	CHECK(receive_image(fd, image + 1, IMAGE_SIZE), MATCH_SIZE - 1);
	CHECK(receive_image(fd, image, IMAGE_SIZE), -ENOMSG);
	CHECK(device_set_state(&d, STOP_COPY, NULL), 0);
	CHECK(receive_image(fd, image + MATCH_SIZE, IMAGE_SIZE),
	      IMAGE_SIZE - MATCH_SIZE);
	CHECK(receive_image(fd, image, IMAGE_SIZE), 0);
	CHECK(receive_image(fd, image, IMAGE_SIZE), 0);
	device_close(&d);
}

/* D12: Catches a poll that says now for later */
static void precopy_poll(void)
{
	uint8_t image[IMAGE_SIZE];
	struct device d;
	int fd;

	open_precopy(&d, true, &fd);
	CHECK(readable(fd), POLLIN);
	CHECK(receive_image(fd, image, MATCH_SIZE), MATCH_SIZE);
	CHECK(readable(fd), 0);
	CHECK(device_set_state(&d, STOP_COPY, NULL), 0);
	CHECK(readable(fd), POLLIN);
	CHECK(receive_image(fd, image, IMAGE_SIZE), IMAGE_SIZE - MATCH_SIZE);
	CHECK(readable(fd), POLLIN);
	CHECK(device_set_state(&d, RUNNING, NULL), 0);
	CHECK(readable(fd) & POLLERR, POLLERR);
	device_close(&d);
}

/* Catches an image by way of PRE_COPY that is not the one without */
static void precopy_image(void)
{
	uint8_t image[IMAGE_SIZE] = {}, straight[IMAGE_SIZE];
	struct device d;
	int fd;

	for (int up = 0; up < 2; up++) {
		size_t len = make_image(straight, up);

		open_precopy(&d, up, &fd);
		CHECK(receive_image(fd, image, MATCH_SIZE), MATCH_SIZE);
		CHECK(device_set_state(&d, STOP_COPY, NULL), 0);
		CHECK(receive_image(fd, image + MATCH_SIZE, IMAGE_SIZE),
		      len - MATCH_SIZE);
		CHECK(memcmp(image, straight, len), 0);
		close(fd);
		device_close(&d);
	}
}

/* Catches an ioctl that says what read() does not keep */
static void precopy_info(void)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info), .flags = 5 };
	uint8_t image[IMAGE_SIZE];
	struct device d;
	int fd, other;

	open_precopy(&d, true, &fd);
	CHECK(ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info), 0);
	CHECK(info.initial_bytes, MATCH_SIZE);
	CHECK(info.dirty_bytes, 0);
	CHECK(receive_image(fd, image, 30), 30);
	CHECK(ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info), 0);
	CHECK(info.initial_bytes, 10);
	CHECK(receive_image(fd, image, 10), 10);
	CHECK(ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info), 0);
	CHECK(info.initial_bytes, 0);

	info.argsz = 8;
	CHECK(ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info) ? errno : 0, EINVAL);
	CHECK(ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, NULL) ? errno : 0, EFAULT);
	CHECK(ioctl(fd, VFIO_DEVICE_RESET) ? errno : 0, ENOTTY);
	info.argsz = sizeof(info);
	CHECK(device_set_state(&d, STOP_COPY, NULL), 0);
	CHECK(ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info) ? errno : 0, EINVAL);
	CHECK(device_set_state(&d, STOP, NULL), 0);
	CHECK(ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info), -1);
	CHECK(device_set_state(&d, STOP_COPY, &other), 0);
	CHECK(ioctl(other, VFIO_MIG_GET_PRECOPY_INFO, &info) ? errno : 0, EINVAL);
	device_close(&d);
}

/* Catches flags that mean nothing */
static void precopy_info_v2(void)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info), .flags = 5 };
	struct device d;
	int fd, err;

	device_open(&d, source_bdf);
	err = device_set_feature(&d, VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2);
	if (err == -ENOTTY)
		skip("no second version of the information in this kernel");
	CHECK(err, 0);
	CHECK(device_set_state(&d, PRE_COPY, &fd), 0);
	CHECK(ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info), 0);
	CHECK(info.flags, 0);
	CHECK(info.initial_bytes, MATCH_SIZE);
	device_close(&d);
}

const struct test state_tests[] = {
	{ "p2p_is_offered", p2p_is_offered },
	{ "every_pair", every_pair },
	{ "and_back", and_back },
	{ "bad_states", bad_states },
	{ "data_size", data_size },
	{ "precopy_end", precopy_end },
	{ "precopy_poll", precopy_poll },
	{ "precopy_image", precopy_image },
	{ "precopy_info", precopy_info },
	{ "precopy_info_v2", precopy_info_v2 },
	{ }
};
