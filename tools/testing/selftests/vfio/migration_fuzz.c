// SPDX-License-Identifier: GPL-2.0
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "migration_fuzz.h"
#include "migration_random.h"

#define THREADS	4
#define FILES	8
#define LONGEST	4096	/* of a read or write */
#define RARELY	20	/* a reset can take 100 ms */
#define FIRST_INTERNAL_ERROR	512	/* ERESTARTSYS */

enum operation {
	SET_STATE, GET_STATE, GET_SIZE, PROBE, READ, WRITE, POLL, INFO, RESET,
	CLOSE, ACCESS, OPERATIONS
};

/* Of all threads */
struct run {
	struct migration_fuzz *fuzz;
	int files[FILES];	/* or -1; a thread owns what it took out */
	long left;
	unsigned long resets;
	bool wrong;
};

struct worker {
	pthread_t thread;
	struct run *run;
	uint64_t random;
};

/*
 * Whether a driver may answer this to data that is not valid, or not all there. The uAPI
 * leaves it to the driver, but for the kernel's internal numbers.
 */
static bool is_rejection(const struct migration_fuzz *fuzz, long got)
{
	const int *error = fuzz->rejections;

	if (!error)
		return got < 0 && got > -FIRST_INTERNAL_ERROR;
	while (*error && got != -*error)
		error++;
	return *error;
}

static void allow(struct run *run, const char *what, long got, const int *errors, size_t count)
{
	if (got >= 0)
		return;
	for (size_t i = 0; i < count; i++)
		if (got == -errors[i])
			return;
	if (!__atomic_exchange_n(&run->wrong, true, __ATOMIC_ACQ_REL))
		snprintf(run->fuzz->wrong, sizeof(run->fuzz->wrong), "%s: %s", what,
			 strerror(-got));
	__atomic_store_n(&run->left, 0, __ATOMIC_RELAXED);
}

#define ALLOW(run, what, got, ...) do { \
	static const int errors[] = { __VA_ARGS__ }; \
	allow(run, what, got, errors, ARRAY_SIZE(errors)); \
} while (0)

static int take_file(struct worker *w)
{
	int *place = &w->run->files[below(&w->random, FILES)];

	return __atomic_exchange_n(place, -1, __ATOMIC_ACQ_REL);
}

/* Put it in a random place, and close the file that is there */
static void leave_file(struct worker *w, int fd)
{
	int *place = &w->run->files[below(&w->random, FILES)];

	fd = __atomic_exchange_n(place, fd, __ATOMIC_ACQ_REL);
	if (fd >= 0)
		close(fd);
}

static void set_state(struct worker *w)
{
	int fd, err = device_set_state(w->run->fuzz->fd, below(&w->random, 10), &fd);

	if (!is_rejection(w->run->fuzz, err))
		ALLOW(w->run, "SET_STATE", err, EINVAL, EIO, EBUSY, ENODATA, ESTALE);
	if (fd >= 0)
		leave_file(w, fd);
}

/* As it is, changed in one bit, with more behind it, without a part at its begin or end */
static void write_file(struct worker *w, int fd)
{
	const struct migration_data *data = w->run->fuzz->data;
	size_t from = below(&w->random, 4) ? 0 : below(&w->random, data->len);
	size_t rest = data->len - from;
	size_t length = below(&w->random, 2) ? rest : 1 + below(&w->random, 2 * rest);
	uint8_t bytes[LONGEST] = {};
	ssize_t sent;

	if (length > LONGEST)
		length = LONGEST;
	memcpy(bytes, data->bytes + from, length < rest ? length : rest);
	if (!below(&w->random, 3))
		bytes[below(&w->random, length)] ^= 1 << below(&w->random, 8);
	sent = data_send(fd, bytes, length);
	if (!is_rejection(w->run->fuzz, sent))
		ALLOW(w->run, "write", sent, EBADF, ENODEV);
}

static void read_file(struct worker *w, int fd)
{
	uint8_t bytes[LONGEST];

	ALLOW(w->run, "read", data_receive(fd, bytes, 1 + below(&w->random, LONGEST)),
	      EBADF, ENODEV, ENOMSG);
}

static void use_file(struct worker *w, enum operation operation)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	struct pollfd ready = { .events = POLLIN | POLLOUT };
	int fd = take_file(w);

	if (fd < 0)
		return;
	ready.fd = fd;
	if (operation == READ)
		read_file(w, fd);
	else if (operation == WRITE)
		write_file(w, fd);
	else if (operation == POLL)
		ALLOW(w->run, "poll", poll(&ready, 1, 0) < 0 ? -errno : 0);
	else if (operation == INFO)
		ALLOW(w->run, "PRECOPY_INFO", migf_precopy_info(fd, &info), ENODEV, EINVAL, ENOTTY);
	if (operation == CLOSE)
		close(fd);
	else
		leave_file(w, fd);
}

static void probe(struct worker *w)
{
	u64 value = 0;

	ALLOW(w->run, "FEATURE", device_feature(w->run->fuzz->fd, VFIO_DEVICE_FEATURE_GET |
						below(&w->random, 16), &value, sizeof(value),
						FEATURE_HEADER + sizeof(value)),
	      ENOTTY, EINVAL);
}

static void use_device(struct worker *w, enum operation operation)
{
	struct migration_fuzz *fuzz = w->run->fuzz;
	uint64_t size;

	switch (operation) {
	case SET_STATE:
		set_state(w);
		break;
	case GET_STATE:
		ALLOW(w->run, "GET_STATE", device_get_state(fuzz->fd));
		break;
	case GET_SIZE:
		ALLOW(w->run, "DATA_SIZE", device_data_size(fuzz->fd, &size));
		break;
	case PROBE:
		probe(w);
		break;
	case RESET:
		ALLOW(w->run, "RESET", device_reset(fuzz->fd));
		__atomic_add_fetch(&w->run->resets, 1, __ATOMIC_RELAXED);
		break;
	default:
		if (fuzz->access)
			fuzz->access(&w->random);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (__atomic_sub_fetch(&w->run->left, 1, __ATOMIC_RELAXED) >= 0) {
		enum operation operation = below(&w->random, OPERATIONS);

		if (operation == RESET && below(&w->random, RARELY))
			operation = SET_STATE;
		switch (operation) {
		case READ: case WRITE: case POLL: case INFO: case CLOSE:
			use_file(w, operation);
			break;
		default:
			use_device(w, operation);
		}
	}
	return NULL;
}

void migration_fuzz_run(struct migration_fuzz *fuzz)
{
	struct run run = { .fuzz = fuzz, .left = fuzz->operations };
	struct worker workers[THREADS];

	memset(run.files, -1, sizeof(run.files));
	for (int i = 0; i < THREADS; i++) {
		workers[i].run = &run;
		workers[i].random = random_of(fuzz->seed, i);
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	for (int i = 0; i < FILES; i++)
		if (run.files[i] >= 0)
			close(run.files[i]);
	fuzz->resets = run.resets;
}
