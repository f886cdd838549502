/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the test share: checks, the tests by file.
 *
 * A test is run in a process of its own, which ends with it: what it left open
 * is closed. R and D with a number say which defect of another driver for these
 * devices a test would have found: R mended since, D seen in Linux 7.2.
 */
#ifndef HISI_ACC_MIGRATION_TEST_H
#define HISI_ACC_MIGRATION_TEST_H

#include "hisi_acc_test_device.h"

struct test {
	const char *name;
	void (*run)(void);
};

extern const struct test window_tests[];
extern const struct test state_tests[];
extern const struct test image_tests[];
extern const struct test refusal_tests[];
extern const struct test life_tests[];
extern const struct test alone_tests[];

extern const char *source_bdf, *destination_bdf;

/* A test goes on after a check that failed: the others may tell why */
#define CHECK(got, want) check(#got, (long)(got), (long)(want), __LINE__)

void check(const char *what, long got, long want, int line);

/* Ends the test without a verdict, unless a check has failed */
void skip(const char *why);

/* What of migration is offered, and whether a state is in it */
uint64_t flags_of(struct device *d);
bool has_state(uint64_t flags, int state);

/* The image of the source, with or without a driver behind it */
size_t make_image(uint8_t *image, bool guest_up);

/* A register: the version of the hardware, 0 before V4 */
#define HW_VERSION	0x210

/*
 * From V4 on a kernel that knows the version has the registers of migration
 * elsewhere, and all of the BAR is the guest's; one that does not has them there
 */
bool all_is_the_guests(struct device *d);

/* The destination, waiting for an image; returns the data file */
int begin_resume(struct device *d);

#endif
