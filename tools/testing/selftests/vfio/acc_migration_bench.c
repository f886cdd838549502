// SPDX-License-Identifier: GPL-2.0
/*
 * How long a driver takes over a migration, arc by arc, and how that grows with
 * the number of functions.
 *
 * usage: acc_migration_bench pair ROUNDS SOURCE DESTINATION
 *        acc_migration_bench walk SOURCE DESTINATION
 *        acc_migration_bench many ROUNDS SOURCE...
 *        acc_migration_bench hold open|file SOURCE...
 *
 * All are functions of accelerators, bound to the driver under test; each is
 * reset before each round. What a guest's driver would set up is set up here; no
 * request is under way. Runs on hardware as it does in the lab.
 *
 * pair: saves and restores in turn. A line for each step:
 *     way arc round nanoseconds cpu-nanoseconds sleeps
 * where way is stop-copy or pre-copy for a save and load for a restore, cpu is
 * this thread's, and a sleep is a voluntary switch to another task.
 *
 * walk: one such round, but before each step it says which comes, after it that
 * it is done, and waits for a line of input each time, so that somebody can look
 * at the device.
 *
 * many: each round saves all functions one after another, then all at once in a
 * thread each. A line for each: serial|parallel round wall cpu slowest shortest,
 * all in nanoseconds: of all together, and of single functions.
 *
 * hold: opens the functions, or opens them and a data file of each, says so and
 * waits for a line of input.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "hisi_acc_test_device.h"

#define MAX_FUNCTIONS	64

struct moment {
	long long wall;
	long long cpu;
	long sleeps;
};

struct step {
	const char *way;
	const char *arc;
	struct moment start;
};

static bool walking;
static int round_number;

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

static void end(const struct step *s)
{
	struct moment t = now();

	if (walking)
		wait_for_line("done");
	else
		printf("%s %s %d %lld %lld %ld\n", s->way, s->arc, round_number,
		       t.wall - s->start.wall, t.cpu - s->start.cpu,
		       t.sleeps - s->start.sleeps);
}

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "acc_migration_bench: %s\n", what);
	exit(1);
}

/* One arc, timed; the data file, if one comes, goes to *fd */
static void arc(struct device *d, const char *way, const char *name, int state,
		int *fd)
{
	struct step s = begin(way, name);
	int err = device_set_state(d, state, fd);

	end(&s);
	must(!err, name);
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

static void save(struct device *d, bool precopy, uint8_t *image)
{
	const char *way = precopy ? "pre-copy" : "stop-copy";
	size_t have = 0;
	struct step s;
	int fd, later;

	start_again(d, true);
	if (precopy) {
		arc(d, way, "start", PRE_COPY, &fd);
		s = begin(way, "read-early");
		have = drain(fd, image, 0);
		end(&s);
		arc(d, way, "save", STOP_COPY, &later);
		if (later >= 0 && later != fd)
			close(later);
	} else {
		arc(d, way, "stop", STOP, NULL);
		arc(d, way, "save", STOP_COPY, &fd);
	}
	s = begin(way, "read");
	have = drain(fd, image, have);
	end(&s);
	must(have == IMAGE_SIZE, "an image of another size");
	arc(d, way, "leave", STOP, NULL);
	close(fd);
}

static void restore(struct device *d, const uint8_t *image)
{
	struct step s;
	int fd;

	start_again(d, false);
	arc(d, "load", "begin", RESUMING, &fd);
	s = begin("load", "write");
	must(send_image(fd, image, IMAGE_SIZE) == IMAGE_SIZE, "a write");
	end(&s);
	arc(d, "load", "load", STOP, NULL);
	arc(d, "load", "restart", RUNNING, NULL);
	close(fd);
}

static int pair(int rounds, const char *source, const char *destination)
{
	struct device from, to;
	uint8_t image[IMAGE_SIZE];

	device_open(&from, source);
	device_open(&to, destination);
	for (round_number = 0; round_number < rounds; round_number++) {
		save(&from, false, image);
		save(&from, true, image);
		restore(&to, image);
	}
	device_close(&from);
	device_close(&to);
	return 0;
}

struct job {
	struct device device;
	pthread_barrier_t *line;
	long long wall;
};

/* Everything that a guest waits for: stop, save and the whole image */
static void *save_one(void *argument)
{
	uint8_t image[IMAGE_SIZE];
	struct job *job = argument;
	long long start;
	int fd;

	if (job->line)
		pthread_barrier_wait(job->line);
	start = clock_ns(CLOCK_MONOTONIC);
	must(!device_set_state(&job->device, STOP_COPY, &fd), "a save");
	must(drain(fd, image, 0) == IMAGE_SIZE, "an image of another size");
	job->wall = clock_ns(CLOCK_MONOTONIC) - start;
	close(fd);
	return NULL;
}

static void all_again(struct job *jobs, int count)
{
	for (int i = 0; i < count; i++)
		start_again(&jobs[i].device, true);
}

static void tell(const char *how, const struct job *jobs, int count,
		 long long wall, long long cpu)
{
	long long slowest = 0, shortest = jobs[0].wall;

	for (int i = 0; i < count; i++) {
		if (jobs[i].wall > slowest)
			slowest = jobs[i].wall;
		if (jobs[i].wall < shortest)
			shortest = jobs[i].wall;
	}
	printf("%s %d %lld %lld %lld %lld\n", how, round_number, wall, cpu,
	       slowest, shortest);
}

static void one_after_another(struct job *jobs, int count)
{
	long long wall, cpu;

	all_again(jobs, count);
	wall = clock_ns(CLOCK_MONOTONIC);
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (int i = 0; i < count; i++) {
		jobs[i].line = NULL;
		save_one(&jobs[i]);
	}
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	wall = clock_ns(CLOCK_MONOTONIC) - wall;
	tell("serial", jobs, count, wall, cpu);
}

static void all_at_once(struct job *jobs, int count)
{
	pthread_t threads[MAX_FUNCTIONS];
	pthread_barrier_t line;
	long long wall, cpu;

	all_again(jobs, count);
	pthread_barrier_init(&line, NULL, count + 1);
	for (int i = 0; i < count; i++) {
		jobs[i].line = &line;
		must(!pthread_create(&threads[i], NULL, save_one, &jobs[i]),
		     "a thread");
	}
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	wall = clock_ns(CLOCK_MONOTONIC);
	pthread_barrier_wait(&line);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	wall = clock_ns(CLOCK_MONOTONIC) - wall;
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	pthread_barrier_destroy(&line);
	tell("parallel", jobs, count, wall, cpu);
}

static int many(int rounds, char **names, int count)
{
	static struct job jobs[MAX_FUNCTIONS];

	for (int i = 0; i < count; i++)
		device_open(&jobs[i].device, names[i]);
	for (round_number = 0; round_number < rounds; round_number++) {
		one_after_another(jobs, count);
		all_at_once(jobs, count);
	}
	for (int i = 0; i < count; i++)
		device_close(&jobs[i].device);
	return 0;
}

static int hold(bool file, char **names, int count)
{
	static struct device devices[MAX_FUNCTIONS];
	int fds[MAX_FUNCTIONS];

	for (int i = 0; i < count; i++) {
		device_open(&devices[i], names[i]);
		if (!file)
			continue;
		device_guest_up(&devices[i]);
		must(!device_set_state(&devices[i], STOP_COPY, &fds[i]),
		     "a save");
	}
	wait_for_line("held");
	for (int i = 0; i < count; i++) {
		if (file)
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
	if (!strcmp(what, "hold") && argc > 3 && argc - 3 <= MAX_FUNCTIONS &&
	    (!strcmp(argv[2], "open") || !strcmp(argv[2], "file")))
		return hold(!strcmp(argv[2], "file"), argv + 3, argc - 3);
	fprintf(stderr,
		"usage: acc_migration_bench pair ROUNDS SOURCE DESTINATION\n"
		"       acc_migration_bench walk SOURCE DESTINATION\n"
		"       acc_migration_bench many ROUNDS SOURCE...\n"
		"       acc_migration_bench hold open|file SOURCE...\n");
	return 2;
}
