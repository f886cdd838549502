// SPDX-License-Identifier: GPL-2.0
/*
 * Images that are to be taken: what they contain, how they come in.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "hisi_acc_migration_test.h"

#define HIGH_IOVA	0x100000000ull

/* R2, R7: Catches a word in another place, an address made from the wrong words */
static void contents(void)
{
	uint8_t image[IMAGE_SIZE];
	uint32_t version = 0x30;
	unsigned int queues;
	struct device d;
	bool whole;

	device_open(&d, source_bdf);
	whole = all_is_the_guests(&d);
	if (whole)
		version = device_read(&d, HW_VERSION);
	queues = device_queues(&d);
	device_close(&d);
	make_image(image, true);
	CHECK(field(image, 0, 8), 0xaaccfeeddecadede);
	CHECK(field(image, 8, 4), queues);
	CHECK(field(image, 12, 4), 0xa256);
	CHECK(field(image, 24, 4), 0);
	CHECK(field(image, 28, 2), 1);
	CHECK(field(image, 56, 4), 0);
	CHECK(field(image, 68, 4), field(image, 144, 8));
	CHECK(field(image, 96, 4), field(image, 152, 8));
	CHECK(field(image, 160, 8), SQC_TABLE_IOVA);
	if (field(image, 30, 2)) {
		CHECK(field(image, 32, 4), version);
		CHECK(field(image, 36, 4), whole ? 2 : 1);
		CHECK(field(image, 120, 4), 1);
		CHECK(field(image, 136, 4), image_checksum(image));
	}
}

static void load(const uint8_t *image, size_t len, uint64_t want_table)
{
	struct device d;
	int fd = begin_resume(&d);

	CHECK(send_image(fd, image, len), len);
	CHECK(device_set_state(&d, RUNNING, NULL), 0);
	CHECK(device_read(&d, 0x60), want_table ? 0 : 1);
	CHECK(device_sqc_table(&d), want_table);
	device_close(&d);
	close(fd);
}

/* R12: Catches something loaded where nothing was behind the function */
static void guest_not_up(void)
{
	uint8_t image[IMAGE_SIZE];
	size_t len = make_image(image, false);

	load(image, len, 0);
}

/* Catches the same for what Linux sends then: the match part, or zeros */
static void guest_not_up_elsewhere(void)
{
	uint8_t image[IMAGE_SIZE];

	make_image(image, true);
	put(image, 30, 0, 2);
	memset(image + 32, 0, IMAGE_SIZE - 32);
	load(image, IMAGE_SIZE, 0);
	load(image, MATCH_SIZE, 0);
	put(image, 24, 1, 4);
	load(image, IMAGE_SIZE, 0);
	load(image, MATCH_SIZE, 0);
}

/* Catches a state that does not arrive: flags, rings, tables */
static void guest_up(void)
{
	uint8_t image[IMAGE_SIZE], again[IMAGE_SIZE];
	struct device d;
	int fd;

	make_image(image, true);
	fd = begin_resume(&d);
	CHECK(send_image(fd, image, IMAGE_SIZE), IMAGE_SIZE);
	CHECK(device_set_state(&d, STOP, NULL), 0);
	CHECK(send_image(fd, image, 1) < 0, true);
	close(fd);
	CHECK(device_read(&d, 0x60), 0);
	CHECK(device_sqc_table(&d), field(image, 160, 8));

	/* what was loaded is what can be saved */
	CHECK(device_set_state(&d, STOP_COPY, &fd), 0);
	CHECK(receive_image(fd, again, IMAGE_SIZE), IMAGE_SIZE);
	put(again, 20, field(image, 20, 4), 4);
	/* a mask that a restart takes away, whatever it was [D22] */
	put(again, 52, field(image, 52, 4), 4);
	sign_image(again);
	CHECK(memcmp(image, again, IMAGE_SIZE), 0);
	CHECK(device_set_state(&d, RUNNING, NULL), 0);
	CHECK(receive_image(fd, again, IMAGE_SIZE) < 0, true);
	device_close(&d);
}

/* R4: Catches an image that is torn where it was cut into writes and reads */
static void pieces(void)
{
	uint8_t image[IMAGE_SIZE], got[IMAGE_SIZE];
	struct device d;
	int fd;

	make_image(image, true);
	device_open(&d, destination_bdf);
	for (unsigned int cut = 0; cut <= IMAGE_SIZE; cut++) {
		CHECK(device_set_state(&d, RESUMING, &fd), 0);
		if (cut == 0)
			for (int i = 0; i < IMAGE_SIZE; i++)
				CHECK(send_image(fd, image + i, 1), 1);
		else
			CHECK(send_image(fd, image, cut), cut);
		if (cut && cut < IMAGE_SIZE)
			CHECK(send_image(fd, image + cut, IMAGE_SIZE - cut),
			      IMAGE_SIZE - cut);
		CHECK(device_set_state(&d, STOP, NULL), 0);
		close(fd);

		CHECK(device_set_state(&d, STOP_COPY, &fd), 0);
		CHECK(receive_image(fd, got, cut), cut);
		CHECK(receive_image(fd, got + cut, IMAGE_SIZE), IMAGE_SIZE - cut);
		put(got, 52, field(image, 52, 4), 4);
		CHECK(memcmp(got + MATCH_SIZE, image + MATCH_SIZE, 80), 0);
		CHECK(memcmp(got + 144, image + 144, 32), 0);
		close(fd);
		CHECK(device_set_state(&d, STOP, NULL), 0);
	}
	device_close(&d);
}

/* A version is what says what is in the words that were reserved */
static void make_older(uint8_t *image)
{
	put(image, 30, 0, 2);
	memset(image + 32, 0, 8);
	memset(image + 120, 0, 24);
}

/* Catches an image of Linux since 6.16 that is no longer taken */
static void version_2_0(void)
{
	uint8_t image[IMAGE_SIZE];

	make_image(image, true);
	make_older(image);
	load(image, IMAGE_SIZE, field(image, 160, 8));
}

/* R7: Catches ring addresses of older kernels that are believed, right or wrong */
static void version_1(void)
{
	uint8_t image[IMAGE_SIZE];

	make_image(image, true);
	make_older(image);
	put(image, 0, 0xcdcdcdcdfeedaacc, 8);
	put(image, 28, 0, 4);
	load(image, IMAGE_SIZE, field(image, 160, 8));
	put(image, 144, field(image, 64, 8), 8);
	put(image, 152, field(image, 92, 8), 8);
	load(image, IMAGE_SIZE, field(image, 160, 8));
}

/* D23: Catches a word taken for the end because it is 0, as a wrong address may be */
static void version_1_in_two(void)
{
	uint8_t image[IMAGE_SIZE];
	struct device d;
	int fd;

	make_image(image, true);
	make_older(image);
	put(image, 0, 0xcdcdcdcdfeedaacc, 8);
	put(image, 28, 0, 4);
	put(image, 68, HIGH_IOVA, 8);
	put(image, 144, field(image, 64, 8), 8);
	put(image, 152, field(image, 92, 8), 8);

	fd = begin_resume(&d);
	CHECK(send_image(fd, image, MATCH_SIZE), MATCH_SIZE);
	CHECK(send_image(fd, image + MATCH_SIZE, IMAGE_SIZE - MATCH_SIZE),
	      IMAGE_SIZE - MATCH_SIZE);
	CHECK(device_set_state(&d, RUNNING, NULL), 0);
	CHECK(device_sqc_table(&d), field(image, 160, 8));
	device_close(&d);
}

/* Catches a reader of today that does not take what one of tomorrow adds */
static void newer_minor(void)
{
	uint8_t image[IMAGE_SIZE];

	make_image(image, true);
	put(image, 30, 0xffff, 2);
	put(image, 128, 0x12345678, 4);
	sign_image(image);
	load(image, IMAGE_SIZE, field(image, 160, 8));
}

const struct test image_tests[] = {
	{ "contents", contents },
	{ "guest_not_up", guest_not_up },
	{ "guest_not_up_elsewhere", guest_not_up_elsewhere },
	{ "guest_up", guest_up },
	{ "pieces", pieces },
	{ "version_2_0", version_2_0 },
	{ "version_1", version_1 },
	{ "version_1_in_two", version_1_in_two },
	{ "newer_minor", newer_minor },
	{ }
};
