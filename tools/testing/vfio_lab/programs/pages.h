/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that nobody but a device writes: results stay where the accelerator
 * left them until it writes there again, and are looked at all the time. A page
 * that did not travel with the guest has an older result than it must.
 *
 * One thread per set of pages writes (through the device), another one may look.
 */
#ifndef GUEST_PAGES_H
#define GUEST_PAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PAGE_BYTES	4096
#define PAGES_PER_LANE	20	/* each is used before a lane has had its share of requests */

struct pages {
	struct page_note {
		atomic_uint turn;	/* odd while the device may write */
		atomic_uint told;	/* the turn of which it was said that it is stale */
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

/* Is this page not what the device left there? Each turn is told once. */
static inline bool page_is_stale(struct pages *p, unsigned int n)
{
	struct page_note *note = &p->notes[n];
	unsigned int turn = atomic_load(&note->turn), len = note->len;
	uint64_t sum = note->sum;

	if (!turn || turn & 1 || len > PAGE_BYTES || page_sum(p->bytes[n], len) == sum)
		return false;
	/* the device's turn came while we looked, or another has told */
	return atomic_load(&note->turn) == turn && atomic_exchange(&note->told, turn) != turn;
}

/* The page that the device writes next; @stale counts if it lost the last result */
static inline uint8_t *page_begin(struct pages *p, atomic_ulong *stale)
{
	unsigned int n = p->next;

	if (page_is_stale(p, n))
		atomic_fetch_add(stale, 1);
	/* odd already if the last request for it failed */
	atomic_store(&p->notes[n].turn, (atomic_load(&p->notes[n].turn) + 1) | 1);
	return p->bytes[n];
}

/* The device wrote @len bytes there, which are as @want has them */
static inline void page_end(struct pages *p, const uint8_t *want, unsigned int len)
{
	struct page_note *note = &p->notes[p->next];

	note->len = len;
	note->sum = page_sum(want, len);
	atomic_fetch_add(&note->turn, 1);
	p->next = (p->next + 1) % PAGES_PER_LANE;
}

/* Look at all of them: how many hold a result, and how many of these are stale */
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
