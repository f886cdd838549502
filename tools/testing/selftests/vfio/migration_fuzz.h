/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random operations of userspace on a VFIO migration device, in several threads that
 * share its migration files.
 */
#ifndef SELFTESTS_VFIO_MIGRATION_FUZZ_H
#define SELFTESTS_VFIO_MIGRATION_FUZZ_H

#include "migration.h"

struct migration_fuzz {
	int fd;					/* of the device */
	const struct migration_data *data;	/* of it: written as it is, and changed */
	void (*access)(uint64_t *random);	/* of its registers, or NULL */
	const int *rejections;			/* errors for data, 0 at their end; NULL: any */
	long operations;			/* in all threads together */
	unsigned long seed;
	/* results */
	unsigned long resets;			/* of these operations */
	char wrong[64];				/* the first result that is not allowed, or "" */
};

/*
 * Run the operations, and end early after a result that is not allowed. The migration
 * files are closed afterwards, the state of the device is any.
 */
void migration_fuzz_run(struct migration_fuzz *fuzz);

#endif
