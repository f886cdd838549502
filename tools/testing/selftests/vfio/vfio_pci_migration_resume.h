/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Part of vfio_pci_migration_test.c: the data file of a device that takes a
 * state. Where something is refused, write() may say so, and leaving RESUMING
 * must: a device runs with a whole state or not at all.
 */

/* Catches a file that can be read, or written at a place */
TEST_F(migration, resume_file_is_a_stream_to_write)
{
	int data_fd = enter(self->fd, RESUMING);
	u8 byte = 0;

	ASSERT_GE(data_fd, 0);
	EXPECT_EQ(read(data_fd, &byte, 1), -1);
	EXPECT_EQ(errno, EBADF);
	EXPECT_EQ(pwrite(data_fd, &byte, 1, 0), -1);
	EXPECT_EQ(errno, ESPIPE);
	EXPECT_EQ(lseek(data_fd, 0, SEEK_SET), -1);
	EXPECT_EQ(errno, ESPIPE);
	close(data_fd);
}

/* Catches an image that is refused by the device that made it, or is lost: what
 * is saved after that is the same
 */
TEST_F(migration, resume_and_save)
{
	struct image image, again;
	bool constant;

	ASSERT_EQ(take_image(self->fd, &image), 0);
	constant = device_is_constant(self->fd, &image);
	EXPECT_EQ(give_image(self->fd, &image, 0), 0);
	EXPECT_EQ(device_get_state(self->fd), STOP);
	ASSERT_EQ(take_image(self->fd, &again), 0);
	EXPECT_EQ(again.len, image.len);
	if (constant)
		EXPECT_TRUE(image_same(&image, &again));
	EXPECT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
	image_free(&image);
	image_free(&again);
}

/* Catches segmentation that matters */
TEST_F(migration, resume_in_chunks)
{
	size_t chunks[] = { 1, 3, 0, 0, 4096, 1 << 16 };
	struct image image;

	ASSERT_EQ(take_image(self->fd, &image), 0);
	chunks[2] = image.len - 1 ?: 1;
	chunks[3] = image.len;
	for (unsigned int i = 0; i < ARRAY_SIZE(chunks); i++) {
		if (image.len / chunks[i] > 1 << 16)
			chunks[i] = image.len >> 16;
		EXPECT_EQ(give_image(self->fd, &image, chunks[i]), 0) {
			TH_LOG("chunks of %zu", chunks[i]);
		}
		ASSERT_EQ(device_get_state(self->fd), STOP);
	}
	image_free(&image);
}

/* Catches the same, at each place where a write can end */
TEST_F(migration, resume_split_anywhere)
{
	struct image image;

	ASSERT_EQ(take_image(self->fd, &image), 0);
	for (size_t at = 1; at < image.len; at += split_step(&image)) {
		struct image first = { image.data, at };
		struct image rest = { image.data + at, image.len - at };
		int data_fd = enter(self->fd, RESUMING);

		ASSERT_GE(data_fd, 0);
		EXPECT_EQ(image_write(data_fd, &first, 0), 0);
		EXPECT_EQ(image_write(data_fd, &rest, 0), 0);
		EXPECT_EQ(device_set_state(self->fd, STOP, NULL), 0) {
			TH_LOG("split at %zu", at);
		}
		close(data_fd);
		ASSERT_EQ(device_get_state(self->fd), STOP);
	}
	image_free(&image);
}

/* Catches a write of nothing that counts */
TEST_F(migration, resume_write_of_nothing)
{
	struct image image;
	int data_fd;

	ASSERT_EQ(take_image(self->fd, &image), 0);
	data_fd = enter(self->fd, RESUMING);
	ASSERT_GE(data_fd, 0);
	EXPECT_EQ(write(data_fd, image.data, 0), 0);
	EXPECT_EQ(image_write(data_fd, &image, 0), 0);
	EXPECT_EQ(write(data_fd, image.data, 0), 0);
	EXPECT_EQ(device_set_state(self->fd, STOP, NULL), 0);
	close(data_fd);
	image_free(&image);
}

/* Whether an image was refused, and by that the device did not take another
 * state: the old one of RESUMING, or ERROR, out of which a reset leads
 */
static bool refused(int fd, const struct image *image, size_t chunk)
{
	int data_fd, ret, state;

	if (device_set_state(fd, RESUMING, &data_fd))
		return false;
	/* the sender may not look, or not know, and go on all the same */
	for (size_t at = 0; at < image->len; at += chunk) {
		size_t want = image->len - at < chunk ? image->len - at : chunk;

		if (write(data_fd, image->data + at, want) < 0)
			continue;
	}
	ret = device_set_state(fd, STOP, NULL);
	state = device_get_state(fd);
	close(data_fd);
	if (device_reset(fd) || device_get_state(fd) != RUNNING)
		return false;
	return ret && (state == RESUMING || state == VFIO_DEVICE_STATE_ERROR);
}

/* Catches a session without an image that passes for one with it */
TEST_F(migration, resume_without_data_is_refused)
{
	struct image nothing = {};

	EXPECT_TRUE(refused(self->fd, &nothing, 1));
}

/* Catches an image of which the end is missing */
TEST_F(migration, resume_with_less_is_refused)
{
	struct image image, part;

	ASSERT_EQ(take_image(self->fd, &image), 0);
	part = image;
	for (part.len = image.len - 1; part.len; part.len /= 2)
		EXPECT_TRUE(refused(self->fd, &part, part.len)) {
			TH_LOG("%zu of %zu bytes", part.len, image.len);
		}
	image_free(&image);
}

/* Catches an image with something behind it: in one write, and in one more */
TEST_F(migration, resume_with_more_is_refused)
{
	struct image image;

	ASSERT_EQ(take_image(self->fd, &image), 0);
	image.data = realloc(image.data, image.len + 1);
	image.data[image.len++] = 0;
	EXPECT_TRUE(refused(self->fd, &image, image.len));
	EXPECT_TRUE(refused(self->fd, &image, image.len - 1));
	image_free(&image);
}

/* Catches an image that begins with nonsense: in one write, and byte by byte */
TEST_F(migration, resume_of_nonsense_is_refused)
{
	size_t bent;
	struct image image;

	ASSERT_EQ(take_image(self->fd, &image), 0);
	bent = image.len < 16 ? image.len : 16;
	for (size_t i = 0; i < bent; i++)
		image.data[i] ^= 0xff;
	EXPECT_TRUE(refused(self->fd, &image, image.len));
	EXPECT_TRUE(refused(self->fd, &image, image.len / 7 + 1));
	image_free(&image);
}

/* Catches data taken from where there is none */
TEST_F(migration, resume_from_memory_that_is_not)
{
	int data_fd = enter(self->fd, RESUMING);

	ASSERT_GE(data_fd, 0);
	EXPECT_EQ(syscall(__NR_write, data_fd, 1UL, 16), -1);
	EXPECT_EQ(errno, EFAULT);
	EXPECT_NE(device_set_state(self->fd, STOP, NULL), 0);
	close(data_fd);
}

/* Catches a file that takes data for a device that may run already */
TEST_F(migration, resume_file_is_dead_after_its_session)
{
	static const int to[] = { STOP, RUNNING, STOP_COPY, PRE_COPY };

	for (unsigned int i = 0; i < ARRAY_SIZE(to); i++) {
		struct image image;
		int data_fd, next;

		if (!state_exists(self->flags, to[i]))
			continue;
		ASSERT_EQ(take_image(self->fd, &image), 0);
		data_fd = enter(self->fd, RESUMING);
		ASSERT_GE(data_fd, 0);
		ASSERT_EQ(image_write(data_fd, &image, 0), 0);
		ASSERT_EQ(device_set_state(self->fd, to[i], &next), 0);
		EXPECT_EQ(write(data_fd, image.data, 1), -1) {
			TH_LOG("after RESUMING -> %s", state_name(to[i]));
		}
		image_free(&image);
		close(data_fd);
		if (next >= 0)
			close(next);
		ASSERT_EQ(back_to_running(self->fd), 0);
	}
}

/* Catches a session that needs its file until the end of it */
TEST_F(migration, resume_file_closed_early)
{
	struct image image;
	int data_fd;

	ASSERT_EQ(take_image(self->fd, &image), 0);
	data_fd = enter(self->fd, RESUMING);
	ASSERT_GE(data_fd, 0);
	ASSERT_EQ(image_write(data_fd, &image, 0), 0);
	close(data_fd);
	EXPECT_EQ(device_get_state(self->fd), RESUMING);
	EXPECT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
	image_free(&image);
}

/* Catches a state that a refused image left behind */
TEST_F(migration, refused_image_leaves_nothing)
{
	struct image image, bent, again;

	ASSERT_EQ(take_image(self->fd, &image), 0);
	bent = (struct image) { malloc(image.len), image.len };
	memset(bent.data, 0xa5, bent.len);
	EXPECT_TRUE(refused(self->fd, &bent, bent.len));
	ASSERT_EQ(take_image(self->fd, &again), 0);
	EXPECT_EQ(again.len, image.len);
	EXPECT_EQ(give_image(self->fd, &image, 0), 0);
	image_free(&image);
	image_free(&bent);
	image_free(&again);
}
