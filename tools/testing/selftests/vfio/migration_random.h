/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random numbers that a seed reproduces.
 */
#ifndef MIGRATION_RANDOM_H
#define MIGRATION_RANDOM_H

#include <stdint.h>

/* The next number, by xorshift; the state is not 0 */
static inline uint64_t xorshift(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif
