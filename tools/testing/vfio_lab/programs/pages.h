/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that only a device writes: results stay until the accelerator overwrites
 * them, and are checked all the time. A page that was not migrated has an older
 * result.
 *
 * One thread per set of pages writes (through the device), another one may read.
 */
#ifndef GUEST_PAGES_H
#define GUEST_PAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PAGE_BYTES	4096
#define PAGES_PER_LANE	20	/* a lane uses each before the load counts as running */

struct pages {
	struct page_note {
		atomic_uint turn;	/* odd while the device may write */
		atomic_uint told;	/* the turn that was counted as stale */
		unsigned int len;
		uint64_t sum;
	} notes[PAGES_PER_LANE];
	unsigned int next;
	uint8_t (*bytes)[PAGE_BYTES];
};

static inline uint64_t page_sum(const uint8_t *bytes, unsigned int len)
{
	uint64_t sum = len;

	for (unsigned int i = 0; i + 8 <= len; i += 8)
		sum = (sum ^ *(const volatile uint64_t *)(bytes + i)) * 0x100000001b3ull;
	return sum;
}

/* Is this page stale? Each turn is counted once. */
static inline bool page_is_stale(struct pages *p, unsigned int n)
{
	struct page_note *note = &p->notes[n];
	unsigned int turn = atomic_load(&note->turn), len = note->len;
	uint64_t sum = note->sum;

	if (!turn || turn & 1 || len > PAGE_BYTES || page_sum(p->bytes[n], len) == sum)
		return false;
	/* the device may have written meanwhile, or it is counted */
	return atomic_load(&note->turn) == turn && atomic_exchange(&note->told, turn) != turn;
}

/* The page that the device writes next; @stale counts it if it is stale */
static inline uint8_t *page_begin(struct pages *p, atomic_ulong *stale)
{
	unsigned int n = p->next;

	if (page_is_stale(p, n))
		atomic_fetch_add(stale, 1);
	/* odd already if the last request for it failed */
	atomic_store(&p->notes[n].turn, (atomic_load(&p->notes[n].turn) + 1) | 1);
	return p->bytes[n];
}

/* The device wrote @len bytes, which are equal to @want */
static inline void page_end(struct pages *p, const uint8_t *want, unsigned int len)
{
	struct page_note *note = &p->notes[p->next];

	note->len = len;
	note->sum = page_sum(want, len);
	atomic_fetch_add(&note->turn, 1);
	p->next = (p->next + 1) % PAGES_PER_LANE;
}

/* Check all pages: count those with a result, and stale ones */
static inline unsigned int pages_look(struct pages *p, atomic_ulong *stale)
{
	unsigned int held = 0;

	for (unsigned int n = 0; n < PAGES_PER_LANE; n++) {
		held += atomic_load(&p->notes[n].turn) > 1;
		if (page_is_stale(p, n))
			atomic_fetch_add(stale, 1);
	}
	return held;
}

#endif
