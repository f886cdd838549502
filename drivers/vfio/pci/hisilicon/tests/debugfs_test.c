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

static int power_up(struct device *dev)
{
	state.powered += !state.power_error;
	return state.power_error;
}

static int power_down(struct device *dev)
{
	return state.powered--;
}

static int access_begin(struct hisi_acc_vf *vf, unsigned int timeout_ms)
{
	state.accessed += !state.access_error;
	return state.access_error;
}

static void access_end(struct hisi_acc_vf *vf)
{
	state.accessed--;
}

static void show(struct hisi_acc_vf *vf, struct seq_file *seq)
{
	seq_puts(seq, "registers\n");
}

static void show_mailbox(struct hisi_acc_vf *vf, struct seq_file *seq)
{
	seq_puts(seq, "mailbox\n");
}

#define pm_runtime_resume_and_get	power_up
#define pm_runtime_put			power_down
#define hisi_acc_access_begin		access_begin
#define hisi_acc_access_end		access_end
#define hisi_acc_qm_show		show
#define hisi_acc_qm_show_mailbox	show_mailbox
/* Without debugfs the header has one already */
#define hisi_acc_debugfs_init		tested_init
void tested_init(struct hisi_acc_vf *vf);

#include "../debugfs.c"

/* Reading a file gives this text, or error, and leaves the device as it was */
static void expect_file(struct kunit *test,
			int (*file)(struct seq_file *seq, void *unused),
			const char *text, int err)
{
	struct fake_device *fake = test->priv;
	char buf[64] = "";
	struct seq_file seq = {
		.buf = buf, .size = sizeof(buf) - 1, .private = &fake->vf,
	};

	KUNIT_EXPECT_EQ(test, err, file(&seq, NULL));
	KUNIT_EXPECT_STREQ(test, text, buf);
	KUNIT_EXPECT_EQ(test, 0, state.powered);
	KUNIT_EXPECT_EQ(test, 0, state.accessed);
}

/* Both files show registers of a device that is open and answers */
static void registers_of_an_open_device_are_shown(struct kunit *test)
{
	fake_device(test);
	expect_file(test, hisi_acc_dev_data_show, "registers\n", 0);
	expect_file(test, hisi_acc_cmd_state_show, "mailbox\n", 0);
}

/* Registers are not read while the VF is closed, in D3 or has its memory off */
static void other_devices_are_not_read(struct kunit *test)
{
	struct fake_device *fake = fake_device(test);

	fake->off = true;
	expect_file(test, hisi_acc_dev_data_show, "device does not answer\n",
		    0);
	fake->off = false;
	fake->asleep = true;
	expect_file(test, hisi_acc_cmd_state_show, "device does not answer\n",
		    0);
	fake->asleep = false;
	fake->vf.open = false;
	expect_file(test, hisi_acc_dev_data_show, "device is not open\n", 0);
	fake->vf.open = true;
}

/* read() fails with the error that prevents access to the device */
static void errors_are_those_of_the_device(struct kunit *test)
{
	fake_device(test);
	state.power_error = -EACCES;
	expect_file(test, hisi_acc_dev_data_show, "", -EACCES);
	state.power_error = 0;
	state.access_error = -EAGAIN;
	expect_file(test, hisi_acc_cmd_state_show, "", -EAGAIN);
	state.access_error = 0;
}

/* No migration data is shown without a session */
static void without_a_session_there_is_no_transfer(struct kunit *test)
{
	fake_device(test);
	expect_file(test, hisi_acc_migf_data_show, "no transfer\n", 0);
}

static struct kunit_case debugfs_cases[] = {
	KUNIT_CASE(registers_of_an_open_device_are_shown),
	KUNIT_CASE(other_devices_are_not_read),
	KUNIT_CASE(errors_are_those_of_the_device),
	KUNIT_CASE(without_a_session_there_is_no_transfer),
	{ }
};

static struct kunit_suite debugfs_suite = {
	.name = "hisi_acc_debugfs",
	.test_cases = debugfs_cases,
};

kunit_test_suite(debugfs_suite);
