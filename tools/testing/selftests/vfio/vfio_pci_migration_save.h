/* SPDX-License-Identifier: GPL-2.0 */
/* Part of vfio_pci_migration_test.c: the data file of a device that is saved. */

/* Every split of an image up to this; of a longer one about as many */
#define SPLITS	512

static size_t split_step(const struct image *image)
{
	return image->len / SPLITS + 1;
}

/* Catches a file that can be written, or read at a place, or rewound */
TEST_F(migration, save_file_is_a_stream_to_read)
{
	int data_fd = enter(self->fd, STOP_COPY);
	u8 byte = 0;

	ASSERT_GE(data_fd, 0);
	EXPECT_EQ(write(data_fd, &byte, 1), -1);
	EXPECT_EQ(errno, EBADF);
	EXPECT_EQ(pread(data_fd, &byte, 1, 0), -1);
	EXPECT_EQ(errno, ESPIPE);
	EXPECT_EQ(lseek(data_fd, 0, SEEK_SET), -1);
	EXPECT_EQ(errno, ESPIPE);
	close(data_fd);
}

/* Catches ENOMSG in STOP_COPY, an end that is none, a poll that says no */
TEST_F(migration, save_file_ends)
{
	int data_fd = enter(self->fd, STOP_COPY);
	struct image image = {};
	u8 byte;

	ASSERT_GE(data_fd, 0);
	EXPECT_TRUE(polled(data_fd, POLLIN) & POLLIN);
	EXPECT_EQ(image_read(data_fd, &image, 0), 0);
	EXPECT_GT(image.len, 0);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(read(data_fd, &byte, 1), 0);
		EXPECT_TRUE(polled(data_fd, POLLIN) & POLLIN);
	}
	image_free(&image);
	close(data_fd);
}

/* Catches bytes lost or doubled at the border of two reads */
TEST_F(migration, save_in_chunks)
{
	size_t chunks[] = { 1, 3, 0, 0, 0, 4096, 1 << 16 };
	struct image image, part;

	ASSERT_EQ(take_image(self->fd, &image), 0);
	chunks[2] = image.len - 1 ?: 1;
	chunks[3] = image.len;
	chunks[4] = image.len + 1;
	for (unsigned int i = 0; i < ARRAY_SIZE(chunks); i++) {
		int data_fd = enter(self->fd, STOP_COPY);

		/* a byte at a time takes too long for gigabytes */
		if (image.len / chunks[i] > 1 << 16)
			chunks[i] = image.len >> 16;
		part = (struct image) {};
		ASSERT_GE(data_fd, 0);
		EXPECT_EQ(image_read(data_fd, &part, chunks[i]), 0);
		EXPECT_EQ(part.len, image.len) {
			TH_LOG("chunks of %zu", chunks[i]);
		}
		close(data_fd);
		ASSERT_EQ(device_set_state(self->fd, STOP, NULL), 0);
		image_free(&part);
	}
	image_free(&image);
}

/* Whether a device that stands still gives the same bytes twice, as most do */
static bool device_is_constant(int fd, const struct image *image)
{
	struct image again;
	bool same;

	if (take_image(fd, &again))
		return false;
	same = image_same(image, &again);
	image_free(&again);
	return same;
}

/* Catches a stream that depends on how it is read */
TEST_F(migration, save_split_anywhere)
{
	struct image image, whole;
	u8 *first;

	ASSERT_EQ(take_image(self->fd, &image), 0);
	if (!device_is_constant(self->fd, &image))
		SKIP(return, "the device gives other bytes each time");
	first = malloc(image.len);
	for (size_t at = 1; at < image.len; at += split_step(&image)) {
		int data_fd = enter(self->fd, STOP_COPY);
		size_t got = 0;

		whole = (struct image) {};
		ASSERT_GE(data_fd, 0);
		while (got < at) {
			ssize_t now = read(data_fd, first + got, at - got);

			ASSERT_GT(now, 0);
			got += now;
		}
		EXPECT_EQ(image_read(data_fd, &whole, 0), 0);
		EXPECT_EQ(at + whole.len, image.len);
		EXPECT_EQ(memcmp(first, image.data, at), 0);
		EXPECT_EQ(memcmp(whole.data, image.data + at, whole.len), 0) {
			TH_LOG("split at %zu", at);
		}
		close(data_fd);
		image_free(&whole);
		ASSERT_EQ(device_set_state(self->fd, STOP, NULL), 0);
	}
	free(first);
	image_free(&image);
}

/* Catches a read of nothing that takes something */
TEST_F(migration, save_read_of_nothing)
{
	struct image image, rest = {};
	int data_fd;
	u8 byte;

	ASSERT_EQ(take_image(self->fd, &image), 0);
	data_fd = enter(self->fd, STOP_COPY);
	ASSERT_GE(data_fd, 0);
	EXPECT_EQ(read(data_fd, &byte, 0), 0);
	EXPECT_EQ(image_read(data_fd, &rest, 0), 0);
	EXPECT_EQ(rest.len, image.len);
	close(data_fd);
	image_free(&image);
	image_free(&rest);
}

/* Catches bytes that are gone although nobody has them */
TEST_F(migration, save_into_memory_that_is_not)
{
	struct image image, rest = {};
	int data_fd;

	ASSERT_EQ(take_image(self->fd, &image), 0);
	data_fd = enter(self->fd, STOP_COPY);
	ASSERT_GE(data_fd, 0);
	EXPECT_EQ(syscall(__NR_read, data_fd, 1UL, 1), -1);
	EXPECT_EQ(errno, EFAULT);
	EXPECT_EQ(image_read(data_fd, &rest, 0), 0);
	EXPECT_EQ(rest.len, image.len);
	close(data_fd);
	image_free(&image);
	image_free(&rest);
}

/* Catches a file that goes on after its session, or that says "end" then */
TEST_F(migration, save_file_is_dead_after_its_session)
{
	static const int to[] = { STOP, RUNNING, RESUMING, RUNNING_P2P };

	for (unsigned int i = 0; i < ARRAY_SIZE(to); i++) {
		int data_fd, next = -1;
		u8 byte;

		if (!state_exists(self->flags, to[i]))
			continue;
		data_fd = enter(self->fd, STOP_COPY);
		ASSERT_GE(data_fd, 0);
		ASSERT_EQ(read(data_fd, &byte, 1), 1);
		ASSERT_EQ(device_set_state(self->fd, to[i], &next), 0);
		EXPECT_EQ(read(data_fd, &byte, 1), -1) {
			TH_LOG("after STOP_COPY -> %s", state_name(to[i]));
		}
		/* nobody waits for more of it */
		EXPECT_NE(polled(data_fd, POLLIN), 0);
		close(data_fd);
		if (next >= 0)
			close(next);
		ASSERT_EQ(back_to_running(self->fd), 0);
	}
}

/* Catches a new session that wakes the file of the last one */
TEST_F(migration, save_file_stays_dead)
{
	int first = enter(self->fd, STOP_COPY), second;
	struct image image = {};
	u8 byte;

	ASSERT_GE(first, 0);
	ASSERT_EQ(device_set_state(self->fd, STOP, NULL), 0);
	second = enter(self->fd, STOP_COPY);
	ASSERT_GE(second, 0);
	EXPECT_NE(first, second);
	EXPECT_EQ(read(first, &byte, 1), -1);
	EXPECT_EQ(image_read(second, &image, 0), 0);
	EXPECT_GT(image.len, 0);
	image_free(&image);
	close(first);
	close(second);
}

/* Catches a session that needs its file: QEMU closes it when it likes */
TEST_F(migration, save_file_closed_early)
{
	int data_fd = enter(self->fd, STOP_COPY);
	struct image image;

	ASSERT_GE(data_fd, 0);
	close(data_fd);
	EXPECT_EQ(device_get_state(self->fd), STOP_COPY);
	EXPECT_EQ(device_set_state(self->fd, STOP, NULL), 0);
	EXPECT_EQ(take_image(self->fd, &image), 0);
	EXPECT_GT(image.len, 0);
	image_free(&image);
}
