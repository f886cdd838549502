// SPDX-License-Identifier: GPL-2.0
/*
 * Migration while the kernel fails: each allocation and each copy to or from
 * user memory that a call makes fails once, the n-th for every n.
 *
 * usage: vfio_pci_migration_fail_nth [options of the harness] DEVICE
 *
 * A call may fail then, or do without. It leaves a state that is true: from there
 * the device does what it could before. Needs a kernel with FAULT_INJECTION,
 * FAILSLAB, FAIL_PAGE_ALLOC and FAULT_INJECTION_USERCOPY.
 */
#include <dirent.h>
#include <sys/syscall.h>

#include <libvfio.h>

#include "kselftest_harness.h"
#include "migration.h"

#define MOST	2000

static const char *device_path;

FIXTURE(fail_nth) {
	struct migration_device *device;
	u64 flags;
	struct image image;
	int nth_fd;
};

FIXTURE_VARIANT(fail_nth) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(_iommu_mode) \
FIXTURE_VARIANT_ADD(fail_nth, _iommu_mode) { \
	.iommu_mode = #_iommu_mode, \
}

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

/* The kernel counts for this thread only */
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

/* Whether something failed since arm(). From here on nothing does. What is left of
 * the count may hit these calls, too
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

static int make_image(int fd, struct image *image)
{
	int data_fd, ret;

	*image = (struct image) {};
	ret = device_set_state(fd, STOP_COPY, &data_fd);
	ret = ret ?: image_read(data_fd, image, 0);
	close(data_fd);
	return ret ?: device_set_state(fd, RUNNING, NULL);
}

FIXTURE_SETUP(fail_nth)
{
	if (!migration_mode_works(device_path, variant->iommu_mode))
		SKIP(return, "no %s for this device", variant->iommu_mode);
	self->nth_fd = open_nth();
	if (self->nth_fd < 0)
		SKIP(return, "this kernel cannot be made to fail");
	self->device = migration_device_open(device_path, variant->iommu_mode);
	ASSERT_EQ(device_migration_flags(self->device->fd, &self->flags), 0);
	ASSERT_EQ(device_reset(self->device->fd), 0);
	ASSERT_EQ(make_image(self->device->fd, &self->image), 0);
}

FIXTURE_TEARDOWN(fail_nth)
{
	if (!self->device)
		return;
	arm(self->nth_fd, 0);
	migration_device_close(self->device);
	image_free(&self->image);
}

static void works(struct __test_metadata *_metadata, int fd,
		  const struct image *image)
{
	struct image again;
	int data_fd;

	ASSERT_EQ(device_get_state(fd), RUNNING);
	ASSERT_EQ(make_image(fd, &again), 0);
	EXPECT_EQ(again.len, image->len);
	ASSERT_EQ(device_set_state(fd, RESUMING, &data_fd), 0);
	EXPECT_EQ(image_write(data_fd, image, 0), 0);
	EXPECT_EQ(device_set_state(fd, RUNNING, NULL), 0);
	close(data_fd);
	image_free(&again);
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

/* The device in the state that an arc begins with; its data file or -1 */
static int begin(struct __test_metadata *_metadata, int fd, int from,
		 const struct image *image)
{
	int data_fd = -1;

	if (device_get_state(fd) != RUNNING)
		ASSERT_EQ(device_reset(fd), 0);
	ASSERT_EQ(device_set_state(fd, from, &data_fd), 0);
	if (from == RESUMING)
		ASSERT_EQ(image_write(data_fd, image, 0), 0);
	return data_fd;
}

/* An arc with the n-th failing; false if it has no n-th */
static bool fail_arc(struct __test_metadata *_metadata, int fd, int nth_fd,
		     const struct arc *arc, unsigned int nth,
		     const struct image *image)
{
	int first, second = -1, ret, state;
	bool failed;

	first = begin(_metadata, fd, arc->from, image);
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
		/* wherever it is, the way is open */
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

/* Catches an arc that fails and leaves the device elsewhere than it says */
TEST_F_TIMEOUT(fail_nth, arcs, 600)
{
	unsigned int before = open_files();

	for (unsigned int i = 0; i < ARRAY_SIZE(arcs); i++) {
		unsigned int nth = 1;

		if (!state_exists(self->flags, arcs[i].from) ||
		    !state_exists(self->flags, arcs[i].to))
			continue;
		while (nth < MOST && fail_arc(_metadata, self->device->fd,
					      self->nth_fd, &arcs[i], nth,
					      &self->image))
			nth++;
		TH_LOG("%s -> %s: %u failures", state_name(arcs[i].from),
		       state_name(arcs[i].to), nth - 1);
		/* the request is copied in, and out again */
		EXPECT_GT(nth, 2);
		EXPECT_LT(nth, MOST);
		ASSERT_EQ(device_reset(self->device->fd), 0);
		works(_metadata, self->device->fd, &self->image);
	}
	EXPECT_EQ(open_files(), before);
}

/* Catches bytes lost by a copy that failed: what was not read is still there */
TEST_F_TIMEOUT(fail_nth, read, 600)
{
	int fd = self->device->fd;
	unsigned int nth = 0;
	bool failed;

	do {
		struct image image = {};
		int data_fd = begin(_metadata, fd, STOP_COPY, NULL);
		ssize_t got;
		u8 byte;

		arm(self->nth_fd, ++nth);
		got = read(data_fd, &byte, 1);
		failed = disarm(self->nth_fd);
		if (!failed)
			EXPECT_EQ(got, 1);
		EXPECT_EQ(image_read(data_fd, &image, 0), 0);
		EXPECT_EQ(image.len + (got > 0 ? got : 0), self->image.len);
		close(data_fd);
		image_free(&image);
		ASSERT_EQ(device_set_state(fd, RUNNING, NULL), 0);
	} while (failed && nth < MOST);
	EXPECT_GT(nth, 1);
	works(_metadata, fd, &self->image);
}

/* Catches a device that loads what did not come: after a write that failed the
 * session takes the rest and is whole, or it is refused
 */
TEST_F_TIMEOUT(fail_nth, write, 600)
{
	int fd = self->device->fd;
	unsigned int nth = 0;
	bool failed;

	do {
		int data_fd = begin(_metadata, fd, STOP, NULL), ret, state;
		struct image rest = self->image;
		ssize_t put;

		ASSERT_EQ(device_set_state(fd, RESUMING, &data_fd), 0);
		arm(self->nth_fd, ++nth);
		put = write(data_fd, rest.data, rest.len / 2);
		failed = disarm(self->nth_fd);
		if (!failed)
			EXPECT_EQ(put, rest.len / 2);
		if (put > 0) {
			rest.data += put;
			rest.len -= put;
		}
		ret = image_write(data_fd, &rest, 0);
		state = device_set_state(fd, STOP, NULL);
		/* a part of it must not do */
		EXPECT_TRUE(state || !ret);
		close(data_fd);
		ASSERT_EQ(device_reset(fd), 0);
	} while (failed && nth < MOST);
	EXPECT_GT(nth, 1);
	works(_metadata, fd, &self->image);
}

/* Catches a question that changes something when there is no answer */
TEST_F_TIMEOUT(fail_nth, questions, 600)
{
	int fd = self->device->fd;
	unsigned int nth = 0;
	bool failed;
	int data_fd;

	data_fd = begin(_metadata, fd, state_exists(self->flags, PRE_COPY) ?
			PRE_COPY : STOP_COPY, NULL);
	do {
		struct vfio_precopy_info info = {};
		int state = device_get_state(fd);
		u64 value;

		arm(self->nth_fd, ++nth);
		device_data_size(fd, &value);
		device_get_state(fd);
		data_file_precopy_info(data_fd, &info);
		failed = disarm(self->nth_fd);
		EXPECT_EQ(device_get_state(fd), state);
	} while (failed && nth < MOST);
	EXPECT_GT(nth, 4);
	close(data_fd);
	ASSERT_EQ(device_set_state(fd, RUNNING, NULL), 0);
	works(_metadata, fd, &self->image);
}

/* Catches an open that fails half way and keeps what it had */
TEST_F_TIMEOUT(fail_nth, open, 600)
{
	unsigned int before = open_files(), nth = 0;
	bool failed;

	do {
		int ret;

		close(self->device->fd);
		arm(self->nth_fd, ++nth);
		ret = __migration_device_get_fd(self->device);
		failed = disarm(self->nth_fd);
		if (!failed)
			EXPECT_EQ(ret, 0);
		/* and once more, with nothing failing */
		if (ret)
			ASSERT_EQ(__migration_device_get_fd(self->device), 0);
		ASSERT_EQ(device_get_state(self->device->fd), RUNNING);
	} while (failed && nth < MOST);
	EXPECT_GT(nth, 1);
	EXPECT_EQ(open_files(), before);
	works(_metadata, self->device->fd, &self->image);
}

/* Catches a reset that does half of it */
TEST_F_TIMEOUT(fail_nth, reset, 600)
{
	int fd = self->device->fd;
	unsigned int nth = 0;
	bool failed;

	do {
		int data_fd = begin(_metadata, fd, STOP_COPY, NULL), ret;

		arm(self->nth_fd, ++nth);
		ret = device_reset(fd);
		failed = disarm(self->nth_fd);
		if (!failed)
			EXPECT_EQ(ret, 0);
		EXPECT_EQ(device_get_state(fd), ret ? STOP_COPY : RUNNING);
		close(data_fd);
		ASSERT_EQ(device_reset(fd), 0);
	} while (failed && nth < MOST);
	works(_metadata, fd, &self->image);
}

/* Allocations that may sleep are not left out */
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
	const char *name;

	if (argc > 1 && argv[argc - 1][0] == '/')
		name = argv[--argc];
	else
		name = vfio_selftests_get_bdf(&argc, argv);
	device_path = migration_device_path(name);
	if (!device_path)
		ksft_exit_skip("there is no device %s\n", name);
	let_all_fail();
	return test_harness_run(argc, argv);
}
