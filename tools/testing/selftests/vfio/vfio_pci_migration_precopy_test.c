// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of a VFIO device: data that is saved while the device runs.
 */
#include <poll.h>
#include <pthread.h>

#include "migration_fixture.h"

static const int precopy_states[] = { PRE_COPY, PRE_COPY_P2P };

/* Read what there is before the stop; returns what the last read() did */
static int read_precopy_data(int data_fd, struct migration_data *data)
{
	*data = (struct migration_data) {};
	return migration_data_read(data_fd, data, 1 << 12);
}

/* Before the stop the end of data is ENOMSG: only STOP_COPY returns 0 */
TEST_F(migration, precopy_ends_with_enomsg)
{
	if (!state_exists(self->flags, PRE_COPY))
		SKIP(return, "no PRE_COPY");
	for (unsigned int i = 0; i < ARRAY_SIZE(precopy_states); i++) {
		struct migration_data data;
		int data_fd;
		u8 byte;

		if (!state_exists(self->flags, precopy_states[i]))
			continue;
		data_fd = device_enter(self->fd, precopy_states[i]);
		ASSERT_GE(data_fd, 0);
		EXPECT_EQ(read_precopy_data(data_fd, &data), -ENOMSG) {
			TH_LOG("in %s", state_name(precopy_states[i]));
		}
		EXPECT_EQ(read(data_fd, &byte, 1), -1);
		EXPECT_EQ(errno, ENOMSG);
		migration_data_free(&data);
		close(data_fd);
		ASSERT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
	}
}

/* The file is not readable while there is no data: a waiter would spin */
TEST_F(migration, precopy_poll)
{
	struct migration_data data;
	int data_fd;

	if (!state_exists(self->flags, PRE_COPY))
		SKIP(return, "no PRE_COPY");
	data_fd = device_enter(self->fd, PRE_COPY);
	ASSERT_GE(data_fd, 0);
	EXPECT_TRUE(poll_now(data_fd, POLLIN) & POLLIN);
	read_precopy_data(data_fd, &data);
	EXPECT_EQ(poll_now(data_fd, POLLIN), 0);
	ASSERT_EQ(device_set_state(self->fd, STOP_COPY, NULL), 0);
	EXPECT_TRUE(poll_now(data_fd, POLLIN) & POLLIN);
	migration_data_free(&data);
	close(data_fd);
}

static void *wait_until_readable(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg, .events = POLLIN };

	poll(&p, 1, -1);
	return (void *)(long)p.revents;
}

/* A waiter in poll() wakes up for more data, and for the end of the session */
TEST_F(migration, precopy_poll_wakes)
{
	static const int to[] = { STOP_COPY, RUNNING };

	if (!state_exists(self->flags, PRE_COPY))
		SKIP(return, "no PRE_COPY");
	for (unsigned int i = 0; i < ARRAY_SIZE(to); i++) {
		struct migration_data data;
		pthread_t waiter;
		void *revents;
		int data_fd;

		data_fd = device_enter(self->fd, PRE_COPY);
		ASSERT_GE(data_fd, 0);
		read_precopy_data(data_fd, &data);
		ASSERT_EQ(pthread_create(&waiter, NULL, wait_until_readable,
					 &data_fd), 0);
		ASSERT_EQ(device_set_state(self->fd, to[i], NULL), 0);
		ASSERT_EQ(pthread_join(waiter, &revents), 0);
		EXPECT_NE((long)revents, 0);
		migration_data_free(&data);
		close(data_fd);
		ASSERT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
	}
}

/* The file of PRE_COPY is the file of STOP_COPY, wherever the stop comes */
TEST_F(migration, precopy_continues_in_stop_copy)
{
	struct migration_data data, early;
	size_t at = 0;

	if (!state_exists(self->flags, PRE_COPY))
		SKIP(return, "no PRE_COPY");
	do {
		int data_fd = device_enter(self->fd, PRE_COPY), none;

		ASSERT_GE(data_fd, 0);
		read_precopy_data(data_fd, &early);
		close(data_fd);
		ASSERT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
		if (at > early.len)
			at = early.len;
		data = (struct migration_data) { malloc(early.len + 1), 0 };
		data_fd = device_enter(self->fd, PRE_COPY);
		ASSERT_GE(data_fd, 0);
		while (data.len < at) {
			ssize_t now = read(data_fd, data.bytes + data.len,
					   at - data.len);

			ASSERT_GT(now, 0);
			data.len += now;
		}
		ASSERT_EQ(device_set_state(self->fd, STOP_COPY, &none), 0);
		EXPECT_EQ(none, -1);
		EXPECT_EQ(migration_data_read(data_fd, &data, 0), 0);
		EXPECT_GE(data.len, early.len);
		close(data_fd);
		EXPECT_EQ(device_load(self->fd, &data, 0), 0) {
			TH_LOG("%zu of %zu bytes before the stop", at, early.len);
		}
		ASSERT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
		at += early.len / 16 + 1;
		migration_data_free(&early);
		migration_data_free(&data);
	} while (at <= early.len + 1);
}

/* VFIO_MIG_GET_PRECOPY_INFO agrees with read() */
TEST_F(migration, precopy_info)
{
	struct vfio_precopy_info info = {}, before;
	int data_fd, ret;
	u8 byte;

	if (!state_exists(self->flags, PRE_COPY))
		SKIP(return, "no PRE_COPY");
	data_fd = device_enter(self->fd, PRE_COPY);
	ASSERT_GE(data_fd, 0);
	EXPECT_EQ(migf_precopy_info(data_fd, &info), 0);
	EXPECT_GT(info.initial_bytes, 0);
	EXPECT_EQ(info.dirty_bytes, 0);
	do {
		before = info;
		ret = read(data_fd, &byte, 1);
		EXPECT_EQ(migf_precopy_info(data_fd, &info), 0);
		EXPECT_LE(info.initial_bytes, before.initial_bytes);
	} while (ret == 1 && info.initial_bytes + info.dirty_bytes);
	EXPECT_EQ(info.initial_bytes, 0);
	/* precopy_ends_with_enomsg checks the error */
	EXPECT_LE(read(data_fd, &byte, 1), 0);
	close(data_fd);
}

/* A file that data is written to has none in any state, whatever was written */
static bool has_no_precopy_info(int data_fd)
{
	struct vfio_precopy_info info;
	int err = migf_precopy_info(data_fd, &info);

	return err == -EINVAL || err == -ENOTTY;
}

/* Arguments are checked; the ioctl fails outside of the pre-copy states */
TEST_F(migration, precopy_info_arguments)
{
	struct vfio_precopy_info info = {};
	struct migration_data data;
	int data_fd;

	if (!state_exists(self->flags, PRE_COPY))
		SKIP(return, "no PRE_COPY");
	data_fd = device_enter(self->fd, PRE_COPY);
	ASSERT_GE(data_fd, 0);
	info.argsz = sizeof(info) - 1;
	EXPECT_EQ(ioctl(data_fd, VFIO_MIG_GET_PRECOPY_INFO, &info), -1);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_EQ(ioctl(data_fd, VFIO_MIG_GET_PRECOPY_INFO, NULL), -1);
	EXPECT_EQ(errno, EFAULT);
	EXPECT_EQ(ioctl(data_fd, VFIO_DEVICE_RESET), -1);
	EXPECT_EQ(errno, ENOTTY);
	if (state_exists(self->flags, PRE_COPY_P2P)) {
		ASSERT_EQ(device_set_state(self->fd, PRE_COPY_P2P, NULL), 0);
		EXPECT_EQ(migf_precopy_info(data_fd, &info), 0);
	}
	ASSERT_EQ(device_set_state(self->fd, STOP_COPY, NULL), 0);
	EXPECT_EQ(migf_precopy_info(data_fd, &info), -EINVAL);
	ASSERT_EQ(device_set_state(self->fd, STOP, NULL), 0);
	EXPECT_NE(migf_precopy_info(data_fd, &info), 0);
	close(data_fd);

	ASSERT_EQ(device_save(self->fd, &data), 0);
	data_fd = device_enter(self->fd, RESUMING);
	ASSERT_GE(data_fd, 0);
	EXPECT_TRUE(has_no_precopy_info(data_fd));
	migration_data_write(data_fd, &data, 0);
	EXPECT_TRUE(has_no_precopy_info(data_fd));
	/* more than fits */
	migration_data_write(data_fd, &data, 0);
	EXPECT_TRUE(has_no_precopy_info(data_fd));
	close(data_fd);
	migration_data_free(&data);
}

static int choose_info_v2(int fd)
{
	return device_feature(fd, VFIO_DEVICE_FEATURE_SET |
			      VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, NULL, 0,
			      FEATURE_HEADER);
}

/* With version 2 flags are written, and none that is not defined */
TEST_F(migration, precopy_info_v2)
{
	struct vfio_precopy_info info = { .flags = ~0U };
	int data_fd, ret = choose_info_v2(self->fd);

	if (ret == -ENOTTY)
		SKIP(return, "this kernel has no second version");
	if (!(self->flags & VFIO_MIGRATION_PRE_COPY)) {
		EXPECT_EQ(ret, -EINVAL);
		return;
	}
	EXPECT_EQ(ret, 0);
	EXPECT_EQ(device_feature(self->fd, VFIO_DEVICE_FEATURE_PROBE |
				 VFIO_DEVICE_FEATURE_SET |
				 VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, NULL,
				 0, FEATURE_HEADER), 0);
	EXPECT_EQ(device_feature(self->fd, VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, NULL,
				 0, FEATURE_HEADER), -EINVAL);
	data_fd = device_enter(self->fd, PRE_COPY);
	ASSERT_GE(data_fd, 0);
	EXPECT_EQ(migf_precopy_info(data_fd, &info), 0);
	EXPECT_EQ(info.flags & ~VFIO_PRECOPY_INFO_REINIT, 0);
	EXPECT_GT(info.initial_bytes, 0);
	close(data_fd);
}

/* A device that left pre-copy for RUNNING can be saved later */
TEST_F(migration, precopy_cancelled)
{
	struct migration_data data;

	if (!state_exists(self->flags, PRE_COPY))
		SKIP(return, "no PRE_COPY");
	for (int i = 0; i < 3; i++) {
		int data_fd = device_enter(self->fd, PRE_COPY);
		u8 byte;

		ASSERT_GE(data_fd, 0);
		EXPECT_EQ(read(data_fd, &byte, 1), 1);
		ASSERT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
		EXPECT_EQ(read(data_fd, &byte, 1), -1);
		EXPECT_NE(poll_now(data_fd, POLLIN), 0);
		close(data_fd);
	}
	EXPECT_EQ(device_save(self->fd, &data), 0);
	EXPECT_EQ(device_load(self->fd, &data, 0), 0);
	migration_data_free(&data);
}

int main(int argc, char *argv[])
{
	return migration_test_run(argc, argv);
}
