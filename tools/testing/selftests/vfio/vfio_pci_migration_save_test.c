// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of a VFIO device: the migration file of a device that is saved.
 */
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "migration_fixture.h"

/* The file is not writable and not seekable */
TEST_F(migration, save_file_is_a_stream_to_read)
{
	int data_fd = device_enter(self->fd, STOP_COPY);
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

/* In STOP_COPY the end of data is 0, as often as it is read, and readable */
TEST_F(migration, save_file_ends)
{
	int data_fd = device_enter(self->fd, STOP_COPY);
	struct migration_data data = {};
	u8 byte;

	ASSERT_GE(data_fd, 0);
	EXPECT_TRUE(poll_now(data_fd, POLLIN) & POLLIN);
	EXPECT_EQ(migration_data_read(data_fd, &data, 0), 0);
	EXPECT_GT(data.len, 0);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(read(data_fd, &byte, 1), 0);
		EXPECT_TRUE(poll_now(data_fd, POLLIN) & POLLIN);
	}
	migration_data_free(&data);
	close(data_fd);
}

/* Any size of read() returns all bytes once */
TEST_F(migration, save_in_chunks)
{
	size_t chunks[] = { 1, 3, 0, 0, 0, 4096, 1 << 16 };
	struct migration_data data, part;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	chunks[2] = data.len - 1 ?: 1;
	chunks[3] = data.len;
	chunks[4] = data.len + 1;
	for (unsigned int i = 0; i < ARRAY_SIZE(chunks); i++) {
		int data_fd = device_enter(self->fd, STOP_COPY);

		/* a byte at a time takes too long for gigabytes */
		if (data.len / chunks[i] > 1 << 16)
			chunks[i] = data.len >> 16;
		part = (struct migration_data) {};
		ASSERT_GE(data_fd, 0);
		EXPECT_EQ(migration_data_read(data_fd, &part, chunks[i]), 0);
		EXPECT_EQ(part.len, data.len) {
			TH_LOG("chunks of %zu", chunks[i]);
		}
		close(data_fd);
		ASSERT_EQ(device_set_state(self->fd, STOP, NULL), 0);
		migration_data_free(&part);
	}
	migration_data_free(&data);
}

/* The data does not depend on how it is read */
TEST_F(migration, save_split_at_any_byte)
{
	struct migration_data data, whole;
	u8 *first;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	if (!device_data_is_constant(self->fd, &data))
		SKIP(return, "the device gives other bytes each time");
	first = malloc(data.len);
	for (size_t at = 1; at < data.len; at += split_step(&data)) {
		int data_fd = device_enter(self->fd, STOP_COPY);
		size_t got = 0;

		whole = (struct migration_data) {};
		ASSERT_GE(data_fd, 0);
		while (got < at) {
			ssize_t now = read(data_fd, first + got, at - got);

			ASSERT_GT(now, 0);
			got += now;
		}
		EXPECT_EQ(migration_data_read(data_fd, &whole, 0), 0);
		EXPECT_EQ(at + whole.len, data.len);
		EXPECT_EQ(memcmp(first, data.bytes, at), 0);
		EXPECT_EQ(memcmp(whole.bytes, data.bytes + at, whole.len), 0) {
			TH_LOG("split at %zu", at);
		}
		close(data_fd);
		migration_data_free(&whole);
		ASSERT_EQ(device_set_state(self->fd, STOP, NULL), 0);
	}
	free(first);
	migration_data_free(&data);
}

/* read() of 0 bytes does not consume data */
TEST_F(migration, save_read_of_zero_bytes)
{
	struct migration_data data, rest = {};
	int data_fd;
	u8 byte;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	data_fd = device_enter(self->fd, STOP_COPY);
	ASSERT_GE(data_fd, 0);
	EXPECT_EQ(read(data_fd, &byte, 0), 0);
	EXPECT_EQ(migration_data_read(data_fd, &rest, 0), 0);
	EXPECT_EQ(rest.len, data.len);
	close(data_fd);
	migration_data_free(&data);
	migration_data_free(&rest);
}

/* read() failing with EFAULT does not consume data */
TEST_F(migration, save_into_unmapped_memory)
{
	struct migration_data data, rest = {};
	int data_fd;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	data_fd = device_enter(self->fd, STOP_COPY);
	ASSERT_GE(data_fd, 0);
	EXPECT_EQ(syscall(__NR_read, data_fd, 1UL, 1), -1);
	EXPECT_EQ(errno, EFAULT);
	EXPECT_EQ(migration_data_read(data_fd, &rest, 0), 0);
	EXPECT_EQ(rest.len, data.len);
	close(data_fd);
	migration_data_free(&data);
	migration_data_free(&rest);
}

/* readv() returns the same bytes as read(), in whatever pieces */
TEST_F(migration, save_by_readv)
{
	struct migration_data data, parts = {};
	bool constant;
	ssize_t got;
	int data_fd;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	constant = device_data_is_constant(self->fd, &data);
	data_fd = device_enter(self->fd, STOP_COPY);
	ASSERT_GE(data_fd, 0);
	parts.bytes = malloc(data.len + 4096);
	do {
		u8 *at = parts.bytes + parts.len;
		struct iovec iov[] = {
			{ at, 1 }, { at + 1, 0 }, { at + 1, 30 },
			{ at + 31, 4096 - 31 },
		};

		got = readv(data_fd, iov, ARRAY_SIZE(iov));
		ASSERT_GE(got, 0);
		parts.len += got;
		ASSERT_LE(parts.len, data.len);
	} while (got);
	EXPECT_EQ(parts.len, data.len);
	if (constant)
		EXPECT_TRUE(migration_data_equal(&parts, &data));
	close(data_fd);
	migration_data_free(&data);
	migration_data_free(&parts);
}

/* What a read() into partly unmapped memory does not return is not consumed */
TEST_F(migration, save_into_partly_unmapped_memory)
{
	size_t page = getpagesize();
	struct migration_data data;
	u8 *pages = lone_page();

	ASSERT_EQ(device_save(self->fd, &data), 0);
	for (int vector = 0; vector <= 1; vector++) {
		struct iovec iov[] = {
			{ pages + page - 8, 8 }, { pages + page, 8 },
		};
		int data_fd = device_enter(self->fd, STOP_COPY);
		struct migration_data rest = {};
		ssize_t got;

		ASSERT_GE(data_fd, 0);
		got = vector ? readv(data_fd, iov, ARRAY_SIZE(iov)) :
			       syscall(__NR_read, data_fd, pages + page - 8, 16);
		EXPECT_LE(got, 8);
		if (got < 0)
			EXPECT_EQ(errno, EFAULT);
		EXPECT_EQ(migration_data_read(data_fd, &rest, 0), 0);
		EXPECT_EQ((got < 0 ? 0 : got) + rest.len, data.len) {
			TH_LOG("%s returned %zd", vector ? "readv" : "read", got);
		}
		close(data_fd);
		migration_data_free(&rest);
		ASSERT_EQ(device_set_state(self->fd, STOP, NULL), 0);
	}
	munmap(pages, page);
	migration_data_free(&data);
}

/* After its session read() fails: it does not return data or 0 */
TEST_F(migration, save_file_fails_after_its_session)
{
	static const int to[] = { STOP, RUNNING, RESUMING, RUNNING_P2P };

	for (unsigned int i = 0; i < ARRAY_SIZE(to); i++) {
		int data_fd, next = -1;
		u8 byte;

		if (!state_exists(self->flags, to[i]))
			continue;
		data_fd = device_enter(self->fd, STOP_COPY);
		ASSERT_GE(data_fd, 0);
		ASSERT_EQ(read(data_fd, &byte, 1), 1);
		ASSERT_EQ(device_set_state(self->fd, to[i], &next), 0);
		EXPECT_EQ(read(data_fd, &byte, 1), -1) {
			TH_LOG("after STOP_COPY -> %s", state_name(to[i]));
		}
		/* poll() does not wait for more of it */
		EXPECT_NE(poll_now(data_fd, POLLIN), 0);
		close(data_fd);
		if (next >= 0)
			close(next);
		ASSERT_EQ(device_set_running(self->fd), 0);
	}
}

/* The file of an earlier session fails in the next one */
TEST_F(migration, save_file_fails_in_the_next_session)
{
	int first = device_enter(self->fd, STOP_COPY), second;
	struct migration_data data = {};
	u8 byte;

	ASSERT_GE(first, 0);
	ASSERT_EQ(device_set_state(self->fd, STOP, NULL), 0);
	second = device_enter(self->fd, STOP_COPY);
	ASSERT_GE(second, 0);
	EXPECT_NE(first, second);
	EXPECT_EQ(read(first, &byte, 1), -1);
	EXPECT_EQ(migration_data_read(second, &data, 0), 0);
	EXPECT_GT(data.len, 0);
	migration_data_free(&data);
	close(first);
	close(second);
}

/* A session does not depend on its file: QEMU closes it at any time */
TEST_F(migration, save_file_closed_early)
{
	int data_fd = device_enter(self->fd, STOP_COPY);
	struct migration_data data;

	ASSERT_GE(data_fd, 0);
	close(data_fd);
	EXPECT_EQ(device_get_state(self->fd), STOP_COPY);
	EXPECT_EQ(device_set_state(self->fd, STOP, NULL), 0);
	EXPECT_EQ(device_save(self->fd, &data), 0);
	EXPECT_GT(data.len, 0);
	migration_data_free(&data);
}

int main(int argc, char *argv[])
{
	return migration_test_run(argc, argv);
}
