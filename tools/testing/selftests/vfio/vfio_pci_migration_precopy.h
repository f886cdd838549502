/* SPDX-License-Identifier: GPL-2.0 */
/* Part of vfio_pci_migration_test.c: what travels while the device runs. */

static const int precopy_states[] = { PRE_COPY, PRE_COPY_P2P };

/* Reads what a running device has to give; how the last read ended */
static int read_so_far(int data_fd, struct image *image)
{
	*image = (struct image) {};
	return image_read(data_fd, image, 1 << 12);
}

/* Catches 0 for "later": only STOP_COPY has an end */
TEST_F(migration, precopy_ends_with_enomsg)
{
	if (!state_exists(self->flags, PRE_COPY))
		SKIP(return, "no PRE_COPY");
	for (unsigned int i = 0; i < ARRAY_SIZE(precopy_states); i++) {
		struct image image;
		int data_fd;
		u8 byte;

		if (!state_exists(self->flags, precopy_states[i]))
			continue;
		data_fd = enter(self->fd, precopy_states[i]);
		ASSERT_GE(data_fd, 0);
		EXPECT_EQ(read_so_far(data_fd, &image), -ENOMSG) {
			TH_LOG("in %s", state_name(precopy_states[i]));
		}
		EXPECT_EQ(read(data_fd, &byte, 1), -1);
		EXPECT_EQ(errno, ENOMSG);
		image_free(&image);
		close(data_fd);
		ASSERT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
	}
}

/* Catches a poll that says "now" for "later": whoever waits would turn in circles */
TEST_F(migration, precopy_poll)
{
	struct image image;
	int data_fd;

	if (!state_exists(self->flags, PRE_COPY))
		SKIP(return, "no PRE_COPY");
	data_fd = enter(self->fd, PRE_COPY);
	ASSERT_GE(data_fd, 0);
	EXPECT_TRUE(polled(data_fd, POLLIN) & POLLIN);
	read_so_far(data_fd, &image);
	EXPECT_EQ(polled(data_fd, POLLIN), 0);
	ASSERT_EQ(device_set_state(self->fd, STOP_COPY, NULL), 0);
	EXPECT_TRUE(polled(data_fd, POLLIN) & POLLIN);
	image_free(&image);
	close(data_fd);
}

static void *wait_until_readable(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg, .events = POLLIN };

	poll(&p, 1, -1);
	return (void *)(long)p.revents;
}

/* Catches a waiter whom nobody wakes: when more comes, when it never will */
TEST_F(migration, precopy_poll_wakes)
{
	static const int to[] = { STOP_COPY, RUNNING };

	if (!state_exists(self->flags, PRE_COPY))
		SKIP(return, "no PRE_COPY");
	for (unsigned int i = 0; i < ARRAY_SIZE(to); i++) {
		struct image image;
		pthread_t waiter;
		void *revents;
		int data_fd;

		data_fd = enter(self->fd, PRE_COPY);
		ASSERT_GE(data_fd, 0);
		read_so_far(data_fd, &image);
		ASSERT_EQ(pthread_create(&waiter, NULL, wait_until_readable,
					 &data_fd), 0);
		ASSERT_EQ(device_set_state(self->fd, to[i], NULL), 0);
		ASSERT_EQ(pthread_join(waiter, &revents), 0);
		EXPECT_NE((long)revents, 0);
		image_free(&image);
		close(data_fd);
		ASSERT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
	}
}

/* Catches a stream that falls into two: one file carries it to the end, wherever
 * it is cut
 */
TEST_F(migration, precopy_goes_on_in_stop_copy)
{
	struct image image, early;
	size_t at = 0;

	if (!state_exists(self->flags, PRE_COPY))
		SKIP(return, "no PRE_COPY");
	do {
		int data_fd = enter(self->fd, PRE_COPY), none;

		ASSERT_GE(data_fd, 0);
		read_so_far(data_fd, &early);
		close(data_fd);
		ASSERT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
		if (at > early.len)
			at = early.len;
		image = (struct image) { malloc(early.len + 1), 0 };
		data_fd = enter(self->fd, PRE_COPY);
		ASSERT_GE(data_fd, 0);
		while (image.len < at) {
			ssize_t now = read(data_fd, image.data + image.len,
					   at - image.len);

			ASSERT_GT(now, 0);
			image.len += now;
		}
		ASSERT_EQ(device_set_state(self->fd, STOP_COPY, &none), 0);
		EXPECT_EQ(none, -1);
		EXPECT_EQ(image_read(data_fd, &image, 0), 0);
		EXPECT_GE(image.len, early.len);
		close(data_fd);
		EXPECT_EQ(give_image(self->fd, &image, 0), 0) {
			TH_LOG("%zu of %zu bytes before the stop", at, early.len);
		}
		ASSERT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
		at += early.len / 16 + 1;
		image_free(&early);
		image_free(&image);
	} while (at <= early.len + 1);
}

/* Catches an ioctl that says what read() does not keep */
TEST_F(migration, precopy_info)
{
	struct vfio_precopy_info info = {}, before;
	int data_fd, ret;
	u8 byte;

	if (!state_exists(self->flags, PRE_COPY))
		SKIP(return, "no PRE_COPY");
	data_fd = enter(self->fd, PRE_COPY);
	ASSERT_GE(data_fd, 0);
	EXPECT_EQ(data_file_precopy_info(data_fd, &info), 0);
	EXPECT_GT(info.initial_bytes, 0);
	EXPECT_EQ(info.dirty_bytes, 0);
	do {
		before = info;
		ret = read(data_fd, &byte, 1);
		EXPECT_EQ(data_file_precopy_info(data_fd, &info), 0);
		EXPECT_LE(info.initial_bytes, before.initial_bytes);
	} while (ret == 1 && info.initial_bytes + info.dirty_bytes);
	EXPECT_EQ(info.initial_bytes, 0);
	/* what the ioctl calls empty is; precopy_ends_with_enomsg asks how */
	EXPECT_LE(read(data_fd, &byte, 1), 0);
	close(data_fd);
}

/* Catches an answer outside of the two states, or to what is no question */
TEST_F(migration, precopy_info_arguments)
{
	struct vfio_precopy_info info = {};
	struct image image;
	int data_fd;

	if (!state_exists(self->flags, PRE_COPY))
		SKIP(return, "no PRE_COPY");
	data_fd = enter(self->fd, PRE_COPY);
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
		EXPECT_EQ(data_file_precopy_info(data_fd, &info), 0);
	}
	ASSERT_EQ(device_set_state(self->fd, STOP_COPY, NULL), 0);
	EXPECT_EQ(data_file_precopy_info(data_fd, &info), -EINVAL);
	ASSERT_EQ(device_set_state(self->fd, STOP, NULL), 0);
	EXPECT_NE(data_file_precopy_info(data_fd, &info), 0);
	close(data_fd);

	ASSERT_EQ(take_image(self->fd, &image), 0);
	data_fd = enter(self->fd, RESUMING);
	ASSERT_GE(data_fd, 0);
	EXPECT_NE(data_file_precopy_info(data_fd, &info), 0);
	close(data_fd);
	image_free(&image);
}

static int choose_info_v2(int fd)
{
	return device_feature(fd, VFIO_DEVICE_FEATURE_SET |
			      VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, NULL, 0,
			      HEADER);
}

/* Catches flags that are not written, or say what nobody can know */
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
				 0, HEADER), 0);
	EXPECT_EQ(device_feature(self->fd, VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, NULL,
				 0, HEADER), -EINVAL);
	data_fd = enter(self->fd, PRE_COPY);
	ASSERT_GE(data_fd, 0);
	EXPECT_EQ(data_file_precopy_info(data_fd, &info), 0);
	EXPECT_EQ(info.flags & ~VFIO_PRECOPY_INFO_REINIT, 0);
	EXPECT_GT(info.initial_bytes, 0);
	close(data_fd);
}

/* Catches a device that has to be stopped for good once it was asked */
TEST_F(migration, precopy_given_up)
{
	struct image image;

	if (!state_exists(self->flags, PRE_COPY))
		SKIP(return, "no PRE_COPY");
	for (int i = 0; i < 3; i++) {
		int data_fd = enter(self->fd, PRE_COPY);
		u8 byte;

		ASSERT_GE(data_fd, 0);
		EXPECT_EQ(read(data_fd, &byte, 1), 1);
		ASSERT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
		EXPECT_EQ(read(data_fd, &byte, 1), -1);
		EXPECT_NE(polled(data_fd, POLLIN), 0);
		close(data_fd);
	}
	EXPECT_EQ(take_image(self->fd, &image), 0);
	EXPECT_EQ(give_image(self->fd, &image, 0), 0);
	image_free(&image);
}
