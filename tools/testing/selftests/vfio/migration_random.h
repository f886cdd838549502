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

/* The state of below() for one of several threads; never 0, which xorshift keeps */
static inline uint64_t random_of(unsigned long seed, unsigned int thread)
{
	return 0x9e3779b97f4a7c15ull * (seed * 1024 + thread + 1);
}

/* A number smaller than @limit */
static inline uint64_t below(uint64_t *random, uint64_t limit)
{
	return xorshift(random) % limit;
}

#endif
