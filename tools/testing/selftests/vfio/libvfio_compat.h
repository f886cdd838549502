/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What libvfio of some stable kernels uses and does not have: a fix that came
 * to 7.2.y calls calloc_assert(), the change that brought it did not come along.
 * migration.mk includes this where libvfio's own headers lack it.
 */
#ifndef LIBVFIO_COMPAT_H
#define LIBVFIO_COMPAT_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static inline void *calloc_assert(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory) {
		perror("calloc");
		exit(1);
	}
	return memory;
}

#endif
