// SPDX-License-Identifier: GPL-2.0
/*
 * Repeats an operation on several VFs in parallel until standard input ends.
 * Prints "going" after the first operation on each VF, and at the end a line for
 * each VF: its address, number of operations, number of failures, the first errno,
 * and the longest time in milliseconds.
 *
 *   reset    VFIO_DEVICE_RESET
 *   flr      the same by config space, as a guest does it
 *   states   RUNNING, STOP_COPY, RUNNING, with a guest driver on the VF
 *   open     open and close
 *   sysfs    the host's file "reset", of a VF that is not open
 *   debugfs  read all debugfs files of an open VF
 *   all      each of these, on one VF after the other
 *   race     a reset by one thread, states and migration files by another
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/wait.h>

#include "vfio_config.h"

static int once_reset(struct device *d)
{
	return device_reset(d->fd);
}

static int once_states(struct device *d)
{
	int fd, err = device_set_state(d->fd, STOP_COPY, &fd);

	if (err)
		return err;
	err = device_set_state(d->fd, RUNNING, NULL);
	close(fd);
	return err;
}

static int once_open(struct device *d)
{
	device_open(d, d->bdf);
	device_close(d);
	return 0;
}

static int once_sysfs(struct device *d)
{
	char path[96];
	int fd, err;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset", d->bdf);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = write(fd, "1", 1) == 1 ? 0 : -errno;
	close(fd);
	return err;
}

static int look(const char *path)
{
	char buf[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC), n;

	if (fd < 0)
		return -errno;
	do
		n = read(fd, buf, sizeof(buf));
	while (n > 0);
	n = n < 0 ? -errno : 0;
	close(fd);
	return n;
}

static int once_debugfs(struct device *d)
{
	char pattern[128];
	glob_t found;
	int err;

	snprintf(pattern, sizeof(pattern), "/sys/kernel/debug/vfio/%s/migration/hisi_acc/*", d->bdf);
	err = glob(pattern, 0, NULL, &found) ? -ENOENT : 0;
	for (size_t i = 0; !err && i < found.gl_pathc; i++)
		err = look(found.gl_pathv[i]);
	globfree(&found);
	return err;
}

static void *reset_thread(void *d)
{
	return (void *)(intptr_t)once_reset(d);
}

/* The results are arbitrary: the reset may end any session */
static void use_files(struct device *d)
{
	uint8_t data[DATA_SIZE];
	int fd, later;

	if (!device_set_state(d->fd, PRE_COPY, &fd)) {
		data_receive(fd, data, sizeof(data));
		if (!device_set_state(d->fd, STOP_COPY, &later) && later >= 0)
			close(later);
		data_receive(fd, data, sizeof(data));
		close(fd);
	}
	if (!device_set_state(d->fd, RESUMING, &fd))
		close(fd);
	device_set_state(d->fd, RUNNING, NULL);
}

static int once_race(struct device *d)
{
	pthread_t thread;
	void *ret;
	int err;

	err = -pthread_create(&thread, NULL, reset_thread, d);
	if (err)
		return err;
	use_files(d);
	pthread_join(thread, &ret);
	err = (intptr_t)ret ?: once_reset(d);
	if (err)
		return err;
	return device_get_state(d->fd) == RUNNING ? 0 : -EPROTO;
}

static const struct kind {
	const char *name;
	int (*once)(struct device *d);
	bool opened;
	bool guest;
} kinds[] = {
	{ "reset", once_reset, true, false },
	{ "flr", config_flr, true, false },
	{ "states", once_states, true, true },
	{ "open", once_open, false, false },
	{ "sysfs", once_sysfs, false, false },
	{ "debugfs", once_debugfs, true, false },
	{ "race", once_race, true, false },
};

/* Number of those of "all", which come first */
#define IN_ALL	6

static bool ended(void)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };

	return poll(&in, 1, 0) > 0;
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void loop(const struct kind *kind, const char *bdf, int going)
{
	struct device d = { .bdf = bdf };
	long long longest = 0;
	int times = 0, failed = 0, first = 0;

	if (kind->opened)
		device_open(&d, bdf);
	if (kind->guest)
		device_guest_up(&d);
	do {
		long long start = now_ms();
		int err = kind->once(&d);

		if (now_ms() - start > longest)
			longest = now_ms() - start;
		if (err && !failed++)
			first = -err;
		if (!times++ && write(going, "", 1) != 1)
			exit(1);
	} while (!ended());
	dprintf(1, "%s %d %d %d %lld\n", bdf, times, failed, first, longest);
	exit(0);
}

static const struct kind *find(const char *name, int number)
{
	if (!strcmp(name, "all"))
		return &kinds[number % IN_ALL];
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	}
	fprintf(stderr, "what is '%s'?\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	int going[2], status, failed = 0;
	char byte;

	if (argc < 3 || pipe(going)) {
		fprintf(stderr, "usage: vfio_loop WHAT ADDRESS...\n");
		return 2;
	}
	for (int i = 2; i < argc; i++) {
		const struct kind *kind = find(argv[1], i - 2);

		if (!fork()) {
			close(going[0]);
			loop(kind, argv[i], going[1]);
		}
	}
	close(going[1]);
	for (int i = 2; i < argc; i++) {
		if (read(going[0], &byte, 1) != 1)
			return 1;
	}
	dprintf(1, "going\n");
	while (wait(&status) > 0)
		failed |= status;
	return failed ? 1 : 0;
}
