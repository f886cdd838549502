// SPDX-License-Identifier: GPL-2.0
/*
 * How long a driver takes over a migration, arc by arc, and how that grows with
 * the number of functions.
 *
 * usage: acc_migration_bench pair ROUNDS SOURCE DESTINATION
 *        acc_migration_bench walk SOURCE DESTINATION
 *        acc_migration_bench many ROUNDS SOURCE...
 *        acc_migration_bench hold SOURCE...
 *
 * All are functions of accelerators, bound to the driver under test. What a
 * guest's driver would set up is set up here; no request is under way. Runs on
 * hardware as it does in the lab.
 *
 * pair: saves and restores in turn, each function reset before each. A line for
 * each step:
 *     way arc round nanoseconds cpu-nanoseconds sleeps
 * where way is stop-copy or pre-copy for a save and load for a restore, cpu is
 * this thread's, and a sleep is a voluntary switch to another task. A way that
 * the driver could not go to its end is one line:
 *     way failed round errno
 * A driver may look at more at the first restore after a function was bound or
 * opened than at later ones. A migration's is the first: round 0 of a function
 * just bound.
 *
 * walk: one such round, but before each step it says which comes, after it that
 * it is done, and waits for a line of input each time, so that somebody can look
 * at the device.
 *
 * many: each round saves all functions one after another, then all at once in a
 * thread each, and lets them run again. A line for each:
 *     serial|parallel round wall cpu slowest quickest failed
 * the times in nanoseconds: of all together, of all threads' processors, of
 * single functions; and how many could not be saved.
 *
 * hold: says its process id, opens the functions, saves them, keeping the data
 * files, and says how large an image is. It waits for a line of input after each,
 * so that somebody can look at the kernel's memory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "hisi_acc_test_device.h"

#define MAX_FUNCTIONS	64
#define MAX_STEPS	8

struct moment {
	long long wall;
	long long cpu;
	long sleeps;
};

struct step {
	const char *way;
	const char *arc;
	struct moment start;
	struct moment took;
};

static bool walking;
static int round_number;
static struct step way_so_far[MAX_STEPS];
static int steps_so_far;

static long long clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static struct moment now(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return (struct moment) {
		.wall = clock_ns(CLOCK_MONOTONIC),
		.cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID),
		.sleeps = usage.ru_nvcsw,
	};
}

static void wait_for_line(const char *what)
{
	char line[16];

	printf("%s\n", what);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(0);
}

static struct step begin(const char *way, const char *arc)
{
	char what[64];

	if (walking) {
		snprintf(what, sizeof(what), "%s %s", way, arc);
		wait_for_line(what);
	}
	return (struct step) { .way = way, .arc = arc, .start = now() };
}

static void end(struct step *s)
{
	struct moment t = now();

	if (walking) {
		wait_for_line("done");
		return;
	}
	s->took = (struct moment) {
		.wall = t.wall - s->start.wall,
		.cpu = t.cpu - s->start.cpu,
		.sleeps = t.sleeps - s->start.sleeps,
	};
	way_so_far[steps_so_far++] = *s;
}

/* A way counts as a whole, or not at all */
static void tell_way(const char *way, int err)
{
	if (err)
		printf("%s failed %d %d\n", way, round_number, -err);
	for (int i = 0; i < steps_so_far && !err; i++) {
		const struct step *s = &way_so_far[i];

		printf("%s %s %d %lld %lld %ld\n", s->way, s->arc,
		       round_number, s->took.wall, s->took.cpu,
		       s->took.sleeps);
	}
	steps_so_far = 0;
}

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "acc_migration_bench: %s\n", what);
	exit(1);
}

/* One arc, timed; the data file, if one comes, goes to *fd */
static int arc(struct device *d, const char *way, const char *name, int state,
	       int *fd)
{
	struct step s = begin(way, name);
	int err = device_set_state(d, state, fd);

	end(&s);
	return err;
}

static size_t drain(int fd, uint8_t *image, size_t have)
{
	ssize_t n;

	while (have < IMAGE_SIZE) {
		n = receive_image(fd, image + have, IMAGE_SIZE - have);
		if (n <= 0)
			break;
		have += n;
	}
	return have;
}

static void start_again(struct device *d, bool guest_up)
{
	must(!device_reset(d), "a reset");
	if (guest_up)
		device_guest_up(d);
}

static int begin_early(struct device *d, uint8_t *image, int *fd, size_t *have)
{
	struct step s;
	int err, later;

	err = arc(d, "pre-copy", "start", PRE_COPY, fd);
	if (err)
		return err;
	s = begin("pre-copy", "read-early");
	*have = drain(*fd, image, 0);
	end(&s);
	err = arc(d, "pre-copy", "save", STOP_COPY, &later);
	if (!err && later >= 0 && later != *fd)
		close(later);
	return err;
}

static int save(struct device *d, bool precopy, uint8_t *image)
{
	const char *way = precopy ? "pre-copy" : "stop-copy";
	size_t have = 0;
	struct step s;
	int err, fd = -1;

	start_again(d, true);
	if (precopy)
		err = begin_early(d, image, &fd, &have);
	else
		err = arc(d, way, "stop", STOP, NULL) ?:
		      arc(d, way, "save", STOP_COPY, &fd);
	if (!err) {
		s = begin(way, "read");
		have = drain(fd, image, have);
		end(&s);
		must(have == IMAGE_SIZE, "an image of another size");
		err = arc(d, way, "leave", STOP, NULL);
	}
	if (fd >= 0)
		close(fd);
	tell_way(way, err);
	return err;
}

static int restore(struct device *d, const uint8_t *image)
{
	struct step s;
	int err, fd = -1;

	start_again(d, false);
	err = arc(d, "load", "begin", RESUMING, &fd);
	if (!err) {
		s = begin("load", "write");
		err = send_image(fd, image, IMAGE_SIZE) == IMAGE_SIZE ? 0 :
								       -EIO;
		end(&s);
	}
	if (!err)
		err = arc(d, "load", "load", STOP, NULL) ?:
		      arc(d, "load", "restart", RUNNING, NULL);
	if (fd >= 0)
		close(fd);
	tell_way("load", err);
	return err;
}

static int pair(int rounds, const char *source, const char *destination)
{
	struct device from, to;
	uint8_t image[IMAGE_SIZE];
	int failed = 0;

	device_open(&from, source);
	device_open(&to, destination);
	for (round_number = 0; round_number < rounds; round_number++) {
		bool saved = !save(&from, false, image);

		saved |= !save(&from, true, image);
		failed += !saved || restore(&to, image);
	}
	device_close(&from);
	device_close(&to);
	must(failed < rounds, "no round came to its end");
	return 0;
}

struct job {
	struct device device;
	pthread_barrier_t *line;
	long long start;
	long long end;
	long long cpu;
	int err;
};

/* Everything that a guest waits for: stop, save and the whole image */
static void *save_one(void *argument)
{
	uint8_t image[IMAGE_SIZE];
	struct job *job = argument;
	int fd = -1;

	if (job->line)
		pthread_barrier_wait(job->line);
	job->start = clock_ns(CLOCK_MONOTONIC);
	job->cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	job->err = device_set_state(&job->device, STOP_COPY, &fd);
	if (!job->err)
		must(drain(fd, image, 0) == IMAGE_SIZE,
		     "an image of another size");
	job->cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - job->cpu;
	job->end = clock_ns(CLOCK_MONOTONIC);
	if (fd >= 0)
		close(fd);
	return NULL;
}

static void all_again(struct job *jobs, int count)
{
	for (int i = 0; i < count; i++)
		if (jobs[i].err ||
		    device_set_state(&jobs[i].device, RUNNING, NULL))
			start_again(&jobs[i].device, true);
}

static void tell_round(const char *how, const struct job *jobs, int count)
{
	long long start = jobs[0].start, end = jobs[0].end, cpu = 0;
	long long slowest = 0, quickest = jobs[0].end - jobs[0].start;
	int failed = 0;

	for (int i = 0; i < count; i++) {
		long long took = jobs[i].end - jobs[i].start;

		start = jobs[i].start < start ? jobs[i].start : start;
		end = jobs[i].end > end ? jobs[i].end : end;
		slowest = took > slowest ? took : slowest;
		quickest = took < quickest ? took : quickest;
		cpu += jobs[i].cpu;
		failed += !!jobs[i].err;
	}
	printf("%s %d %lld %lld %lld %lld %d\n", how, round_number, end - start,
	       cpu, slowest, quickest, failed);
}

static void one_after_another(struct job *jobs, int count)
{
	for (int i = 0; i < count; i++) {
		jobs[i].line = NULL;
		save_one(&jobs[i]);
	}
	tell_round("serial", jobs, count);
	all_again(jobs, count);
}

static void all_at_once(struct job *jobs, int count)
{
	pthread_t threads[MAX_FUNCTIONS];
	pthread_barrier_t line;

	pthread_barrier_init(&line, NULL, count);
	for (int i = 0; i < count; i++) {
		jobs[i].line = &line;
		must(!pthread_create(&threads[i], NULL, save_one, &jobs[i]),
		     "a thread");
	}
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&line);
	tell_round("parallel", jobs, count);
	all_again(jobs, count);
}

static int many(int rounds, char **names, int count)
{
	static struct job jobs[MAX_FUNCTIONS];

	for (int i = 0; i < count; i++) {
		device_open(&jobs[i].device, names[i]);
		start_again(&jobs[i].device, true);
	}
	for (round_number = 0; round_number < rounds; round_number++) {
		one_after_another(jobs, count);
		all_at_once(jobs, count);
	}
	for (int i = 0; i < count; i++)
		device_close(&jobs[i].device);
	return 0;
}

static int hold(char **names, int count)
{
	static struct device devices[MAX_FUNCTIONS];
	uint8_t image[IMAGE_SIZE + 1];
	int fds[MAX_FUNCTIONS];
	ssize_t size = 0;
	char said[32];

	snprintf(said, sizeof(said), "closed %d", getpid());
	wait_for_line(said);
	for (int i = 0; i < count; i++)
		device_open(&devices[i], names[i]);
	wait_for_line("open 0");
	for (int i = 0; i < count; i++) {
		device_guest_up(&devices[i]);
		must(!device_set_state(&devices[i], STOP_COPY, &fds[i]),
		     "a save");
		size = receive_image(fds[i], image, sizeof(image));
	}
	snprintf(said, sizeof(said), "saved %zd", size);
	wait_for_line(said);
	for (int i = 0; i < count; i++) {
		close(fds[i]);
		device_close(&devices[i]);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int rounds = argc > 2 ? atoi(argv[2]) : 0;

	if (!strcmp(what, "pair") && argc == 5 && rounds > 0)
		return pair(rounds, argv[3], argv[4]);
	if (!strcmp(what, "walk") && argc == 4) {
		walking = true;
		return pair(1, argv[2], argv[3]);
	}
	if (!strcmp(what, "many") && argc > 3 && argc - 3 <= MAX_FUNCTIONS &&
	    rounds > 0)
		return many(rounds, argv + 3, argc - 3);
	if (!strcmp(what, "hold") && argc > 2 && argc - 2 <= MAX_FUNCTIONS)
		return hold(argv + 2, argc - 2);
	fprintf(stderr,
		"usage: acc_migration_bench pair ROUNDS SOURCE DESTINATION\n"
		"       acc_migration_bench walk SOURCE DESTINATION\n"
		"       acc_migration_bench many ROUNDS SOURCE...\n"
		"       acc_migration_bench hold SOURCE...\n");
	return 2;
}
