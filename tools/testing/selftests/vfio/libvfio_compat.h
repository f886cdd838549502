/* SPDX-License-Identifier: GPL-2.0 */
/*
 * calloc_assert(), which libvfio of some 7.2.y calls and does not define: the fix
 * that calls it was backported, and not the change that adds it. migration.mk
 * includes this if libvfio lacks it.
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
