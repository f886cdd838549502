// SPDX-License-Identifier: GPL-2.0
/*
 * Resets, files that outlive their device, and several hands at once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "hisi_acc_migration_test.h"

#define WRITERS_S	8

/* R10: Catches a state that outlives a reset, a data file that is not dead */
static void reset_everywhere(void)
{
	static const int from[] = {
		RUNNING, STOP, STOP_COPY, RESUMING, RUNNING_P2P, PRE_COPY,
		PRE_COPY_P2P,
	};
	struct device d;
	uint8_t byte = 0;
	int fd;

	device_open(&d, source_bdf);
	for (unsigned int i = 0; i < ARRAY_SIZE(from); i++) {
		device_guest_up(&d);
		if (device_set_state(&d, from[i], &fd) == -EINVAL)
			continue;
		CHECK(device_state(&d), from[i]);
		CHECK(device_reset(&d), 0);
		CHECK(device_state(&d), RUNNING);
		CHECK(device_read(&d, 0x60), 1);
		if (fd < 0)
			continue;
		CHECK(from[i] == RESUMING ? send_image(fd, &byte, 1) :
					    receive_image(fd, &byte, 1), -ENODEV);
		close(fd);
	}
	device_close(&d);
}

/* D12: Catches a waiter who is not told that the file has ended */
static void poll_of_a_dead_file(void)
{
	static const int states[] = { STOP_COPY, RESUMING };
	struct pollfd poll_fd = {};
	struct device d;

	device_open(&d, source_bdf);
	for (int i = 0; i < 2; i++) {
		CHECK(device_set_state(&d, states[i], &poll_fd.fd), 0);
		poll_fd.events = states[i] == RESUMING ? POLLOUT : POLLIN;
		CHECK(poll(&poll_fd, 1, 0), 1);
		CHECK(poll_fd.revents, poll_fd.events);
		CHECK(device_reset(&d), 0);
		CHECK(poll(&poll_fd, 1, 0), 1);
		CHECK(poll_fd.revents & POLLERR, POLLERR);
		close(poll_fd.fd);
	}
	device_close(&d);
}

/* D7, R11: Catches a file that touches a device which is gone, or holds it */
static void file_outlives_device(void)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	uint8_t byte = 0;
	struct device d;
	int out, in, early;

	device_open(&d, source_bdf);
	CHECK(device_set_state(&d, STOP_COPY, &out), 0);
	CHECK(receive_image(out, &byte, 1), 1);
	CHECK(lseek(out, 0, SEEK_SET), -1);
	CHECK(send_image(out, &byte, 1), -EBADF);
	device_close(&d);

	device_open(&d, source_bdf);
	CHECK(device_set_state(&d, PRE_COPY, &early), 0);
	device_close(&d);

	in = begin_resume(&d);
	CHECK(receive_image(in, &byte, 1), -EBADF);
	device_close(&d);

	CHECK(receive_image(out, &byte, 1), -ENODEV);
	CHECK(receive_image(early, &byte, 1), -ENODEV);
	CHECK(ioctl(early, VFIO_MIG_GET_PRECOPY_INFO, &info) ? errno : 0, ENODEV);
	CHECK(send_image(in, &byte, 1), -ENODEV);
}

/* Catches what is left of an earlier user */
static void open_is_a_beginning(void)
{
	struct device d;
	int fd;

	device_open(&d, source_bdf);
	CHECK(device_set_state(&d, RESUMING, &fd), 0);
	device_close(&d);
	device_open(&d, source_bdf);
	CHECK(device_state(&d), RUNNING);
	CHECK(device_set_state(&d, STOP_COPY, NULL), 0);
	device_close(&d);
}

struct reader {
	int fd;
	bool stopped;		/* the function, so what comes now is all */
	size_t bytes;
	pthread_t thread;
};

static void *read_to_the_end(void *arg)
{
	struct reader *r = arg;
	uint8_t bytes[7];
	ssize_t n;

	while ((n = receive_image(r->fd, bytes, sizeof(bytes))) > 0)
		r->bytes += n;
	return NULL;
}

/* D13: Catches a byte that two readers get, or neither */
static void two_readers(void)
{
	struct reader readers[2];
	struct device d;

	device_open(&d, source_bdf);
	device_guest_up(&d);
	for (int round = 0; round < 100; round++) {
		int fd;

		CHECK(device_set_state(&d, STOP_COPY, &fd), 0);
		for (int i = 0; i < 2; i++) {
			readers[i] = (struct reader) { .fd = fd };
			pthread_create(&readers[i].thread, NULL,
				       read_to_the_end, &readers[i]);
		}
		for (int i = 0; i < 2; i++)
			pthread_join(readers[i].thread, NULL);
		CHECK(readers[0].bytes + readers[1].bytes, IMAGE_SIZE);
		close(fd);
		CHECK(device_set_state(&d, STOP, NULL), 0);
	}
	device_close(&d);
}

static void *read_all_the_time(void *arg)
{
	struct reader *r = arg;
	bool last;

	do {
		last = __atomic_load_n(&r->stopped, __ATOMIC_ACQUIRE);
		read_to_the_end(r);
	} while (!last);
	return NULL;
}

/*
 * D13: Catches a reader of pre-copy data that sees half of what a stop adds. What
 * it would see of that is a data race first, which a kernel with KCSAN tells of
 */
static void read_during_stop(void)
{
	struct device d;

	device_open(&d, source_bdf);
	if (!has_state(flags_of(&d), PRE_COPY))
		skip("no PRE_COPY");
	device_guest_up(&d);
	for (int round = 0; round < 100; round++) {
		struct reader r = { 0 };

		CHECK(device_set_state(&d, PRE_COPY, &r.fd), 0);
		pthread_create(&r.thread, NULL, read_all_the_time, &r);
		CHECK(device_set_state(&d, STOP_COPY, NULL), 0);
		__atomic_store_n(&r.stopped, true, __ATOMIC_RELEASE);
		pthread_join(r.thread, NULL);
		CHECK(r.bytes, IMAGE_SIZE);
		close(r.fd);
		CHECK(device_set_state(&d, RUNNING, NULL), 0);
	}
	device_close(&d);
}

struct announcer {
	struct device device;
	uint64_t queues, base;	/* what its first image says */
	unsigned int wrong;
	pthread_t thread;
};

static void *announce_again_and_again(void *arg)
{
	struct announcer *a = arg;
	uint8_t image[IMAGE_SIZE];
	int fd;

	for (int i = 0; i < 300; i++) {
		if (device_set_state(&a->device, PRE_COPY, &fd)) {
			a->wrong++;
			continue;
		}
		a->wrong += receive_image(fd, image, MATCH_SIZE) != MATCH_SIZE ||
			    field(image, 8, 4) != a->queues ||
			    field(image, 20, 4) != a->base;
		close(fd);
		device_set_state(&a->device, RUNNING, NULL);
	}
	return NULL;
}

/* D5: Catches a function that tells of the other's queues */
static void two_at_once(void)
{
	struct announcer both[2] = {};
	uint8_t image[IMAGE_SIZE];
	int fd;

	for (int i = 0; i < 2; i++) {
		device_open(&both[i].device, i ? destination_bdf : source_bdf);
		if (!has_state(flags_of(&both[i].device), PRE_COPY))
			skip("no PRE_COPY");
		CHECK(device_set_state(&both[i].device, PRE_COPY, &fd), 0);
		CHECK(receive_image(fd, image, MATCH_SIZE), MATCH_SIZE);
		both[i].queues = field(image, 8, 4);
		both[i].base = field(image, 20, 4);
		close(fd);
		CHECK(device_set_state(&both[i].device, RUNNING, NULL), 0);
	}
	CHECK(both[0].base != both[1].base, true);
	for (int i = 0; i < 2; i++)
		pthread_create(&both[i].thread, NULL, announce_again_and_again,
			       &both[i]);
	for (int i = 0; i < 2; i++) {
		pthread_join(both[i].thread, NULL);
		CHECK(both[i].wrong, 0);
		device_close(&both[i].device);
	}
}

struct resetter {
	struct device *device;
	int resets;
	bool done;
	pthread_t thread;
};

static void *reset_again_and_again(void *arg)
{
	struct resetter *r = arg;

	for (int i = 0; i < r->resets; i++)
		CHECK(device_reset(r->device), 0);
	__atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* R5: Catches a hang, a state that is a lie, when resets come at any moment */
static void resets_in_between(void)
{
	struct resetter r = { .resets = 30 };
	uint8_t image[IMAGE_SIZE];
	struct device d;
	int fd;

	device_open(&d, source_bdf);
	r.device = &d;
	pthread_create(&r.thread, NULL, reset_again_and_again, &r);
	while (!__atomic_load_n(&r.done, __ATOMIC_ACQUIRE)) {
		if (!device_set_state(&d, PRE_COPY, &fd)) {
			receive_image(fd, image, IMAGE_SIZE);
			device_set_state(&d, STOP_COPY, NULL);
			receive_image(fd, image, IMAGE_SIZE);
			close(fd);
		}
		if (!device_set_state(&d, RESUMING, &fd))
			close(fd);
		device_set_state(&d, RUNNING, NULL);
	}
	pthread_join(r.thread, NULL);
	CHECK(device_reset(&d), 0);
	CHECK(device_state(&d), RUNNING);
	device_close(&d);
}

/*
 * D8: Catches a lock that a reset wants and that is held over a copy: what is
 * written lies in the function's own BAR, where the copy waits for the reset's
 * end. This function may be lost with it: no later test uses it.
 */
static void reset_during_copy(void)
{
	struct resetter r = { .resets = 50 };
	struct device d;
	int fd;

	device_open(&d, destination_bdf);
	r.device = &d;
	pthread_create(&r.thread, NULL, reset_again_and_again, &r);
	while (!__atomic_load_n(&r.done, __ATOMIC_ACQUIRE)) {
		if (device_set_state(&d, RESUMING, &fd))
			continue;
		send_image(fd, (void *)(d.regs + 0x3100), 8);
		close(fd);
	}
	pthread_join(r.thread, NULL);
	CHECK(device_reset(&d), 0);
	CHECK(device_state(&d), RUNNING);
	device_close(&d);
}

struct writer {
	int fd;
	const uint8_t *image;
	int *others;		/* that have not come so far yet */
	ssize_t result;
	pthread_t thread;
};

static void *write_image(void *arg)
{
	struct writer *w = arg;

	__atomic_sub_fetch(w->others, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(w->others, __ATOMIC_ACQUIRE))
		;
	w->result = send_image(w->fd, w->image, IMAGE_SIZE);
	return NULL;
}

/* How many of the writers were told that all of theirs was taken */
static unsigned int taken(const struct writer *writers, unsigned int count)
{
	unsigned int sum = 0;

	for (unsigned int i = 0; i < count; i++)
		sum += writers[i].result == IMAGE_SIZE;
	return sum;
}

/*
 * D1: Catches writers that count together beyond the end: of several that write a
 * whole image at once, one is enough. What they write
 * has to be faulted in each time, so that whoever has the lock is slow; tried
 * until it has gone wrong, or for a time. Memory is overwritten then: no more of
 * it than shows it.
 */
static void two_writers(void)
{
	struct writer writers[4];
	time_t end = time(NULL) + WRITERS_S;
	uint8_t image[IMAGE_SIZE];
	unsigned int passed = 1;
	struct device d;
	int memory;

	make_image(image, true);
	memory = memfd_create("image", MFD_CLOEXEC);
	CHECK(write(memory, image, IMAGE_SIZE), IMAGE_SIZE);
	device_open(&d, source_bdf);
	while (passed == 1 && time(NULL) < end) {
		int fd, others = ARRAY_SIZE(writers);

		CHECK(device_set_state(&d, RESUMING, &fd), 0);
		for (unsigned int i = 0; i < ARRAY_SIZE(writers); i++) {
			writers[i] = (struct writer) {
				.fd = fd,
				.image = mmap(NULL, IMAGE_SIZE, PROT_READ,
					      MAP_PRIVATE, memory, 0),
				.others = &others,
			};
			pthread_create(&writers[i].thread, NULL, write_image,
				       &writers[i]);
		}
		for (unsigned int i = 0; i < ARRAY_SIZE(writers); i++) {
			pthread_join(writers[i].thread, NULL);
			munmap((void *)writers[i].image, IMAGE_SIZE);
		}
		passed = taken(writers, ARRAY_SIZE(writers));
		/* what was refused spoils the session: only a reset ends it then */
		if (device_set_state(&d, STOP, NULL))
			CHECK(device_reset(&d), 0);
		close(fd);
	}
	CHECK(passed, 1);
	device_close(&d);
}

static void reset_physical_function(void)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/physfn/reset",
		 source_bdf);
	file = fopen(path, "w");
	if (!file && errno == ENOENT)
		skip("the physical function cannot be reset");
	CHECK(!file, false);
	if (!file)
		return;
	CHECK(fputs("1", file) < 0, false);
	CHECK(fclose(file), 0);
}

/* D19: Catches garbage saved or run: what was stopped has lost its state since */
static void lost_in_reset_of_all(void)
{
	uint8_t image[IMAGE_SIZE];
	struct device d;
	int fd;

	device_open(&d, source_bdf);
	device_guest_up(&d);
	CHECK(device_set_state(&d, STOP, NULL), 0);
	reset_physical_function();
	/* either says that there is no image, and the guest goes on to notice */
	CHECK(device_set_state(&d, STOP_COPY, &fd) < 0 ||
	      receive_image(fd, image, IMAGE_SIZE) < 0, true);
	CHECK(device_set_state(&d, RUNNING, NULL), 0);
	CHECK(device_read(&d, 0x60), 1);
	close(fd);
	CHECK(device_reset(&d), 0);
	CHECK(device_state(&d), RUNNING);
	device_close(&d);

	/* its command register was reset, too: mastering comes with the open */
	device_open(&d, source_bdf);
	device_guest_up(&d);
	CHECK(device_set_state(&d, STOP_COPY, NULL), 0);
	device_close(&d);
}

/* Run only by name: the driver of the physical function waits and complains */
const struct test alone_tests[] = {
	{ "lost_in_reset_of_all", lost_in_reset_of_all },
	{ }
};

const struct test life_tests[] = {
	{ "reset_everywhere", reset_everywhere },
	{ "poll_of_a_dead_file", poll_of_a_dead_file },
	{ "open_is_a_beginning", open_is_a_beginning },
	{ "two_readers", two_readers },
	{ "read_during_stop", read_during_stop },
	{ "two_at_once", two_at_once },
	{ "resets_in_between", resets_in_between },
	{ "file_outlives_device", file_outlives_device },
	{ "reset_during_copy", reset_during_copy },
	{ "two_writers", two_writers },
	{ }
};
