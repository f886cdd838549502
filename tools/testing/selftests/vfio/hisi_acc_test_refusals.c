// SPDX-License-Identifier: GPL-2.0
/*
 * Images that are not to be taken, and that nothing of them reaches the device.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hisi_acc_migration_test.h"

struct refusal {
	unsigned int offset, size;
	uint64_t value;
	int err;		/* that our driver gives; others: any */
};

/* Each kind has an errno of its own, which is ours: others only have to refuse */
static void expect_refusal(struct device *d, const uint8_t *bad,
			   const struct refusal *r)
{
	int fd, err;

	CHECK(device_set_state(d, RESUMING, &fd), 0);
	err = send_image(fd, bad, IMAGE_SIZE);
	if (err < 0 && err != r->err)
		printf("# offset %u: refused by %d, not %d\n", r->offset, err,
		       r->err);
	CHECK(err < 0, true);
	CHECK(device_reset(d), 0);
	close(fd);
}

static void expect_refusals(const struct refusal *cases, unsigned int count)
{
	uint8_t image[IMAGE_SIZE], bad[IMAGE_SIZE];
	struct device d;

	make_image(image, true);
	device_open(&d, destination_bdf);
	for (unsigned int i = 0; i < count; i++) {
		memcpy(bad, image, sizeof(bad));
		put(bad, cases[i].offset, cases[i].value, cases[i].size);
		sign_image(bad);
		expect_refusal(&d, bad, &cases[i]);
	}
	device_close(&d);
}

/* D2: Catches a verdict of write() that counts for nothing in the end */
static void refusal_stays(void)
{
	static const struct refusal cases[] = {
		{ .offset = 0, .size = 1, .value = 0 },
		{ .offset = 8, .size = 4, .value = 1 },
		{ .offset = 12, .size = 4, .value = 0xa259 },
		{ .offset = 16, .size = 4, .value = 0x8000 },
		{ .offset = 28, .size = 2, .value = 2 },
	};
	uint8_t image[IMAGE_SIZE], bad[IMAGE_SIZE];
	struct device d;
	int fd;

	make_image(image, true);
	device_open(&d, destination_bdf);
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		memcpy(bad, image, sizeof(bad));
		put(bad, cases[i].offset, cases[i].value, cases[i].size);
		CHECK(device_set_state(&d, RESUMING, &fd), 0);
		CHECK(send_image(fd, bad, IMAGE_SIZE) < 0, true);
		CHECK(send_image(fd, image, IMAGE_SIZE) < 0, true);
		CHECK(device_set_state(&d, STOP, NULL) < 0, true);
		CHECK(device_set_state(&d, RUNNING, NULL) < 0, true);
		CHECK(device_state(&d), RESUMING);
		CHECK(device_sqc_table(&d), 0);
		CHECK(device_reset(&d), 0);
		CHECK(device_state(&d), RUNNING);
		close(fd);
	}
	device_close(&d);
}

/* Catches bytes of another kind that are taken */
static void magic(void)
{
	static const struct refusal cases[] = {
		{ 0, 8, 0, -EBADMSG },
		{ 0, 1, 0xff, -EBADMSG },
		{ 7, 1, 0xab, -EBADMSG },
	};

	expect_refusals(cases, ARRAY_SIZE(cases));
}

/* R7: Catches a version of which nobody here knows the layout */
static void major_version(void)
{
	static const struct refusal cases[] = {
		{ 28, 2, 2, -EPROTONOSUPPORT },
		{ 28, 2, 0, -EPROTONOSUPPORT },
	};

	expect_refusals(cases, ARRAY_SIZE(cases));
}

/* Catches the image of another kind of accelerator */
static void another_device(void)
{
	static const struct refusal cases[] = {
		{ 12, 4, 0x1234, -EOPNOTSUPP },
		{ 12, 4, 0xa259, -EOPNOTSUPP },
		{ 12, 4, 0x1a256, -EOPNOTSUPP },
	};

	expect_refusals(cases, ARRAY_SIZE(cases));
}

/* Catches the image of a function with more queues, or fewer */
static void number_of_queues(void)
{
	static const struct refusal cases[] = {
		{ 8, 4, 0, -EOPNOTSUPP },
		{ 8, 4, 1, -EOPNOTSUPP },
		{ 8, 4, 0x10001, -EOPNOTSUPP },
	};

	expect_refusals(cases, ARRAY_SIZE(cases));
}

/* R1: Catches doorbells that lie elsewhere in the guest's eyes */
static void isolation(void)
{
	static const struct refusal cases[] = {
		{ 16, 4, 0x8000, -EOPNOTSUPP },
	};

	expect_refusals(cases, ARRAY_SIZE(cases));
}

/* Catches other hardware, by what a newer minor version says of it */
static void hardware(void)
{
	struct refusal cases[] = {
		{ 32, 4, 0x50, -EOPNOTSUPP },
		{ 32, 4, 0, -EOPNOTSUPP },
		{ 36, 4, 2, -EOPNOTSUPP },
		{ 120, 4, 0, -ERANGE },
		{ 120, 4, 2, -ERANGE },
		{ 124, 4, 1, -ERANGE },
		{ 128, 4, 1, -EPROTO },
		{ 140, 4, 1, -EPROTO },
	};
	uint8_t image[IMAGE_SIZE];

	make_image(image, true);
	if (!field(image, 30, 2))
		skip("no checksum in the image");
	if (field(image, 32, 4) == cases[0].value)
		cases[0].value = 0x30;
	if (field(image, 36, 4) == cases[2].value)
		cases[2].value = 1;
	expect_refusals(cases, ARRAY_SIZE(cases));
}

/* Catches a bit that fell over on the way, wherever it is */
static void checksum(void)
{
	uint8_t image[IMAGE_SIZE], bad[IMAGE_SIZE];
	const struct refusal r = { 40, 0, 0, -EBADMSG };
	struct device d;

	make_image(image, true);
	if (!field(image, 30, 2))
		skip("no checksum in the image");
	device_open(&d, destination_bdf);
	for (unsigned int at = MATCH_SIZE; at < IMAGE_SIZE; at++) {
		memcpy(bad, image, sizeof(bad));
		bad[at] ^= 1 << (at % 8);
		expect_refusal(&d, bad, &r);
	}
	device_close(&d);
}

/* Catches a value that no guest could have given its function */
static void registers(void)
{
	static const struct refusal cases[] = {
		{ 24, 4, 2, -ERANGE },
		{ 24, 4, 1, -ERANGE },
		{ 56, 4, 1, -ERANGE },
		{ 60, 4, 3, -ERANGE },
		{ 64, 4, 0xffff, -ERANGE },
		{ 94, 2, 0xffff, -ERANGE },
		{ 68, 4, 0x10001001, -EBADMSG },
		{ 144, 8, 0, -EBADMSG },
		{ 160, 8, 0, -EBADMSG },
		{ 160, 8, 8, -EBADMSG },
		{ 168, 8, 0, -EBADMSG },
	};

	expect_refusals(cases, ARRAY_SIZE(cases));
}

/* Catches a byte too many, at once or by itself */
static void too_long(void)
{
	uint8_t image[IMAGE_SIZE + 1] = {};
	struct device d;
	int fd;

	make_image(image, true);
	fd = begin_resume(&d);
	CHECK(send_image(fd, image, IMAGE_SIZE), IMAGE_SIZE);
	CHECK(send_image(fd, image, 1) < 0, true);
	CHECK(device_set_state(&d, STOP, NULL) < 0, true);
	CHECK(device_reset(&d), 0);
	close(fd);
	CHECK(device_set_state(&d, RESUMING, &fd), 0);
	CHECK(send_image(fd, image, IMAGE_SIZE + 1) < 0, true);
	CHECK(device_set_state(&d, STOP, NULL) < 0, true);
	device_close(&d);
}

/* Catches a part taken for the whole, or a part that cannot be completed */
static void too_short(void)
{
	uint8_t image[IMAGE_SIZE];
	struct device d;
	int fd;

	make_image(image, true);
	fd = begin_resume(&d);
	for (int i = 0; i < IMAGE_SIZE; i++) {
		if (i != MATCH_SIZE || field(image, 30, 2))
			CHECK(device_set_state(&d, STOP, NULL) < 0, true);
		CHECK(device_state(&d), RESUMING);
		CHECK(send_image(fd, image + i, 1), 1);
		if (device_state(&d) != RESUMING)
			return;
	}
	CHECK(device_set_state(&d, STOP, NULL), 0);
	CHECK(device_sqc_table(&d), field(image, 160, 8));
	device_close(&d);
}

/* D12: Catches any forty bytes taken for a function without a driver */
static void forty_wrong_bytes(void)
{
	uint8_t bad[MATCH_SIZE];
	struct device d;
	int fd;

	memset(bad, 0x5a, sizeof(bad));
	fd = begin_resume(&d);
	CHECK(send_image(fd, bad, sizeof(bad)) < 0, true);
	CHECK(device_set_state(&d, STOP, NULL) < 0, true);
	device_close(&d);
}

static void check_second_image(bool reopen)
{
	uint8_t image[IMAGE_SIZE], bad[IMAGE_SIZE];
	struct device d;
	int fd;

	make_image(image, true);
	memcpy(bad, image, sizeof(bad));
	put(bad, 8, 1, 4);
	fd = begin_resume(&d);
	CHECK(send_image(fd, image, IMAGE_SIZE), IMAGE_SIZE);
	CHECK(device_set_state(&d, STOP, NULL), 0);
	close(fd);
	if (reopen) {
		device_close(&d);
		device_open(&d, destination_bdf);
	}
	CHECK(device_set_state(&d, RESUMING, &fd), 0);
	CHECK(send_image(fd, bad, IMAGE_SIZE) < 0, true);
	if (!reopen)
		CHECK(device_set_state(&d, STOP, NULL) < 0, true);
	device_close(&d);
}

/* D2: Catches a good image that is a licence for the next */
static void second_image(void)
{
	check_second_image(false);
}

/* R16: Catches the same across users */
static void second_image_of_another(void)
{
	check_second_image(true);
}

/* D24: Catches registers written from an image that is refused */
static void nothing_is_written(void)
{
	uint8_t image[IMAGE_SIZE];
	struct device d;
	int fd;

	make_image(image, true);
	put(image, 160, 8, 8);
	sign_image(image);
	fd = begin_resume(&d);
	send_image(fd, image, IMAGE_SIZE);
	device_set_state(&d, STOP, NULL);
	CHECK(device_read(&d, 0x60), 1);
	CHECK(device_sqc_table(&d), 0);
	device_close(&d);
}

const struct test refusal_tests[] = {
	{ "refusal_stays", refusal_stays },
	{ "refused_magic", magic },
	{ "refused_major_version", major_version },
	{ "refused_device", another_device },
	{ "refused_number_of_queues", number_of_queues },
	{ "refused_isolation", isolation },
	{ "refused_hardware", hardware },
	{ "refused_checksum", checksum },
	{ "refused_registers", registers },
	{ "too_long", too_long },
	{ "too_short", too_short },
	{ "forty_wrong_bytes", forty_wrong_bytes },
	{ "second_image", second_image },
	{ "second_image_of_another", second_image_of_another },
	{ "nothing_is_written", nothing_is_written },
	{ }
};
