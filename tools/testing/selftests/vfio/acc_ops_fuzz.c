// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations of userspace on one VF of a HiSilicon accelerator, in several
 * threads that share its migration files.
 *
 * usage: acc_ops_fuzz [OPERATIONS SEED VF]
 *
 * Without arguments, as run_kselftest.sh runs it, a few operations on the VF that
 * VFIO_SELFTESTS_BDF of the environment names.
 *
 * Each result must be one that the uAPI allows, nothing may hang, and after a reset
 * the VF must be saved as before. The kernel log is not checked here.
 */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "acc_fuzz.h"

#define THREADS		4
#define FILES		8
#define FEW		2000
#define LONGEST		(2 * DATA_END)

enum operation {
	SET_STATE, GET_STATE, GET_SIZE, PROBE, READ, WRITE, POLL, INFO, RESET,
	CLOSE, LOAD, STORE, OPERATIONS
};

struct worker {
	pthread_t thread;
	uint64_t random;
	unsigned long done[OPERATIONS];
};

static struct hisi_acc_vf vf;
static uint8_t data[DATA_END];
static int files[FILES];	/* migration files, or -1; a thread owns what it took out */
static long left;

static int take_file(struct worker *w)
{
	return __atomic_exchange_n(&files[below(&w->random, FILES)], -1, __ATOMIC_ACQ_REL);
}

/* Put it in a random slot, and close the file that is there */
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
	printf("not ok %s returns %ld\n", what, got);
	exit(1);
}

#define EXPECT(what, got, ...) do { \
	static const int errors[] = { __VA_ARGS__ }; \
	expect(what, got, errors, ARRAY_SIZE(errors)); \
} while (0)

static void set_state(struct worker *w)
{
	int fd, err = device_set_state(vf.fd, below(&w->random, 10), &fd);

	/* of data that was rejected: the reason */
	EXPECT("SET_STATE", err, EINVAL, EIO, EBUSY, EBADMSG, EPROTONOSUPPORT, EOPNOTSUPP,
	       ERANGE, EPROTO, EFBIG, ENODATA, ESTALE);
	if (fd >= 0)
		leave_file(w, fd);
}

static void write_file(struct worker *w, int fd)
{
	uint8_t bytes[LONGEST] = {};
	unsigned int from = below(&w->random, 4) ? 0 : below(&w->random, DATA_END);
	unsigned int length = 1 + below(&w->random, LONGEST);

	memcpy(bytes, data + from, DATA_END - from);
	if (!below(&w->random, 3))
		bytes[below(&w->random, LONGEST)] ^= 1 << below(&w->random, 8);
	if (!below(&w->random, 2))
		length = DATA_END - from;
	EXPECT("write", data_send(fd, bytes, length), EBADF, ENODEV, EBADMSG, EPROTONOSUPPORT,
	       EOPNOTSUPP, ERANGE, EPROTO, EFBIG);
}

static void read_file(struct worker *w, int fd)
{
	uint8_t bytes[LONGEST];

	EXPECT("read", data_receive(fd, bytes, 1 + below(&w->random, LONGEST)),
	       EBADF, ENODEV, ENOMSG);
}

static void query_file(int fd)
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
		query_file(fd);
	if (operation == CLOSE)
		close(fd);
	else
		leave_file(w, fd);
}

static void probe(struct worker *w)
{
	u64 value = 0;

	EXPECT("FEATURE", device_feature(vf.fd, VFIO_DEVICE_FEATURE_GET | below(&w->random, 16),
					 &value, sizeof(value), FEATURE_HEADER + sizeof(value)),
	       ENOTTY, EINVAL);
}

static void use_device(struct worker *w, enum operation operation)
{
	uint64_t size;

	if (operation == SET_STATE)
		set_state(w);
	else if (operation == GET_STATE)
		EXPECT("GET_STATE", device_get_state(vf.fd));
	else if (operation == GET_SIZE)
		EXPECT("DATA_SIZE", device_data_size(vf.fd, &size));
	else if (operation == PROBE)
		probe(w);
	else if (operation == RESET)
		EXPECT("RESET", device_reset(vf.fd));
	else if (operation == LOAD)
		hisi_acc_guest_read(&vf.guest, 4 * below(&w->random, GUEST_BAR_SIZE / 4));
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
		case STORE:	/* interrupt masks */
			hisi_acc_guest_write(&vf.guest, below(&w->random, 2) ?
					     QM_EQ_INT_MASK : QM_AEQ_INT_MASK,
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
	fprintf(stderr, "usage: %s [OPERATIONS SEED VF]\n", name);
	return 2;
}

static bool saves(struct data_match *match)
{
	int fd, length;

	hisi_acc_guest_up(&vf.guest);
	if (device_set_state(vf.fd, STOP_COPY, &fd))
		return false;
	length = data_receive(fd, data, sizeof(data));
	close(fd);
	*match = data_match_of(data);
	return length == DATA_END && is_valid_data(data, length, match) &&
	       !device_set_state(vf.fd, RUNNING, NULL);
}

static int fuzz(const char *bdf, unsigned long seed)
{
	static struct worker workers[THREADS];
	struct data_match before, after;
	unsigned long resets = 0;
	long operations = left;

	setlinebuf(stdout);
	memset(files, -1, sizeof(files));
	hisi_acc_vf_open(&vf, bdf);
	if (!saves(&before)) {
		fprintf(stderr, "acc_ops_fuzz: %s cannot be saved\n", bdf);
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
	if (device_reset(vf.fd) || device_get_state(vf.fd) != RUNNING || !saves(&after) ||
	    memcmp(&before, &after, sizeof(before))) {
		printf("not ok the VF is not saved as before\n");
		return 1;
	}
	printf("ok %ld operations, %lu of them resets\n", operations, resets);
	hisi_acc_vf_close(&vf);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long seed;
	const char *bdf;
	char *end;

	if (argc == 1) {
		bdf = vfio_selftests_get_bdf(&argc, argv);
		hisi_acc_vf_require(bdf);
		left = FEW;
		return fuzz(bdf, 1);
	}
	if (argc != 4)
		return usage(argv[0]);
	left = strtol(argv[1], &end, 10);
	if (*end || left < 1)
		return usage(argv[0]);
	seed = strtoul(argv[2], &end, 10);
	return *end ? usage(argv[0]) : fuzz(argv[3], seed);
}
