// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: reads from migration files and writes to them, in pieces of any size, and
 * their errors.
 */
#include <kunit/test.h>
#include <linux/file.h>
#include <linux/mman.h>

/* the tracepoints are built with the state machine */
#include "../migf.c"

#include "fake_device.h"

struct transfer {
	struct fake_device *fake;
	struct hisi_acc_migf *data;
	struct file *file;
	u8 __user *user;	/* a mapped page, followed by an unmapped one */
};

static const struct hisi_acc_saved a_state = {
	.guest = HISI_ACC_GUEST_UP,
	.eq_int_mask = 1,
	.page_size = 2,
	.eqc = { 0x90007, 0x34564000, 0x12, 0x2000, 0, 0, 0x103ff },
	.aeqc = { 0x10001, 0x34566000, 0x12, 0x2000, 0, 0, 0x103ff },
	.sqc_table = 0x1234568000,
	.cqc_table = 0x123456a000,
};

static void end_file(void *file)
{
	fput(file);
}

static void begin(struct kunit *test, struct transfer *t, bool save)
{
	unsigned long user;

	user = kunit_vm_mmap(test, NULL, 0, 2 * PAGE_SIZE,
			     PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE_MSG(test, user, 0, "no memory of userspace");
	KUNIT_ASSERT_LT_MSG(test, user, (unsigned long)TASK_SIZE, "no memory");
	KUNIT_ASSERT_EQ(test, vm_munmap(user + PAGE_SIZE, PAGE_SIZE), 0);
	t->user = (u8 __user *)user;
	t->fake = fake_device(test);
	t->data = save ? hisi_acc_migf_open_save(&t->fake->vf, &t->file) :
			 hisi_acc_migf_open_resume(&t->fake->vf, &t->file);
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->data));
	/* closed with the VF, as by the driver; the file may go earlier or later */
	t->fake->vf.data = t->data;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, end_file,
							   t->file));
}

static ssize_t get(struct transfer *t, size_t len)
{
	return hisi_acc_migf_read(t->file, (char __user *)t->user, len, NULL);
}

static ssize_t put(struct transfer *t, const u8 *bytes, size_t len)
{
	if (copy_to_user(t->user, bytes, min(len, PAGE_SIZE)))
		return -EIO;
	return hisi_acc_migf_write(t->file, (char __user *)t->user, len, NULL);
}

/* poll() returns exactly these events */
static bool polled(struct transfer *t, __poll_t what)
{
	return hisi_acc_migf_poll(t->file, NULL) == what;
}

/* R4, D23: each byte is read once, also at the end of a chunk */
static void any_pieces(struct kunit *test)
{
	u8 whole[HISI_ACC_DATA_SIZE] __aligned(HISI_ACC_DATA_ALIGN);
	u8 bytes[HISI_ACC_DATA_SIZE];
	struct transfer t;

	begin(test, &t, true);
	hisi_acc_migf_fill(t.data, &a_state);
	hisi_acc_vf_data_encode(whole, &a_state, &t.fake->vf.match);
	for (size_t piece = 1; piece <= sizeof(whole) + 1; piece++) {
		size_t got = 0;
		ssize_t n;

		t.data->position = 0;
		while ((n = get(&t, piece)) > 0) {
			KUNIT_ASSERT_LE(test, got + n, sizeof(bytes));
			KUNIT_ASSERT_EQ(test, copy_from_user(bytes + got, t.user, n), 0);
			got += n;
		}
		KUNIT_EXPECT_EQ(test, n, 0);
		KUNIT_EXPECT_EQ(test, got, sizeof(whole));
		KUNIT_EXPECT_MEMEQ(test, bytes, whole, sizeof(whole));
	}
	for (size_t piece = 1; piece <= sizeof(whole); piece++) {
		struct hisi_acc_saved saved;

		t.data->length = 0;
		t.data->whole = false;
		for (size_t at = 0; at < sizeof(whole); at += piece) {
			size_t len = min(piece, sizeof(whole) - at);

			KUNIT_ASSERT_EQ(test, put(&t, whole + at, len), len);
		}
		KUNIT_EXPECT_EQ(test, hisi_acc_migf_decode(t.data, &saved), 0);
		KUNIT_EXPECT_MEMEQ(test, saved.eqc, a_state.eqc,
				   sizeof(saved.eqc));
	}
}

/* D12: the end of the data so far is not the end of all data */
static void end_of_data_so_far(struct kunit *test)
{
	struct vfio_precopy_info info = {};
	struct transfer t;

	begin(test, &t, true);
	KUNIT_EXPECT_EQ(test, hisi_acc_migf_precopy_info(t.data, &info), 0);
	KUNIT_EXPECT_EQ(test, info.initial_bytes, HISI_ACC_MATCH_SIZE);
	KUNIT_EXPECT_TRUE(test, polled(&t, EPOLLIN | EPOLLRDNORM));
	KUNIT_EXPECT_EQ(test, get(&t, PAGE_SIZE), HISI_ACC_MATCH_SIZE);
	KUNIT_EXPECT_EQ(test, get(&t, 1), -ENOMSG);
	KUNIT_EXPECT_EQ(test, get(&t, 0), 0);
	KUNIT_EXPECT_TRUE(test, polled(&t, 0));
	KUNIT_EXPECT_EQ(test, hisi_acc_migf_precopy_info(t.data, &info), 0);
	KUNIT_EXPECT_EQ(test, info.initial_bytes, 0);
	hisi_acc_migf_fill(t.data, &a_state);
	KUNIT_EXPECT_TRUE(test, polled(&t, EPOLLIN | EPOLLRDNORM));
	KUNIT_EXPECT_EQ(test, hisi_acc_migf_precopy_info(t.data, &info),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, get(&t, PAGE_SIZE),
			HISI_ACC_DATA_SIZE - HISI_ACC_MATCH_SIZE);
	KUNIT_EXPECT_EQ(test, get(&t, 1), 0);
}

/* Bytes that could not be copied to userspace are read again */
static void unmapped_user_memory(struct kunit *test)
{
	u8 __user *end;
	struct transfer t;

	begin(test, &t, true);
	hisi_acc_migf_fill(t.data, &a_state);
	end = t.user + PAGE_SIZE;
	KUNIT_EXPECT_EQ(test,
			hisi_acc_migf_read(t.file, (char __user *)end, 8, NULL),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, t.data->position, 0);
	KUNIT_EXPECT_EQ(test, 3,
			hisi_acc_migf_read(t.file, (char __user *)end - 3, 8, NULL));
	KUNIT_EXPECT_EQ(test, t.data->position, 3);
	KUNIT_EXPECT_EQ(test, -EFAULT,
			hisi_acc_migf_write(t.file, (char __user *)end, 8, NULL));
	KUNIT_EXPECT_EQ(test, t.data->length, HISI_ACC_DATA_SIZE);
	/* two readers at once: what one returns is no longer next */
	KUNIT_EXPECT_EQ(test, hisi_acc_migf_unread(t.data, 100, 1), -EIO);
	KUNIT_EXPECT_EQ(test, get(&t, 1), -EIO);
}

/* D1, D2: no byte is written beyond the end, and the session has failed then */
static void too_many_bytes(struct kunit *test)
{
	u8 whole[HISI_ACC_DATA_SIZE] __aligned(HISI_ACC_DATA_ALIGN);
	struct hisi_acc_saved saved;
	struct transfer t;

	begin(test, &t, false);
	hisi_acc_vf_data_encode(whole, &a_state, &t.fake->vf.match);
	KUNIT_EXPECT_TRUE(test, polled(&t, EPOLLOUT | EPOLLWRNORM));
	KUNIT_EXPECT_EQ(test, put(&t, whole, sizeof(whole)), sizeof(whole));
	KUNIT_EXPECT_EQ(test, put(&t, whole, 1), -EFBIG);
	KUNIT_EXPECT_EQ(test, t.data->length, sizeof(whole));
	KUNIT_EXPECT_EQ(test, put(&t, whole, 1), -EFBIG);
	KUNIT_EXPECT_EQ(test, hisi_acc_migf_decode(t.data, &saved), -EFBIG);
	KUNIT_EXPECT_TRUE(test, polled(&t, EPOLLOUT | EPOLLWRNORM | EPOLLERR));
}

/* D2: migration data is never loaded after a write was rejected */
static void rejected_once(struct kunit *test)
{
	u8 whole[HISI_ACC_DATA_SIZE] __aligned(HISI_ACC_DATA_ALIGN);
	struct hisi_acc_saved saved;
	struct transfer t;
	ssize_t err;

	begin(test, &t, false);
	hisi_acc_vf_data_encode(whole, &a_state, &t.fake->vf.match);
	KUNIT_EXPECT_EQ(test, put(&t, whole, 8), 8);
	KUNIT_EXPECT_LT(test, hisi_acc_migf_decode(t.data, &saved), 0);
	whole[8]++;
	err = put(&t, whole + 8, sizeof(whole) - 8);
	KUNIT_EXPECT_LT(test, err, 0);
	whole[8]--;
	KUNIT_EXPECT_EQ(test, put(&t, whole + 8, 1), err);
	KUNIT_EXPECT_EQ(test, hisi_acc_migf_decode(t.data, &saved), err);
}

/* D7: a file neither answers nor keeps migration data after its session */
static void outlives_its_transfer(struct kunit *test)
{
	struct vfio_precopy_info info = {};
	struct transfer t;

	begin(test, &t, true);
	hisi_acc_migf_fill(t.data, &a_state);
	t.fake->vf.data = NULL;
	hisi_acc_migf_close(t.data);
	KUNIT_EXPECT_EQ(test, get(&t, 1), -ENODEV);
	KUNIT_EXPECT_EQ(test, hisi_acc_migf_precopy_info(t.data, &info),
			-ENODEV);
	KUNIT_EXPECT_TRUE(test, polled(&t, EPOLLIN | EPOLLRDNORM | EPOLLERR));
	KUNIT_EXPECT_NULL(test, memchr_inv(t.data->bytes, 0,
					   sizeof(t.data->bytes)));
	hisi_acc_migf_close(NULL);
}

struct waiter {
	struct wait_queue_entry entry;
	unsigned int woken;
};

static int wake_waiter(struct wait_queue_entry *entry, unsigned int mode,
		       int flags, void *key)
{
	container_of(entry, struct waiter, entry)->woken++;
	return 0;
}

/* poll() wakes up when the session ends */
static void poll_is_woken(struct kunit *test)
{
	struct waiter waiter = {};
	struct transfer t;

	begin(test, &t, true);
	init_waitqueue_func_entry(&waiter.entry, wake_waiter);
	add_wait_queue(&t.data->wait, &waiter.entry);
	hisi_acc_migf_fill(t.data, &a_state);
	KUNIT_EXPECT_EQ(test, waiter.woken, 1);
	t.fake->vf.data = NULL;
	hisi_acc_migf_close(t.data);
	KUNIT_EXPECT_EQ(test, waiter.woken, 2);
	remove_wait_queue(&t.data->wait, &waiter.entry);
}

/* poll() wakes up when the data is rejected */
static void rejection_wakes_poll(struct kunit *test)
{
	u8 more[HISI_ACC_DATA_SIZE + 1] = {};
	struct waiter waiter = {};
	struct transfer t;

	begin(test, &t, false);
	init_waitqueue_func_entry(&waiter.entry, wake_waiter);
	add_wait_queue(&t.data->wait, &waiter.entry);
	KUNIT_EXPECT_EQ(test, put(&t, more, sizeof(more)), -EFBIG);
	KUNIT_EXPECT_EQ(test, waiter.woken, 1);
	remove_wait_queue(&t.data->wait, &waiter.entry);
}

/* State that every destination would reject is not sent */
static void unloadable_state_is_not_sent(struct kunit *test)
{
	struct hisi_acc_saved saved = a_state;
	struct waiter waiter = {};
	struct transfer t;

	saved.page_size = 3;
	begin(test, &t, true);
	init_waitqueue_func_entry(&waiter.entry, wake_waiter);
	add_wait_queue(&t.data->wait, &waiter.entry);
	hisi_acc_migf_fill(t.data, &saved);
	KUNIT_EXPECT_EQ(test, waiter.woken, 1);
	KUNIT_EXPECT_EQ(test, get(&t, 1), -ERANGE);
	KUNIT_EXPECT_TRUE(test, polled(&t, EPOLLIN | EPOLLRDNORM | EPOLLERR));
	remove_wait_queue(&t.data->wait, &waiter.entry);
}

/* A reader does not wait for data that will not come */
static void save_without_data(struct kunit *test)
{
	struct waiter waiter = {};
	struct transfer t;

	begin(test, &t, true);
	init_waitqueue_func_entry(&waiter.entry, wake_waiter);
	add_wait_queue(&t.data->wait, &waiter.entry);
	hisi_acc_migf_fail(t.data, -EBUSY);
	KUNIT_EXPECT_EQ(test, waiter.woken, 1);
	KUNIT_EXPECT_EQ(test, get(&t, 1), -EBUSY);
	remove_wait_queue(&t.data->wait, &waiter.entry);
}

static struct file *no_file(const struct file_operations *fops,
			    struct hisi_acc_migf *data, int flags)
{
	return ERR_PTR(-ENFILE);
}

/* T19: the caller drops a file only if there is one */
static void no_more_files(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);
	struct file *file = NULL;

	kunit_activate_static_stub(test, hisi_acc_migf_getfile, no_file);
	KUNIT_EXPECT_EQ(test, PTR_ERR(hisi_acc_migf_open_save(&fake->vf, &file)),
			-ENFILE);
	KUNIT_EXPECT_EQ(test, PTR_ERR(hisi_acc_migf_open_resume(&fake->vf, &file)),
			-ENFILE);
	KUNIT_EXPECT_NULL(test, file);
}

static struct kunit_case migf_cases[] = {
	KUNIT_CASE(any_pieces),
	KUNIT_CASE(end_of_data_so_far),
	KUNIT_CASE(unmapped_user_memory),
	KUNIT_CASE(too_many_bytes),
	KUNIT_CASE(rejected_once),
	KUNIT_CASE(outlives_its_transfer),
	KUNIT_CASE(poll_is_woken),
	KUNIT_CASE(rejection_wakes_poll),
	KUNIT_CASE(unloadable_state_is_not_sent),
	KUNIT_CASE(save_without_data),
	KUNIT_CASE(no_more_files),
	{ }
};

static struct kunit_suite migf_suite = {
	.name = "hisi_acc_migf",
	.test_cases = migf_cases,
};

kunit_test_suite(migf_suite);
