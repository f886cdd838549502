// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of a VFIO device while the kernel fails: each allocation and each
 * copy from or to user memory in a call fails once, the n-th for every n.
 *
 * usage: vfio_pci_migration_fail_nth [options of the harness] DEVICE
 *
 * A call may fail then, or work without what failed. The state that it leaves must
 * be true, and every arc must work from there. Needs a kernel with FAULT_INJECTION,
 * FAILSLAB, FAIL_PAGE_ALLOC and FAULT_INJECTION_USERCOPY.
 */
#include <dirent.h>
#include <sys/syscall.h>

#include "migration_fixture.h"

#define MAX_NTH	2000

/* The kernel counts the calls of this thread only */
static int open_nth(void)
{
	char path[64];

	snprintf_assert(path, sizeof(path), "/proc/self/task/%ld/fail-nth",
			syscall(SYS_gettid));
	return open(path, O_RDWR | O_CLOEXEC);
}

static void arm(int nth_fd, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	VFIO_ASSERT_EQ(pwrite(nth_fd, text, len, 0), len);
}

/*
 * Whether a call failed since arm(); none fails after this. The rest of the count
 * may make these calls fail, too.
 */
static bool disarm(int nth_fd)
{
	char text[16] = {};
	bool failed;

	failed = pread(nth_fd, text, sizeof(text) - 1, 0) > 0 && !atoi(text);
	while (pwrite(nth_fd, "0", 1, 0) != 1)
		VFIO_ASSERT_EQ(errno, EFAULT);
	return failed;
}

static unsigned int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static int save_and_run(int fd, struct migration_data *data)
{
	return device_save(fd, data) ?: device_set_state(fd, RUNNING, NULL);
}

/* Start from a reset device, with its data; returns the file for arm() */
static int begin_faults(struct __test_metadata *_metadata, int fd,
			struct migration_data *data)
{
	int nth_fd = open_nth();

	ASSERT_GE(nth_fd, 0);
	ASSERT_EQ(device_reset(fd), 0);
	ASSERT_EQ(save_and_run(fd, data), 0);
	return nth_fd;
}

/* The device is in RUNNING, saves as much as before, and takes the data from then */
static void check_device(struct __test_metadata *_metadata, int fd,
			 const struct migration_data *data)
{
	struct migration_data again;

	ASSERT_EQ(device_get_state(fd), RUNNING);
	ASSERT_EQ(save_and_run(fd, &again), 0);
	EXPECT_EQ(again.len, data->len);
	ASSERT_EQ(device_load(fd, data, 0), 0);
	EXPECT_EQ(device_set_state(fd, RUNNING, NULL), 0);
	migration_data_free(&again);
}

static const struct arc {
	int from;
	int to;
} arcs[] = {
	{ RUNNING, RUNNING_P2P }, { RUNNING_P2P, RUNNING },
	{ RUNNING_P2P, STOP }, { STOP, RUNNING_P2P },
	{ RUNNING, STOP }, { STOP, RUNNING },
	{ STOP, STOP_COPY }, { STOP_COPY, STOP },
	{ STOP, RESUMING }, { RESUMING, STOP },
	{ RUNNING, PRE_COPY }, { PRE_COPY, RUNNING },
	{ PRE_COPY, PRE_COPY_P2P }, { PRE_COPY_P2P, PRE_COPY },
	{ RUNNING_P2P, PRE_COPY_P2P }, { PRE_COPY_P2P, RUNNING_P2P },
	{ PRE_COPY_P2P, STOP_COPY }, { PRE_COPY, STOP_COPY },
};

/* Set the state that an arc begins in; returns its migration file or -1 */
static int begin(struct __test_metadata *_metadata, int fd, int from,
		 const struct migration_data *data)
{
	int data_fd = -1;

	if (device_get_state(fd) != RUNNING)
		ASSERT_EQ(device_reset(fd), 0);
	ASSERT_EQ(device_set_state(fd, from, &data_fd), 0);
	if (from == RESUMING)
		ASSERT_EQ(migration_data_write(data_fd, data, 0), 0);
	return data_fd;
}

/* An arc in which the n-th call fails; false if there is no n-th */
static bool fail_arc(struct __test_metadata *_metadata, int fd, int nth_fd,
		     const struct arc *arc, unsigned int nth,
		     const struct migration_data *data)
{
	int first, second = -1, ret, state;
	bool failed;

	first = begin(_metadata, fd, arc->from, data);
	arm(nth_fd, nth);
	ret = device_set_state(fd, arc->to, &second);
	failed = disarm(nth_fd);
	state = device_get_state(fd);
	if (!failed)
		EXPECT_EQ(ret, 0);
	if (!ret)
		EXPECT_EQ(state, arc->to);
	EXPECT_EQ(second >= 0, !ret && state_opens_file(arc->from, arc->to));
	if (second >= 0)
		close(second);
	if (ret && state != VFIO_DEVICE_STATE_ERROR && arc->from != RESUMING) {
		/* the arc works from the state that it is in */
		EXPECT_EQ(device_set_state(fd, arc->to, NULL), 0) {
			TH_LOG("%s -> %s, number %u: in %s after it",
			       state_name(arc->from), state_name(arc->to), nth,
			       state_name(state));
		}
	}
	if (first >= 0)
		close(first);
	return failed;
}

/* An arc that fails leaves the device in the state that it reports */
TEST_F_TIMEOUT(migration, arcs, 600)
{
	struct migration_data data;
	unsigned int before;
	int nth_fd;

	nth_fd = begin_faults(_metadata, self->fd, &data);
	before = open_files();
	for (unsigned int i = 0; i < ARRAY_SIZE(arcs); i++) {
		unsigned int nth = 1;

		if (!state_exists(self->flags, arcs[i].from) ||
		    !state_exists(self->flags, arcs[i].to))
			continue;
		while (nth < MAX_NTH && fail_arc(_metadata, self->fd, nth_fd,
						 &arcs[i], nth, &data))
			nth++;
		TH_LOG("%s -> %s: %u failures", state_name(arcs[i].from),
		       state_name(arcs[i].to), nth - 1);
		/* the request is copied in, and out again */
		EXPECT_GT(nth, 2);
		EXPECT_LT(nth, MAX_NTH);
		ASSERT_EQ(device_reset(self->fd), 0);
		check_device(_metadata, self->fd, &data);
	}
	EXPECT_EQ(open_files(), before);
	migration_data_free(&data);
}

/* read() that fails does not consume data */
TEST_F_TIMEOUT(migration, read, 600)
{
	struct migration_data data;
	int fd = self->fd, nth_fd;
	unsigned int nth = 0;
	bool failed;

	nth_fd = begin_faults(_metadata, fd, &data);
	do {
		struct migration_data rest = {};
		int data_fd = begin(_metadata, fd, STOP_COPY, NULL);
		ssize_t got;
		u8 byte;

		arm(nth_fd, ++nth);
		got = read(data_fd, &byte, 1);
		failed = disarm(nth_fd);
		if (!failed)
			EXPECT_EQ(got, 1);
		EXPECT_EQ(migration_data_read(data_fd, &rest, 0), 0);
		EXPECT_EQ(rest.len + (got > 0 ? got : 0), data.len);
		close(data_fd);
		migration_data_free(&rest);
		ASSERT_EQ(device_set_state(fd, RUNNING, NULL), 0);
	} while (failed && nth < MAX_NTH);
	EXPECT_GT(nth, 1);
	check_device(_metadata, fd, &data);
	migration_data_free(&data);
}

/*
 * After a write() that failed, the session is complete with the rest of the data,
 * or it is rejected
 */
TEST_F_TIMEOUT(migration, write, 600)
{
	struct migration_data data;
	int fd = self->fd, nth_fd;
	unsigned int nth = 0;
	bool failed;

	nth_fd = begin_faults(_metadata, fd, &data);
	do {
		int data_fd = begin(_metadata, fd, STOP, NULL), ret, state;
		struct migration_data rest = data;
		ssize_t put;

		ASSERT_EQ(device_set_state(fd, RESUMING, &data_fd), 0);
		arm(nth_fd, ++nth);
		put = write(data_fd, rest.bytes, rest.len / 2);
		failed = disarm(nth_fd);
		if (!failed)
			EXPECT_EQ(put, rest.len / 2);
		if (put > 0) {
			rest.bytes += put;
			rest.len -= put;
		}
		ret = migration_data_write(data_fd, &rest, 0);
		state = device_set_state(fd, STOP, NULL);
		/* a part of the data is not enough */
		EXPECT_TRUE(state || !ret);
		close(data_fd);
		ASSERT_EQ(device_reset(fd), 0);
	} while (failed && nth < MAX_NTH);
	EXPECT_GT(nth, 1);
	check_device(_metadata, fd, &data);
	migration_data_free(&data);
}

/* A query that fails changes nothing */
TEST_F_TIMEOUT(migration, queries, 600)
{
	struct migration_data data;
	int fd = self->fd, nth_fd;
	unsigned int nth = 0;
	bool failed;
	int data_fd;

	nth_fd = begin_faults(_metadata, fd, &data);
	data_fd = begin(_metadata, fd, state_exists(self->flags, PRE_COPY) ?
			PRE_COPY : STOP_COPY, NULL);
	do {
		struct vfio_precopy_info info = {};
		int state = device_get_state(fd);
		u64 value;

		arm(nth_fd, ++nth);
		device_data_size(fd, &value);
		device_get_state(fd);
		migf_precopy_info(data_fd, &info);
		failed = disarm(nth_fd);
		EXPECT_EQ(device_get_state(fd), state);
	} while (failed && nth < MAX_NTH);
	EXPECT_GT(nth, 4);
	close(data_fd);
	ASSERT_EQ(device_set_state(fd, RUNNING, NULL), 0);
	check_device(_metadata, fd, &data);
	migration_data_free(&data);
}

/* An open that fails leaves nothing open */
TEST_F_TIMEOUT(migration, open, 600)
{
	struct migration_data data;
	unsigned int before, nth = 0;
	bool failed;
	int nth_fd;

	nth_fd = begin_faults(_metadata, self->fd, &data);
	before = open_files();
	do {
		int ret;

		close(self->device->fd);
		arm(nth_fd, ++nth);
		ret = __migration_device_get_fd(self->device);
		failed = disarm(nth_fd);
		if (!failed)
			EXPECT_EQ(ret, 0);
		/* and once more, with nothing failing */
		if (ret)
			ASSERT_EQ(__migration_device_get_fd(self->device), 0);
		ASSERT_EQ(device_get_state(self->device->fd), RUNNING);
	} while (failed && nth < MAX_NTH);
	EXPECT_GT(nth, 1);
	EXPECT_EQ(open_files(), before);
	check_device(_metadata, self->device->fd, &data);
	migration_data_free(&data);
}

/* A reset that fails changes nothing */
TEST_F_TIMEOUT(migration, reset, 600)
{
	struct migration_data data;
	int fd = self->fd, nth_fd;
	unsigned int nth = 0;
	bool failed;

	nth_fd = begin_faults(_metadata, fd, &data);
	do {
		int data_fd = begin(_metadata, fd, STOP_COPY, NULL), ret;

		arm(nth_fd, ++nth);
		ret = device_reset(fd);
		failed = disarm(nth_fd);
		if (!failed)
			EXPECT_EQ(ret, 0);
		EXPECT_EQ(device_get_state(fd), ret ? STOP_COPY : RUNNING);
		close(data_fd);
		ASSERT_EQ(device_reset(fd), 0);
	} while (failed && nth < MAX_NTH);
	check_device(_metadata, fd, &data);
	migration_data_free(&data);
}

/* Include allocations that may sleep */
static void let_all_fail(void)
{
	static const char *const names[] = { "failslab", "fail_page_alloc" };

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		char path[96];
		int fd;

		snprintf_assert(path, sizeof(path),
				"/sys/kernel/debug/%s/ignore-gfp-wait", names[i]);
		fd = open(path, O_WRONLY);
		if (fd < 0 || write(fd, "N", 1) != 1)
			ksft_exit_skip("no %s in this kernel\n", names[i]);
		close(fd);
	}
}

int main(int argc, char *argv[])
{
	device_path = migration_device_argument(&argc, argv);
	migration_device_require(device_path);
	let_all_fail();
	return test_harness_run(argc, argv);
}
