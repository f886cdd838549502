// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of a VFIO device: the migration file of a device that is loaded.
 *
 * write() may reject data that is not valid. Leaving RESUMING must fail then: a
 * device has all of a state, or none of it.
 */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "migration_fixture.h"

/* The file is not readable and not seekable */
TEST_F(migration, resume_file_is_a_stream_to_write)
{
	int data_fd = device_enter(self->fd, RESUMING);
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

/* A device takes its own data, and saves the same afterwards */
TEST_F(migration, resume_and_save)
{
	struct migration_data data, again;
	bool constant;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	constant = device_data_is_constant(self->fd, &data);
	EXPECT_EQ(device_load(self->fd, &data, 0), 0);
	EXPECT_EQ(device_get_state(self->fd), STOP);
	ASSERT_EQ(device_save(self->fd, &again), 0);
	EXPECT_EQ(again.len, data.len);
	if (constant)
		EXPECT_TRUE(migration_data_equal(&data, &again));
	EXPECT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
	migration_data_free(&data);
	migration_data_free(&again);
}

/* Any size of write() is taken */
TEST_F(migration, resume_in_chunks)
{
	size_t chunks[] = { 1, 3, 0, 0, 4096, 1 << 16 };
	struct migration_data data;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	chunks[2] = data.len - 1 ?: 1;
	chunks[3] = data.len;
	for (unsigned int i = 0; i < ARRAY_SIZE(chunks); i++) {
		if (data.len / chunks[i] > 1 << 16)
			chunks[i] = data.len >> 16;
		EXPECT_EQ(device_load(self->fd, &data, chunks[i]), 0) {
			TH_LOG("chunks of %zu", chunks[i]);
		}
		ASSERT_EQ(device_get_state(self->fd), STOP);
	}
	migration_data_free(&data);
}

/* Data can be split at any byte */
TEST_F(migration, resume_split_at_any_byte)
{
	struct migration_data data;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	for (size_t at = 1; at < data.len; at += split_step(&data)) {
		struct migration_data first = { data.bytes, at };
		struct migration_data rest = { data.bytes + at, data.len - at };
		int data_fd = device_enter(self->fd, RESUMING);

		ASSERT_GE(data_fd, 0);
		EXPECT_EQ(migration_data_write(data_fd, &first, 0), 0);
		EXPECT_EQ(migration_data_write(data_fd, &rest, 0), 0);
		EXPECT_EQ(device_set_state(self->fd, STOP, NULL), 0) {
			TH_LOG("split at %zu", at);
		}
		close(data_fd);
		ASSERT_EQ(device_get_state(self->fd), STOP);
	}
	migration_data_free(&data);
}

/* write() of 0 bytes changes nothing */
TEST_F(migration, resume_write_of_zero_bytes)
{
	struct migration_data data;
	int data_fd;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	data_fd = device_enter(self->fd, RESUMING);
	ASSERT_GE(data_fd, 0);
	EXPECT_EQ(write(data_fd, data.bytes, 0), 0);
	EXPECT_EQ(migration_data_write(data_fd, &data, 0), 0);
	EXPECT_EQ(write(data_fd, data.bytes, 0), 0);
	EXPECT_EQ(device_set_state(self->fd, STOP, NULL), 0);
	close(data_fd);
	migration_data_free(&data);
}

/*
 * Whether data is rejected: leaving RESUMING fails, the device is in RESUMING or
 * ERROR, and a reset leads to RUNNING
 */
static bool is_rejected(int fd, const struct migration_data *data, size_t chunk)
{
	int data_fd, ret, state;

	if (device_set_state(fd, RESUMING, &data_fd))
		return false;
	/* a sender may go on after an error */
	for (size_t at = 0; at < data->len; at += chunk) {
		size_t want = data->len - at < chunk ? data->len - at : chunk;

		if (write(data_fd, data->bytes + at, want) < 0)
			continue;
	}
	ret = device_set_state(fd, STOP, NULL);
	state = device_get_state(fd);
	close(data_fd);
	if (device_reset(fd) || device_get_state(fd) != RUNNING)
		return false;
	return ret && (state == RESUMING || state == VFIO_DEVICE_STATE_ERROR);
}

/* RESUMING cannot be left without data */
TEST_F(migration, resume_without_data_is_rejected)
{
	struct migration_data nothing = {};

	EXPECT_TRUE(is_rejected(self->fd, &nothing, 1));
}

/* Data without its end is rejected */
TEST_F(migration, resume_with_less_is_rejected)
{
	struct migration_data data, part;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	part = data;
	for (part.len = data.len - 1; part.len; part.len /= 2)
		EXPECT_TRUE(is_rejected(self->fd, &part, part.len)) {
			TH_LOG("%zu of %zu bytes", part.len, data.len);
		}
	migration_data_free(&data);
}

/* Data with one more byte is rejected, in one write() and in two */
TEST_F(migration, resume_with_more_is_rejected)
{
	struct migration_data data;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	data.bytes = realloc(data.bytes, data.len + 1);
	data.bytes[data.len++] = 0;
	EXPECT_TRUE(is_rejected(self->fd, &data, data.len));
	EXPECT_TRUE(is_rejected(self->fd, &data, data.len - 1));
	migration_data_free(&data);
}

/* Data with a corrupt header is rejected, in one write() and in several */
TEST_F(migration, resume_with_a_corrupt_header_is_rejected)
{
	size_t flipped;
	struct migration_data data;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	flipped = data.len < 16 ? data.len : 16;
	for (size_t i = 0; i < flipped; i++)
		data.bytes[i] ^= 0xff;
	EXPECT_TRUE(is_rejected(self->fd, &data, data.len));
	EXPECT_TRUE(is_rejected(self->fd, &data, data.len / 7 + 1));
	migration_data_free(&data);
}

/* write() failing with EFAULT adds no data */
TEST_F(migration, resume_from_unmapped_memory)
{
	int data_fd = device_enter(self->fd, RESUMING);

	ASSERT_GE(data_fd, 0);
	EXPECT_EQ(syscall(__NR_write, data_fd, 1UL, 16), -1);
	EXPECT_EQ(errno, EFAULT);
	EXPECT_NE(device_set_state(self->fd, STOP, NULL), 0);
	close(data_fd);
}

/* writev() takes the same bytes as write() */
TEST_F(migration, resume_by_writev)
{
	struct migration_data data;
	size_t sent = 0;
	int data_fd;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	ASSERT_GT(data.len, 2);
	data_fd = device_enter(self->fd, RESUMING);
	ASSERT_GE(data_fd, 0);
	while (sent < data.len) {
		size_t left = data.len - sent, first = left > 1 ? left / 2 : left;
		struct iovec iov[] = {
			{ data.bytes + sent, 1 }, { data.bytes + sent + 1, 0 },
			{ data.bytes + sent + 1, first - 1 },
			{ data.bytes + sent + first, left - first },
		};
		ssize_t now = writev(data_fd, iov, ARRAY_SIZE(iov));

		ASSERT_GT(now, 0);
		sent += now;
	}
	close(data_fd);
	EXPECT_EQ(device_set_state(self->fd, STOP, NULL), 0);
	ASSERT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
	check_migration(_metadata, self->fd);
	migration_data_free(&data);
}

/* What a write() from partly unmapped memory does not take can be written again */
TEST_F(migration, resume_from_partly_unmapped_memory)
{
	size_t page = getpagesize();
	struct migration_data data;
	u8 *pages = lone_page();

	ASSERT_EQ(device_save(self->fd, &data), 0);
	ASSERT_GT(data.len, 16);
	memcpy(pages + page - 8, data.bytes, 8);
	for (int vector = 0; vector <= 1; vector++) {
		struct iovec iov[] = {
			{ pages + page - 8, 8 }, { pages + page, 8 },
		};
		int data_fd = device_enter(self->fd, RESUMING);
		struct migration_data rest = data;
		ssize_t took;

		ASSERT_GE(data_fd, 0);
		took = vector ? writev(data_fd, iov, ARRAY_SIZE(iov)) :
				syscall(__NR_write, data_fd, pages + page - 8, 16);
		EXPECT_LE(took, 8);
		if (took < 0) {
			EXPECT_EQ(errno, EFAULT);
			took = 0;
		}
		rest.bytes += took;
		rest.len -= took;
		EXPECT_EQ(migration_data_write(data_fd, &rest, 0), 0);
		close(data_fd);
		EXPECT_EQ(device_set_state(self->fd, STOP, NULL), 0) {
			TH_LOG("%s took %zd", vector ? "writev" : "write", took);
		}
		ASSERT_EQ(device_set_running(self->fd), 0);
	}
	check_migration(_metadata, self->fd);
	munmap(pages, page);
	migration_data_free(&data);
}

/* After its session write() fails */
TEST_F(migration, resume_file_fails_after_its_session)
{
	static const int to[] = { STOP, RUNNING, STOP_COPY, PRE_COPY };

	for (unsigned int i = 0; i < ARRAY_SIZE(to); i++) {
		struct migration_data data;
		int data_fd, next;

		if (!state_exists(self->flags, to[i]))
			continue;
		ASSERT_EQ(device_save(self->fd, &data), 0);
		data_fd = device_enter(self->fd, RESUMING);
		ASSERT_GE(data_fd, 0);
		ASSERT_EQ(migration_data_write(data_fd, &data, 0), 0);
		ASSERT_EQ(device_set_state(self->fd, to[i], &next), 0);
		EXPECT_EQ(write(data_fd, data.bytes, 1), -1) {
			TH_LOG("after RESUMING -> %s", state_name(to[i]));
		}
		migration_data_free(&data);
		close(data_fd);
		if (next >= 0)
			close(next);
		ASSERT_EQ(device_set_running(self->fd), 0);
	}
}

/* A session does not depend on its file */
TEST_F(migration, resume_file_closed_early)
{
	struct migration_data data;
	int data_fd;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	data_fd = device_enter(self->fd, RESUMING);
	ASSERT_GE(data_fd, 0);
	ASSERT_EQ(migration_data_write(data_fd, &data, 0), 0);
	close(data_fd);
	EXPECT_EQ(device_get_state(self->fd), RESUMING);
	EXPECT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
	migration_data_free(&data);
}

/* Rejected data leaves no state in the device */
TEST_F(migration, rejected_data_leaves_no_state)
{
	struct migration_data data, garbage, again;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	garbage = (struct migration_data) { malloc(data.len), data.len };
	memset(garbage.bytes, 0xa5, garbage.len);
	EXPECT_TRUE(is_rejected(self->fd, &garbage, garbage.len));
	ASSERT_EQ(device_save(self->fd, &again), 0);
	EXPECT_EQ(again.len, data.len);
	EXPECT_EQ(device_load(self->fd, &data, 0), 0);
	migration_data_free(&data);
	migration_data_free(&garbage);
	migration_data_free(&again);
}

int main(int argc, char *argv[])
{
	return migration_test_run(argc, argv);
}
