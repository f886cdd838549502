// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty bitmap of an IOMMU is what devices wrote: not less, which a migration
 * would lose, and not more.
 *
 *   vfio_iommu_dirty_test [-r ROUNDS] [-s SEED] ADDRESS...
 *
 * The devices at these PCI addresses, bound to a VFIO driver, access memory through
 * one page table of iommufd. Supported ones are in vfio_iommu_dirty_kinds.c.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "migration_random.h"
#include "vfio_iommu_dirty.h"

#define KSFT_SKIP	4

/* Neither the first nor the last word of its bitmap is whole */
#define PAGES		1000u
#define ARENA		0x10003000ull
#define WORDS		DIRTY_WORDS(PAGES)

#define BLOCK		(2u << 20)
#define BLOCKS		3u
#define BLOCK_IOVA	0x40000000ull
#define READ_ONLY_IOVA	0x60000000ull
#define LATE_IOVA	0x70000000ull

#define CAP_DIRTY_TRACKING	(1 << 0)

static struct space space;
static struct device devices[MAX_DEVICES];
static unsigned int n_devices, rounds = 8;
static uint64_t seed = 1;
static uint8_t *arena;
/* The next bitmap, as expected */
static uint64_t expected[WORDS];
static _Atomic unsigned long writes, bitmaps;

__attribute__((format(printf, 1, 2)))
static bool no(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("# ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	return false;
}

static bool bit(const uint64_t *bitmap, unsigned int n)
{
	return bitmap[n / 64] >> n % 64 & 1;
}

/* A device writes at a place of the arena; the pages are entered in @bitmap */
static bool write_at(struct device *d, uint64_t offset, size_t len, uint64_t *bitmap)
{
	static _Atomic uint64_t last;
	uint64_t mark = ++last << 32 | 0xa5a5a5a5;
	size_t done;

	memcpy(arena + offset, &mark, sizeof(mark));
	done = device_write(d, ARENA + offset, len);
	if (!memcmp(arena + offset, &mark, sizeof(mark)))
		return no("%s wrote nothing at %#llx", d->kind->name, (long long)offset);
	for (uint64_t page = offset / DIRTY_PAGE; page <= (offset + done - 1) / DIRTY_PAGE; page++)
		__atomic_fetch_or(&bitmap[page / 64], 1ull << page % 64, __ATOMIC_RELAXED);
	writes++;
	return true;
}

static bool write_page(unsigned int page)
{
	return write_at(&devices[page % n_devices], (uint64_t)page * DIRTY_PAGE + 64, 16, expected);
}

static bool same(const uint64_t *found, const uint64_t *wanted, unsigned int first,
		 unsigned int count)
{
	for (unsigned int n = 0; n < count; n++) {
		if (bit(found, n) != bit(wanted, first + n))
			return no("page %u is %s", first + n,
				  bit(found, n) ? "dirty, and was not written" :
						  "not dirty, but was written");
	}
	return true;
}

/* Reads the bitmap of some pages and compares; what is read is clean again */
static bool sync_range(unsigned int first, unsigned int count, bool keep)
{
	uint64_t found[WORDS] = {};
	int err = space_dirty(&space, ARENA + (uint64_t)first * DIRTY_PAGE,
			      (uint64_t)count * DIRTY_PAGE, DIRTY_PAGE, keep, found);

	bitmaps++;
	if (err)
		return no("the bitmap cannot be read: %s", strerror(-err));
	if (!same(found, expected, first, count))
		return false;
	for (unsigned int n = first; !keep && n < first + count; n++)
		expected[n / 64] &= ~(1ull << n % 64);
	return true;
}

static bool sync_all(void)
{
	return sync_range(0, PAGES, false);
}

static bool clean_when_tracking_starts(void)
{
	return sync_all();
}

static bool first_write(void)
{
	return write_page(0) && write_page(63) && write_page(64) && write_page(500) &&
	       write_page(PAGES - 1) && sync_all();
}

static bool clean_when_read(void)
{
	return write_page(7) && sync_all() && sync_all();
}

static bool dirty_again_when_rewritten(void)
{
	for (int i = 0; i < 4; i++) {
		if (!write_page(7) || !write_page(8) || !sync_all())
			return false;
	}
	return true;
}

static bool kept_on_demand(void)
{
	return write_page(9) && sync_range(0, PAGES, true) && sync_range(0, PAGES, true) &&
	       write_page(10) && sync_range(0, PAGES, true) && sync_all() && sync_all();
}

static bool reads_leave_it_clean(void)
{
	for (unsigned int page = 20; page < 40; page++)
		device_read(&devices[page % n_devices], ARENA + page * DIRTY_PAGE, 16);
	return sync_all() && write_page(25) && sync_all();
}

/* Each side of a border, and across it */
static bool borders(void)
{
	for (unsigned int i = 0; i < n_devices; i++) {
		uint64_t border = (100 + 10 * i) * DIRTY_PAGE;

		if (!write_at(&devices[i], border, 16, expected) || !sync_all() ||
		    !write_at(&devices[i], border - 16, 16, expected) || !sync_all() ||
		    !write_at(&devices[i], border + DIRTY_PAGE - 512, 512, expected) || !sync_all())
			return false;
	}
	return true;
}

static bool some_pages_of_many(void)
{
	for (unsigned int page = 200; page < 330; page += 3) {
		if (!write_page(page))
			return false;
	}
	return sync_range(210, 5, false) && sync_range(190, 30, false) &&
	       sync_range(255, 66, false) && sync_all();
}

static bool off_and_on(void)
{
	/* Writes without tracking are not in the bitmap when tracking starts again */
	if (space_track(&space, false) || !write_page(40) || space_track(&space, true))
		return no("tracking cannot be switched");
	memset(expected, 0, sizeof(expected));
	return sync_all() && write_page(41) && sync_all();
}

/* All of a mapping that is added during tracking is dirty */
static bool mapped_late(void)
{
	uint64_t found = 0;
	int err = space_map(&space, arena, 8 * DIRTY_PAGE, LATE_IOVA, true) ?:
		  space_dirty(&space, LATE_IOVA, 8 * DIRTY_PAGE, DIRTY_PAGE, false, &found);

	if (err || found != 0xff)
		return no("a new mapping: %s, bitmap %#llx", strerror(-err), (long long)found);
	found = 0;
	device_write(&devices[0], LATE_IOVA + 3 * DIRTY_PAGE, 16);
	err = space_dirty(&space, LATE_IOVA, 8 * DIRTY_PAGE, DIRTY_PAGE, false, &found) ?:
	      space_unmap(&space, LATE_IOVA, 8 * DIRTY_PAGE);
	if (err || found != 1 << 3)
		return no("after a write: %s, bitmap %#llx", strerror(-err), (long long)found);
	/* the same memory by its other address: nothing was written there */
	return sync_all();
}

static bool read_only(void)
{
	uint64_t found = 0;
	const uint64_t mark = 0xa5a5a5a5a5a5a5a5, *memory = (void *)arena;
	int err;

	/* QEMU's virtio stops the device as broken */
	if (devices[0].kind == &virtio_blk_kind)
		return true;
	memcpy(arena, &mark, sizeof(mark));
	err = space_map(&space, arena, DIRTY_PAGE, READ_ONLY_IOVA, false);
	if (err)
		return no("map: %s", strerror(-err));
	device_write(&devices[0], READ_ONLY_IOVA, 16);
	err = space_dirty(&space, READ_ONLY_IOVA, DIRTY_PAGE, DIRTY_PAGE, false, &found) ?:
	      space_unmap(&space, READ_ONLY_IOVA, DIRTY_PAGE);
	if (err || found || *memory != mark)
		return no("%s, bitmap %#llx, memory %s", strerror(-err), (long long)found,
			  *memory == mark ? "as before" : "written");
	return sync_all();
}

static bool block_is_dirty_as_a_whole(void)
{
	uint64_t found[BLOCKS][BLOCK / DIRTY_PAGE / 64] = {}, large = 0;
	bool good = true;
	int sock, err;
	void *va = contiguous_memory(BLOCKS, BLOCK, &sock);

	if (!va)
		return no("no contiguous memory: %s", strerror(errno));
	err = space_map(&space, va, BLOCKS * BLOCK, BLOCK_IOVA, true) ?:
	      space_track(&space, false) ?: space_track(&space, true);
	if (err)
		return no("map: %s", strerror(-err));
	for (unsigned int i = 0; i < n_devices && good; i++) {
		memset(found, 0, sizeof(found));
		device_write(&devices[i], BLOCK_IOVA + BLOCK + (77 + i) * DIRTY_PAGE, 16);
		err = space_dirty(&space, BLOCK_IOVA, BLOCKS * BLOCK, DIRTY_PAGE, false, found[0]);
		for (unsigned int n = 0; n < BLOCKS * BLOCK / DIRTY_PAGE && good; n++) {
			bool wanted = n / (BLOCK / DIRTY_PAGE) == 1;

			if (err || bit(found[0], n) != wanted)
				good = no("%s, page %u is %sdirty", strerror(-err), n,
					  wanted ? "not " : "");
		}
		device_write(&devices[i], BLOCK_IOVA + 2 * BLOCK, 16);
		large = 0;
		err = space_dirty(&space, BLOCK_IOVA, BLOCKS * BLOCK, BLOCK, false, &large);
		if (good && (err || large != 1 << 2))
			good = no("%s, blocks %#llx", strerror(-err), (long long)large);
	}
	space_unmap(&space, BLOCK_IOVA, BLOCKS * BLOCK);
	munmap(va, BLOCKS * BLOCK);
	close(sock);
	return good && sync_all();
}

/* Threads read the bitmap while devices write: each bit goes to one of them, once */
struct crowd {
	atomic_bool over;
	atomic_int errors;
	uint64_t seen[WORDS], written[WORDS];
};

struct writer {
	struct crowd *crowd;
	struct device *device;
	uint64_t random;
	pthread_t thread;
};

static void *read_all_the_time(void *arg)
{
	struct crowd *crowd = arg;
	bool last;

	do {
		uint64_t found[WORDS] = {};

		last = crowd->over;
		if (space_dirty(&space, ARENA, (uint64_t)PAGES * DIRTY_PAGE, DIRTY_PAGE,
				false, found))
			crowd->errors++;
		for (unsigned int i = 0; i < WORDS; i++)
			__atomic_fetch_or(&crowd->seen[i], found[i], __ATOMIC_RELAXED);
		bitmaps++;
	} while (!last);
	return NULL;
}

static void *write_some(void *arg)
{
	struct writer *w = arg;

	/* each in pages of its own, so that it can see what it wrote */
	for (unsigned int i = 0; i < 40; i++) {
		uint64_t page = below(&w->random, PAGES / MAX_DEVICES) * MAX_DEVICES +
				(w->device - devices);

		if (!write_at(w->device, page * DIRTY_PAGE + 1024, 16, w->crowd->written))
			w->crowd->errors++;
	}
	return NULL;
}

static bool readers_and_writers_at_once(void)
{
	for (unsigned int round = 0; round < rounds; round++) {
		struct crowd crowd = {};
		struct writer writers[MAX_DEVICES];
		pthread_t readers[2];

		for (unsigned int i = 0; i < 2; i++)
			pthread_create(&readers[i], NULL, read_all_the_time, &crowd);
		for (unsigned int i = 0; i < n_devices; i++) {
			writers[i] = (struct writer) { &crowd, &devices[i],
						       seed + 97 * round + i, 0 };
			pthread_create(&writers[i].thread, NULL, write_some, &writers[i]);
		}
		for (unsigned int i = 0; i < n_devices; i++)
			pthread_join(writers[i].thread, NULL);
		crowd.over = true;
		for (unsigned int i = 0; i < 2; i++)
			pthread_join(readers[i], NULL);
		if (crowd.errors || !same(crowd.seen, crowd.written, 0, PAGES))
			return no("round %u, %d errors", round, crowd.errors);
		if (!sync_all())
			return no("round %u: left behind", round);
	}
	return true;
}

static bool random_round(uint64_t *random)
{
	unsigned int count = 1 + below(random, 40);

	for (unsigned int i = 0; i < count; i++) {
		struct device *d = &devices[below(random, n_devices)];
		uint64_t offset = below(random, (PAGES - 1) * DIRTY_PAGE);

		if (below(random, 4) == 0)
			offset = offset / DIRTY_PAGE * DIRTY_PAGE + DIRTY_PAGE - 16;
		if (d->kind != &virtio_blk_kind)
			offset &= ~3ull;
		if (below(random, 3) == 0)
			device_read(d, ARENA + offset, 16);
		else if (!write_at(d, offset, 16, expected))
			return false;
	}
	if (below(random, 3) == 0 && !sync_range(0, PAGES, true))
		return false;
	if (below(random, 3) == 0) {
		unsigned int first = below(random, PAGES);

		return sync_range(first, 1 + below(random, PAGES - first), false);
	}
	return sync_all();
}

static bool random_rounds(void)
{
	uint64_t random = seed * 0x9e3779b97f4a7c15ull;

	for (unsigned int round = 0; round < rounds * 4; round++) {
		if (!random_round(&random))
			return no("round %u", round);
	}
	return sync_all();
}

static const struct test {
	const char *name;
	bool (*run)(void);
} tests[] = {
#define TEST(name) { #name, name }
	TEST(clean_when_tracking_starts),
	TEST(first_write),
	TEST(clean_when_read),
	TEST(dirty_again_when_rewritten),
	TEST(kept_on_demand),
	TEST(reads_leave_it_clean),
	TEST(borders),
	TEST(some_pages_of_many),
	TEST(off_and_on),
	TEST(mapped_late),
	TEST(read_only),
	TEST(block_is_dirty_as_a_whole),
	TEST(readers_and_writers_at_once),
	TEST(random_rounds),
};

#define N_TESTS (sizeof(tests) / sizeof(tests[0]))

static int skip(const char *why)
{
	printf("1..0 # SKIP %s\n", why);
	return KSFT_SKIP;
}

/* Open what the tests share; returns 0, or an exit status */
static int set_up(char **addresses)
{
	uint64_t capabilities;
	int err = space_open(&space);

	if (err)
		return skip("this kernel has no IOMMUFD: no /dev/iommu");
	arena = mmap(NULL, (size_t)PAGES * DIRTY_PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (unsigned int i = 0; i < n_devices; i++)
		device_open(&devices[i], &space, addresses[i]);
	err = space_capabilities(&space, devices[0].id, &capabilities);
	if (err)
		die(&devices[0], "the capabilities of its IOMMU: %s", strerror(-err));
	if (!(capabilities & CAP_DIRTY_TRACKING))
		return skip("this IOMMU does not track dirty pages");
	err = space_map(&space, arena, (uint64_t)PAGES * DIRTY_PAGE, ARENA, true) ?:
	      space_make_table(&space, devices[0].id);
	if (err)
		die(&devices[0], "no page table that tracks: %s", strerror(-err));
	for (unsigned int i = 0; i < n_devices; i++) {
		err = device_attach(&devices[i], space.table);
		if (err)
			die(&devices[i], "cannot be attached: %s", strerror(-err));
		device_start(&devices[i]);
	}
	err = space_track(&space, true);
	if (err)
		die(&devices[0], "tracking cannot start: %s", strerror(-err));
	return 0;
}

int main(int argc, char **argv)
{
	unsigned int failed = 0;
	int option, status;

	while ((option = getopt(argc, argv, "r:s:")) != -1) {
		if (option == 'r')
			rounds = strtoul(optarg, NULL, 10);
		else if (option == 's')
			seed = strtoull(optarg, NULL, 10);
		else
			optind = argc;
	}
	n_devices = argc - optind;
	if (!n_devices || n_devices > MAX_DEVICES || !rounds || !seed) {
		fprintf(stderr, "usage: vfio_iommu_dirty_test [-r ROUNDS] [-s SEED] ADDRESS...\n");
		return KSFT_SKIP;
	}
	setbuf(stdout, NULL);
	printf("TAP version 13\n");
	status = set_up(argv + optind);
	if (status)
		return status;
	printf("1..%zu\n", N_TESTS);
	for (size_t i = 0; i < N_TESTS; i++) {
		bool good = tests[i].run();

		failed += !good;
		printf("%sok %zu %s\n", good ? "" : "not ", i + 1, tests[i].name);
		/* The next one starts with nothing dirty */
		memset(expected, 0, sizeof(expected));
		space_track(&space, false);
		space_track(&space, true);
	}
	printf("# Totals: pass:%zu fail:%u\n", N_TESTS - failed, failed);
	printf("# seed %llu, %lu writes, %lu bitmaps\n", (unsigned long long)seed, writes, bitmaps);
	for (unsigned int i = 0; i < n_devices; i++)
		device_close(&devices[i]);
	space_close(&space);
	return failed ? 1 : 0;
}
