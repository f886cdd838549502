// SPDX-License-Identifier: GPL-2.0
/*
 * Anything that userspace can ask of one function of an accelerator, at random,
 * from several threads that know nothing of each other.
 *
 * usage: acc_ops_fuzz OPERATIONS SEED FUNCTION
 *
 * Each answer must be one that the uAPI knows, nothing may hang, and after a reset
 * the function has to go through a save as if nothing had been. What the kernel
 * says of it meanwhile is for its log.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "acc_fuzz.h"

#define THREADS		4
#define FILES		8
#define LONGEST		(2 * IMAGE_END)

enum operation {
	SET_STATE, GET_STATE, DATA_SIZE, PROBE, READ, WRITE, POLL, INFO, RESET,
	CLOSE, LOAD, STORE, OPERATIONS
};

struct worker {
	pthread_t thread;
	uint64_t random;
	unsigned long done[OPERATIONS];
};

static struct device device;
static uint8_t image[IMAGE_END];
static int files[FILES];	/* data files, or -1: whoever takes one out owns it */
static long left;

static int take_file(struct worker *w)
{
	return __atomic_exchange_n(&files[below(&w->random, FILES)], -1, __ATOMIC_ACQ_REL);
}

/* Into a place at random; what lay there is closed */
static void leave_file(struct worker *w, int fd)
{
	fd = __atomic_exchange_n(&files[below(&w->random, FILES)], fd, __ATOMIC_ACQ_REL);
	if (fd >= 0)
		close(fd);
}

static void expect(const char *what, long got, const int *errors, unsigned int count)
{
	if (got >= 0)
		return;
	for (unsigned int i = 0; i < count; i++)
		if (got == -errors[i])
			return;
	printf("not ok %s gives %ld\n", what, got);
	exit(1);
}

#define EXPECT(what, got, ...) do { \
	static const int errors[] = { __VA_ARGS__ }; \
	expect(what, got, errors, ARRAY_SIZE(errors)); \
} while (0)

static void set_state(struct worker *w)
{
	int fd, err = device_set_state(&device, below(&w->random, 10), &fd);

	/* of an image that was refused: what it was refused for */
	EXPECT("SET_STATE", err, EINVAL, EIO, EBUSY, EBADMSG, EPROTONOSUPPORT, EOPNOTSUPP,
	       ERANGE, EPROTO, EFBIG, ENODATA, ESTALE);
	if (fd >= 0)
		leave_file(w, fd);
}

static void write_file(struct worker *w, int fd)
{
	uint8_t bytes[LONGEST] = {};
	unsigned int from = below(&w->random, 4) ? 0 : below(&w->random, IMAGE_END);
	unsigned int length = 1 + below(&w->random, LONGEST);

	memcpy(bytes, image + from, IMAGE_END - from);
	if (!below(&w->random, 3))
		bytes[below(&w->random, LONGEST)] ^= 1 << below(&w->random, 8);
	if (!below(&w->random, 2))
		length = IMAGE_END - from;
	EXPECT("write", send_image(fd, bytes, length), EBADF, ENODEV, EBADMSG, EPROTONOSUPPORT,
	       EOPNOTSUPP, ERANGE, EPROTO, EFBIG);
}

static void read_file(struct worker *w, int fd)
{
	uint8_t bytes[LONGEST];

	EXPECT("read", receive_image(fd, bytes, 1 + below(&w->random, LONGEST)),
	       EBADF, ENODEV, ENOMSG);
}

static void ask_file(int fd)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };

	EXPECT("PRECOPY_INFO", ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info) ? -errno : 0,
	       ENODEV, EINVAL, ENOTTY);
}

static void use_file(struct worker *w, enum operation operation)
{
	int fd = take_file(w);
	struct pollfd ready = { .fd = fd, .events = POLLIN | POLLOUT };

	if (fd < 0)
		return;
	if (operation == READ)
		read_file(w, fd);
	else if (operation == WRITE)
		write_file(w, fd);
	else if (operation == POLL)
		EXPECT("poll", poll(&ready, 1, 0) < 0 ? -errno : 0);
	else if (operation == INFO)
		ask_file(fd);
	if (operation == CLOSE)
		close(fd);
	else
		leave_file(w, fd);
}

static void probe(struct worker *w)
{
	uint64_t value[2];

	EXPECT("FEATURE", device_feature_u64(&device, below(&w->random, 16), value),
	       ENOTTY, EINVAL);
}

static void use_device(struct worker *w, enum operation operation)
{
	uint64_t size;

	if (operation == SET_STATE)
		set_state(w);
	else if (operation == GET_STATE)
		EXPECT("GET_STATE", device_state(&device));
	else if (operation == DATA_SIZE)
		EXPECT("DATA_SIZE",
		       device_feature_u64(&device, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, &size));
	else if (operation == PROBE)
		probe(w);
	else if (operation == RESET)
		EXPECT("RESET", device_reset(&device));
	else if (operation == LOAD)
		device_read(&device, 4 * below(&w->random, BAR2_HALF / 4));
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (__atomic_sub_fetch(&left, 1, __ATOMIC_RELAXED) >= 0) {
		enum operation operation = below(&w->random, OPERATIONS);

		/* 100 ms each */
		if (operation == RESET && below(&w->random, 20))
			operation = SET_STATE;
		w->done[operation]++;
		switch (operation) {
		case READ: case WRITE: case POLL: case INFO: case CLOSE:
			use_file(w, operation);
			break;
		case STORE:	/* doorbells that mean nothing, masks */
			device_write(&device, below(&w->random, 2) ? 0x0c : 0x04,
				     below(&w->random, 2));
			break;
		default:
			use_device(w, operation);
		}
	}
	return NULL;
}

static int usage(const char *name)
{
	fprintf(stderr, "usage: %s OPERATIONS SEED FUNCTION\n", name);
	return 2;
}

static bool saves(struct image_facts *facts)
{
	int fd, length;

	device_guest_up(&device);
	if (device_set_state(&device, STOP_COPY, &fd))
		return false;
	length = receive_image(fd, image, sizeof(image));
	close(fd);
	*facts = image_facts_of(image);
	return length == IMAGE_END && is_image(image, length, facts) &&
	       !device_set_state(&device, RUNNING, NULL);
}

int main(int argc, char **argv)
{
	static struct worker workers[THREADS];
	struct image_facts before, after;
	unsigned long seed, resets = 0;
	char *end;

	if (argc != 4)
		return usage(argv[0]);
	left = strtol(argv[1], &end, 10);
	if (*end || left < 1)
		return usage(argv[0]);
	seed = strtoul(argv[2], &end, 10);
	if (*end)
		return usage(argv[0]);

	setlinebuf(stdout);
	memset(files, -1, sizeof(files));
	device_open(&device, argv[3]);
	if (!saves(&before)) {
		fprintf(stderr, "acc_ops_fuzz: %s gives no image\n", argv[3]);
		return 1;
	}
	for (int i = 0; i < THREADS; i++) {
		workers[i].random = random_of(seed, i);
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		resets += workers[i].done[RESET];
	}
	if (device_reset(&device) || device_state(&device) != RUNNING || !saves(&after) ||
	    memcmp(&before, &after, sizeof(before))) {
		printf("not ok it is not what it was\n");
		return 1;
	}
	printf("ok %s operations, %lu of them resets\n", argv[1], resets);
	device_close(&device);
	return 0;
}
