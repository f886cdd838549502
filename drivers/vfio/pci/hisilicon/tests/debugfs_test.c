// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: what the files in debugfs show, and of which devices they read registers.
 */
#include <kunit/test.h>
#include <linux/pm_runtime.h>
#include <linux/seq_file.h>

#include "fake_device.h"

static struct {
	int power_error, access_error;
	int powered, accessed;
} state;

static int power_up(void)
{
	state.powered += !state.power_error;
	return state.power_error;
}

static int access_begin(void)
{
	state.accessed += !state.access_error;
	return state.access_error;
}

static void show(struct hisi_acc_vf *vf, struct seq_file *seq)
{
	seq_puts(seq, "registers\n");
}

static void show_mailbox(struct hisi_acc_vf *vf, struct seq_file *seq)
{
	seq_puts(seq, "mailbox\n");
}

#define pm_runtime_resume_and_get(dev)		power_up()
#define pm_runtime_put(dev)			((void)(dev), state.powered--)
#define hisi_acc_access_begin(vf, timeout_ms)	access_begin()
#define hisi_acc_access_end(vf)			(state.accessed--)
#define hisi_acc_qm_show			show
#define hisi_acc_qm_show_mailbox		show_mailbox
/* Without debugfs the header has one already */
#define hisi_acc_debugfs_init			tested_init
void tested_init(struct hisi_acc_vf *vf);

#include "../debugfs.c"

/* The file's text, or its error; both have to leave the device as it was */
static int read_file(struct kunit *test,
		     int (*file)(struct seq_file *seq, void *unused), char *text,
		     size_t size)
{
	struct fake_device *fake = test->priv;
	struct seq_file seq = { .buf = text, .size = size, .private = &fake->vf };
	int err = file(&seq, NULL);

	KUNIT_EXPECT_EQ(test, 0, state.powered);
	KUNIT_EXPECT_EQ(test, 0, state.accessed);
	text[seq.count] = 0;
	return err;
}

#define EXPECT_FILE(test, file, expected) do { \
	char text[64]; \
	KUNIT_EXPECT_EQ(test, 0, read_file(test, file, text, sizeof(text) - 1)); \
	KUNIT_EXPECT_STREQ(test, expected, text); \
} while (0)

/* Both files show registers of a device that is open and answers */
static void registers_of_an_open_device_are_shown(struct kunit *test)
{
	fake_device(test);
	EXPECT_FILE(test, dev_data_show, "registers\n");
	EXPECT_FILE(test, cmd_state_show, "mailbox\n");
}

/* A register of a device that is closed, asleep or off is not read */
static void others_are_left_alone(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);

	fake->off = true;
	EXPECT_FILE(test, dev_data_show, "device does not answer\n");
	fake->off = false;
	fake->asleep = true;
	EXPECT_FILE(test, cmd_state_show, "device does not answer\n");
	fake->asleep = false;
	fake->vf.open = false;
	EXPECT_FILE(test, dev_data_show, "device is not open\n");
	fake->vf.open = true;
}

/* What keeps a device from being read is the error of read() */
static void errors_are_those_of_the_device(struct kunit *test)
{
	char text[64];

	fake_device(test);
	state.power_error = -EACCES;
	KUNIT_EXPECT_EQ(test, -EACCES,
			read_file(test, dev_data_show, text, sizeof(text) - 1));
	state.power_error = 0;
	state.access_error = -EAGAIN;
	KUNIT_EXPECT_EQ(test, -EAGAIN,
			read_file(test, cmd_state_show, text, sizeof(text) - 1));
	state.access_error = 0;
}

/* No migration data is shown of a device without a session */
static void without_a_session_there_is_no_transfer(struct kunit *test)
{
	fake_device(test);
	EXPECT_FILE(test, migf_data_show, "no transfer\n");
}

static struct kunit_case debugfs_cases[] = {
	KUNIT_CASE(registers_of_an_open_device_are_shown),
	KUNIT_CASE(others_are_left_alone),
	KUNIT_CASE(errors_are_those_of_the_device),
	KUNIT_CASE(without_a_session_there_is_no_transfer),
	{ }
};

static struct kunit_suite debugfs_suite = {
	.name = "hisi_acc_debugfs",
	.test_cases = debugfs_cases,
};

kunit_test_suite(debugfs_suite);
