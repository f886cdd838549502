// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of HiSilicon accelerator functions, as userspace sees it.
 *
 * usage: hisi_acc_migration_test SOURCE DESTINATION
 *
 * Both are functions of one physical function, bound to hisi_acc_vfio_pci. No
 * queue is used: what a guest's driver would set up is set up by the test.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hisi_acc_test_device.h"

static const char *source_bdf, *destination_bdf;
static unsigned int failures;

/* A test goes on after a check that failed: the others may tell why */
#define CHECK(got, want) check(#got, (long)(got), (long)(want), __LINE__)

static void check(const char *what, long got, long want, int line)
{
	if (got == want)
		return;
	printf("# line %d: %s is %ld, not %ld\n", line, what, got, want);
	failures++;
}

/* The image of a function, with or without a driver behind it */
static void make_image(uint8_t *image, bool guest_up)
{
	struct device d;
	int fd;

	device_open(&d, source_bdf);
	if (guest_up)
		device_guest_up(&d);
	CHECK(device_set_state(&d, STOP_COPY, &fd), 0);
	CHECK(receive_image(fd, image, IMAGE_SIZE), IMAGE_SIZE);
	CHECK(receive_image(fd, image, IMAGE_SIZE), 0);
	close(fd);
	device_close(&d);
}

static int begin_resume(struct device *d)
{
	int fd;

	device_open(d, destination_bdf);
	CHECK(device_set_state(d, RESUMING, &fd), 0);
	return fd;
}

static void end_resume(struct device *d, int fd)
{
	close(fd);
	device_close(d);
}

static void window(void)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_BAR2_REGION_INDEX,
	};
	uint32_t flags = VFIO_REGION_INFO_FLAG_READ |
			 VFIO_REGION_INFO_FLAG_WRITE |
			 VFIO_REGION_INFO_FLAG_MMAP;
	struct vfio_device_ioeventfd ioeventfd = {
		.argsz = sizeof(ioeventfd),
		.flags = VFIO_DEVICE_IOEVENTFD_32,
		.fd = -1,
	};
	struct device d;
	uint64_t word = 0;
	void *upper;

	device_open(&d, source_bdf);
	CHECK(ioctl(d.fd, VFIO_DEVICE_GET_REGION_INFO, &info), 0);
	CHECK(info.size, BAR2_HALF);
	CHECK(info.flags & flags, flags);

	CHECK(pread(d.fd, &word, 4, d.bar2 + 0x60), 4);
	CHECK(word, 1);
	CHECK(pread(d.fd, &word, 8, d.bar2 + BAR2_HALF - 4), 4);
	CHECK(pread(d.fd, &word, 4, d.bar2 + BAR2_HALF), -1);
	CHECK(errno, EINVAL);
	CHECK(pwrite(d.fd, &word, 4, d.bar2 + BAR2_HALF), -1);
	CHECK(pwrite(d.fd, &word, 4, d.bar2 + 2 * BAR2_HALF - 4), -1);

	upper = mmap(NULL, BAR2_HALF, PROT_READ, MAP_SHARED, d.fd,
		     d.bar2 + BAR2_HALF);
	CHECK(upper == MAP_FAILED, true);
	upper = mmap(NULL, 2 * BAR2_HALF, PROT_READ, MAP_SHARED, d.fd, d.bar2);
	CHECK(upper == MAP_FAILED, true);

	ioeventfd.offset = d.bar2 + BAR2_HALF;
	CHECK(ioctl(d.fd, VFIO_DEVICE_IOEVENTFD, &ioeventfd), -1);
	device_close(&d);
}

static void states(void)
{
	static const int all[] = { STOP, RUNNING, STOP_COPY, RESUMING };
	struct device d;
	uint64_t value;
	int fd;

	device_open(&d, source_bdf);
	CHECK(device_state(&d), RUNNING);
	CHECK(device_feature_u64(&d, VFIO_DEVICE_FEATURE_MIGRATION, &value), 0);
	CHECK(value, VFIO_MIGRATION_STOP_COPY);

	for (unsigned int i = 0; i < 16; i++) {
		int from = all[i / 4], to = all[i % 4];
		/* nothing was written: there is no way out of RESUMING */
		int want = from == RESUMING && to != RESUMING ? -ENODATA : 0;

		CHECK(device_set_state(&d, from, &fd), 0);
		close(fd);
		CHECK(device_set_state(&d, to, &fd), want);
		CHECK(device_state(&d), want ? from : to);
		CHECK(device_feature_u64(&d, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
					 &value), 0);
		CHECK(value, IMAGE_SIZE);
		close(fd);
		CHECK(device_reset(&d), 0);
	}

	CHECK(device_set_state(&d, VFIO_DEVICE_STATE_ERROR, NULL), -EINVAL);
	CHECK(device_set_state(&d, VFIO_DEVICE_STATE_RUNNING_P2P, NULL), -EINVAL);
	CHECK(device_set_state(&d, 6 /* PRE_COPY */, NULL), -EINVAL);
	CHECK(device_set_state(&d, 99, NULL), -EINVAL);
	device_close(&d);
}

static void guest_not_up(void)
{
	uint8_t image[IMAGE_SIZE], zero[IMAGE_SIZE - MATCH_SIZE] = {};
	struct device d;
	int fd;

	make_image(image, false);
	CHECK(field(image, 24, 4), 1);
	CHECK(memcmp(image + MATCH_SIZE, zero, sizeof(zero)), 0);

	for (int i = 0; i < 2; i++) {
		size_t len = i ? MATCH_SIZE : IMAGE_SIZE;

		fd = begin_resume(&d);
		CHECK(send_image(fd, image, len), len);
		CHECK(device_set_state(&d, RUNNING, NULL), 0);
		CHECK(device_read(&d, 0x60), 1);
		CHECK(device_sqc_table(&d), 0);
		end_resume(&d, fd);
	}
}

static void guest_up(void)
{
	uint8_t image[IMAGE_SIZE], again[IMAGE_SIZE];
	struct device d;
	int fd;

	make_image(image, true);
	CHECK(field(image, 0, 8), 0xaaccfeeddecadede);
	CHECK(field(image, 24, 4), 0);
	CHECK(field(image, 28, 4), 1);
	CHECK(field(image, 68, 4), field(image, 144, 8));
	CHECK(field(image, 96, 4), field(image, 152, 8));

	fd = begin_resume(&d);
	CHECK(send_image(fd, image, IMAGE_SIZE), IMAGE_SIZE);
	CHECK(device_set_state(&d, STOP, NULL), 0);
	CHECK(send_image(fd, image, 1), -ENODEV);
	close(fd);
	CHECK(device_read(&d, 0x60), 0);
	CHECK(device_sqc_table(&d), field(image, 160, 8));

	/* what was loaded is what can be saved */
	CHECK(device_set_state(&d, STOP_COPY, &fd), 0);
	CHECK(receive_image(fd, again, IMAGE_SIZE), IMAGE_SIZE);
	put(again, 20, field(image, 20, 4), 4);
	CHECK(memcmp(image, again, IMAGE_SIZE), 0);
	CHECK(device_set_state(&d, RUNNING, NULL), 0);
	CHECK(receive_image(fd, again, IMAGE_SIZE), -ENODEV);
	end_resume(&d, fd);
}

/* Where an image is cut into writes and reads is nobody's business */
static void pieces(void)
{
	uint8_t image[IMAGE_SIZE], got[IMAGE_SIZE];
	struct device d;
	int fd;

	make_image(image, true);
	device_open(&d, destination_bdf);
	for (unsigned int cut = 0; cut <= IMAGE_SIZE; cut++) {
		CHECK(device_set_state(&d, RESUMING, &fd), 0);
		if (cut == 0)
			for (int i = 0; i < IMAGE_SIZE; i++)
				CHECK(send_image(fd, image + i, 1), 1);
		else
			CHECK(send_image(fd, image, cut), cut);
		if (cut && cut < IMAGE_SIZE) {
			/* too short, which is not the end of it */
			if (cut != MATCH_SIZE)
				CHECK(device_set_state(&d, STOP, NULL),
				      -ENODATA);
			CHECK(send_image(fd, image + cut, IMAGE_SIZE - cut),
			      IMAGE_SIZE - cut);
		}
		CHECK(device_set_state(&d, STOP, NULL), 0);
		close(fd);

		CHECK(device_set_state(&d, STOP_COPY, &fd), 0);
		CHECK(receive_image(fd, got, cut), cut);
		CHECK(receive_image(fd, got + cut, IMAGE_SIZE), IMAGE_SIZE - cut);
		CHECK(memcmp(got + 40, image + 40, IMAGE_SIZE - 40), 0);
		close(fd);
		CHECK(device_set_state(&d, STOP, NULL), 0);
	}
	device_close(&d);
}

static void refusals(void)
{
	static const struct {
		unsigned int offset, size;
		uint64_t value;
		int err;
	} cases[] = {
		{ 0, 8, 0, -EBADMSG },
		{ 0, 1, 0xff, -EBADMSG },
		{ 28, 2, 2, -EPROTONOSUPPORT },
		{ 28, 2, 0, -EPROTONOSUPPORT },
		{ 12, 4, 0x1234, -EXDEV },
		{ 8, 4, 0, -ECHRNG },
		{ 8, 4, 0xffffffff, -ECHRNG },
		{ 16, 4, 0x8000, -EMEDIUMTYPE },
		{ 24, 4, 2, -ERANGE },
		{ 24, 4, 1, -ERANGE },
		{ 32, 4, 1, -EPROTO },
		{ 40, 4, 2, -ERANGE },
		{ 44, 4, 2, -ERANGE },
		{ 48, 4, 2, -ERANGE },
		{ 52, 4, 2, -ERANGE },
		{ 56, 4, 1, -ERANGE },
		{ 60, 4, 3, -ERANGE },
		{ 64, 4, 0xffff, -ERANGE },
		{ 94, 2, 0xffff, -ERANGE },
		{ 68, 4, 0x10001001, -EADDRNOTAVAIL },
		{ 120, 1, 1, -EPROTO },
		{ 143, 1, 1, -EPROTO },
		{ 144, 8, 0, -EADDRNOTAVAIL },
		{ 160, 8, 0, -EADDRNOTAVAIL },
		{ 160, 8, 8, -EADDRNOTAVAIL },
		{ 168, 8, 0, -EADDRNOTAVAIL },
	};
	uint8_t image[IMAGE_SIZE], bad[IMAGE_SIZE];
	struct device d;
	int fd;

	make_image(image, true);
	device_open(&d, destination_bdf);
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		int err = cases[i].err;

		memcpy(bad, image, sizeof(bad));
		put(bad, cases[i].offset, cases[i].value, cases[i].size);
		CHECK(device_set_state(&d, RESUMING, &fd), 0);
		CHECK(send_image(fd, bad, IMAGE_SIZE), err);
		/* nothing that follows can make it good */
		CHECK(send_image(fd, image, IMAGE_SIZE), err);
		CHECK(device_set_state(&d, STOP, NULL), err);
		CHECK(device_set_state(&d, RUNNING, NULL), err);
		CHECK(device_state(&d), RESUMING);
		CHECK(device_sqc_table(&d), 0);
		CHECK(device_reset(&d), 0);
		CHECK(device_state(&d), RUNNING);
		CHECK(send_image(fd, image, IMAGE_SIZE), -ENODEV);
		close(fd);
	}

	CHECK(device_set_state(&d, RESUMING, &fd), 0);
	CHECK(send_image(fd, image, IMAGE_SIZE), IMAGE_SIZE);
	CHECK(send_image(fd, image, 1), -EFBIG);
	CHECK(device_set_state(&d, STOP, NULL), -EFBIG);
	end_resume(&d, fd);
}

/* What older kernels send: another magic, ring addresses right or wrong */
static void version_1(void)
{
	uint8_t image[IMAGE_SIZE];
	struct device d;
	int fd;

	make_image(image, true);
	put(image, 0, 0xcdcdcdcdfeedaacc, 8);
	put(image, 28, 0, 4);
	for (int wrong = 0; wrong < 2; wrong++) {
		if (wrong) {
			put(image, 144, field(image, 64, 8), 8);
			put(image, 152, field(image, 92, 8), 8);
		}
		fd = begin_resume(&d);
		CHECK(send_image(fd, image, IMAGE_SIZE), IMAGE_SIZE);
		CHECK(device_set_state(&d, RUNNING, NULL), 0);
		CHECK(device_sqc_table(&d), field(image, 160, 8));
		end_resume(&d, fd);
	}
}

static void reset_everywhere(void)
{
	static const int from[] = { STOP, STOP_COPY, RESUMING };
	struct pollfd poll_fd = {};
	struct device d;
	uint8_t byte = 0;
	int fd;

	device_open(&d, source_bdf);
	for (unsigned int i = 0; i < 3; i++) {
		device_guest_up(&d);
		CHECK(device_set_state(&d, from[i], &fd), 0);
		CHECK(device_reset(&d), 0);
		CHECK(device_state(&d), RUNNING);
		if (fd < 0)
			continue;
		CHECK(from[i] == STOP_COPY ? receive_image(fd, &byte, 1) :
					     send_image(fd, &byte, 1), -ENODEV);
		poll_fd.fd = fd;
		CHECK(poll(&poll_fd, 1, 0), 1);
		CHECK(poll_fd.revents & POLLERR, POLLERR);
		close(fd);
	}
	device_close(&d);
}

static void file_outlives_device(void)
{
	uint8_t byte = 0;
	struct device d;
	int out, in;

	device_open(&d, source_bdf);
	CHECK(device_set_state(&d, STOP_COPY, &out), 0);
	CHECK(receive_image(out, &byte, 1), 1);
	CHECK(lseek(out, 0, SEEK_SET), -1);
	CHECK(send_image(out, &byte, 1), -EBADF);
	device_close(&d);

	in = begin_resume(&d);
	CHECK(receive_image(in, &byte, 1), -EBADF);
	device_close(&d);
	CHECK(receive_image(out, &byte, 1), -ENODEV);
	CHECK(send_image(in, &byte, 1), -ENODEV);
}

struct writer {
	int fd;
	const uint8_t *image;
	ssize_t result;
	pthread_t thread;
};

static void *write_image(void *arg)
{
	struct writer *w = arg;

	w->result = send_image(w->fd, w->image, IMAGE_SIZE);
	return NULL;
}

/* Of two that write a whole image at once, one is too many */
static void two_writers(void)
{
	struct writer writers[2];
	uint8_t image[IMAGE_SIZE];
	struct device d;

	make_image(image, true);
	device_open(&d, destination_bdf);
	for (int round = 0; round < 200; round++) {
		int fd;

		CHECK(device_set_state(&d, RESUMING, &fd), 0);
		for (int i = 0; i < 2; i++) {
			writers[i] = (struct writer) { .fd = fd,
							.image = image };
			pthread_create(&writers[i].thread, NULL, write_image,
				       &writers[i]);
		}
		for (int i = 0; i < 2; i++)
			pthread_join(writers[i].thread, NULL);
		CHECK(writers[0].result + writers[1].result, IMAGE_SIZE - EFBIG);
		CHECK(device_set_state(&d, STOP, NULL), -EFBIG);
		CHECK(device_reset(&d), 0);
		close(fd);
	}
	device_close(&d);
}

struct resetter {
	struct device *device;
	bool done;
	pthread_t thread;
};

static void *reset_again_and_again(void *arg)
{
	struct resetter *r = arg;

	for (int i = 0; i < 50; i++)
		CHECK(device_reset(r->device), 0);
	__atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/*
 * Resets while images come and go. What is written lies in the function's own
 * BAR, where a reset makes the kernel's copy wait for the reset's end.
 */
static void reset_races(void)
{
	uint8_t image[IMAGE_SIZE];
	struct resetter r = {};
	struct device d;
	int fd;

	device_open(&d, source_bdf);
	r.device = &d;
	pthread_create(&r.thread, NULL, reset_again_and_again, &r);
	alarm(60);
	while (!__atomic_load_n(&r.done, __ATOMIC_ACQUIRE)) {
		if (!device_set_state(&d, RESUMING, &fd)) {
			send_image(fd, (void *)(d.regs + 0x3100), IMAGE_SIZE);
			close(fd);
		}
		if (!device_set_state(&d, STOP_COPY, &fd)) {
			receive_image(fd, image, IMAGE_SIZE);
			close(fd);
		}
	}
	pthread_join(r.thread, NULL);
	alarm(0);
	CHECK(device_reset(&d), 0);
	CHECK(device_state(&d), RUNNING);
	device_close(&d);
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "window", window },
	{ "states", states },
	{ "guest_not_up", guest_not_up },
	{ "guest_up", guest_up },
	{ "pieces", pieces },
	{ "refusals", refusals },
	{ "version_1", version_1 },
	{ "reset_everywhere", reset_everywhere },
	{ "file_outlives_device", file_outlives_device },
	{ "two_writers", two_writers },
	{ "reset_races", reset_races },
};

int main(int argc, char **argv)
{
	unsigned int count = ARRAY_SIZE(tests), failed = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: %s SOURCE DESTINATION\n", argv[0]);
		return 4;	/* to kselftest this is a test that was skipped */
	}
	source_bdf = argv[1];
	destination_bdf = argv[2];
	printf("TAP version 13\n1..%u\n", count);
	for (unsigned int i = 0; i < count; i++) {
		failures = 0;
		tests[i].run();
		printf("%sok %u %s\n", failures ? "not " : "", i + 1,
		       tests[i].name);
		fflush(stdout);
		failed += !!failures;
	}
	printf("# Totals: pass:%u fail:%u\n", count - failed, failed);
	return failed ? 1 : 0;
}
