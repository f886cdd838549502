// SPDX-License-Identifier: GPL-2.0
/*
 * How long each arc of a migration takes in the driver, and how that grows with the
 * number of VFs.
 *
 * usage: acc_migration_bench pair ROUNDS SOURCE DESTINATION
 *        acc_migration_bench walk SOURCE DESTINATION
 *        acc_migration_bench many ROUNDS SOURCE...
 *        acc_migration_bench hold SOURCE...
 *
 * Without arguments, as run_kselftest.sh runs it, pair with the VFs that
 * VFIO_SELFTESTS_BDF and VFIO_SELFTESTS_DESTINATION of the environment name.
 *
 * All are VFs of HiSilicon accelerators, bound to the driver under test. The guest
 * driver is that of hisi_acc_guest.c; no request is in flight.
 *
 * pair: saves and restores in turn, each VF reset before each. A line for each step:
 *     way arc round nanoseconds cpu-nanoseconds sleeps
 * where way is stop-copy or pre-copy for a save and load for a restore, cpu is
 * that of this thread, and a sleep is a voluntary context switch. A way that fails
 * is one line:
 *     way failed round errno
 * A driver may do more at the first restore after a VF was bound or opened than at
 * later ones. In a migration it is the first one: round 0 of a VF that was just
 * bound.
 *
 * walk: one such round. Prints the name of each step before it, and "done" after it,
 * and waits for a line of input each time, so that the device can be examined.
 *
 * many: each round saves all VFs one after another, then all at once in a thread
 * each, and sets RUNNING again. A line for each:
 *     serial|parallel round wall cpu slowest quickest failed
 * the times in nanoseconds: of all together, CPU time of all threads, of single VFs;
 * and how many could not be saved.
 *
 * hold: prints its process id, opens the VFs, saves them and keeps the migration
 * files, and prints the size of the data. It waits for a line of input after each,
 * so that kernel memory can be examined.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "hisi_acc_vf.h"

#define MAX_FUNCTIONS	64
#define MAX_STEPS	8
#define FEW		5

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

/* All steps of a way, or none if one of them failed */
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

/* One arc, timed; the migration file, if one is returned, goes to *fd */
static int arc(struct hisi_acc_vf *vf, const char *way, const char *name,
	       int state, int *fd)
{
	struct step s = begin(way, name);
	int err = device_set_state(vf->fd, state, fd);

	end(&s);
	return err;
}

static size_t drain(int fd, uint8_t *data, size_t have)
{
	ssize_t n;

	while (have < DATA_SIZE) {
		n = data_receive(fd, data + have, DATA_SIZE - have);
		if (n <= 0)
			break;
		have += n;
	}
	return have;
}

static void start_again(struct hisi_acc_vf *vf, bool guest_up)
{
	must(!device_reset(vf->fd), "a reset");
	if (guest_up)
		hisi_acc_guest_up(&vf->guest);
}

static int begin_early(struct hisi_acc_vf *vf, uint8_t *data, int *fd, size_t *have)
{
	struct step s;
	int err, later;

	err = arc(vf, "pre-copy", "start", PRE_COPY, fd);
	if (err)
		return err;
	s = begin("pre-copy", "read-early");
	*have = drain(*fd, data, 0);
	end(&s);
	err = arc(vf, "pre-copy", "save", STOP_COPY, &later);
	if (!err && later >= 0 && later != *fd)
		close(later);
	return err;
}

static int save(struct hisi_acc_vf *vf, bool precopy, uint8_t *data)
{
	const char *way = precopy ? "pre-copy" : "stop-copy";
	size_t have = 0;
	struct step s;
	int err, fd = -1;

	start_again(vf, true);
	if (precopy)
		err = begin_early(vf, data, &fd, &have);
	else
		err = arc(vf, way, "stop", STOP, NULL) ?:
		      arc(vf, way, "save", STOP_COPY, &fd);
	if (!err) {
		s = begin(way, "read");
		have = drain(fd, data, have);
		end(&s);
		must(have == DATA_SIZE, "data of another size");
		err = arc(vf, way, "leave", STOP, NULL);
	}
	if (fd >= 0)
		close(fd);
	tell_way(way, err);
	return err;
}

static int restore(struct hisi_acc_vf *vf, const uint8_t *data)
{
	struct step s;
	int err, fd = -1;

	start_again(vf, false);
	err = arc(vf, "load", "begin", RESUMING, &fd);
	if (!err) {
		s = begin("load", "write");
		err = data_send(fd, data, DATA_SIZE) == DATA_SIZE ? 0 : -EIO;
		end(&s);
	}
	if (!err)
		err = arc(vf, "load", "load", STOP, NULL) ?:
		      arc(vf, "load", "restart", RUNNING, NULL);
	if (fd >= 0)
		close(fd);
	tell_way("load", err);
	return err;
}

static int pair(int rounds, const char *source, const char *destination)
{
	struct hisi_acc_vf from, to;
	uint8_t data[DATA_SIZE];
	int failed = 0;

	hisi_acc_vf_open(&from, source);
	hisi_acc_vf_open(&to, destination);
	for (round_number = 0; round_number < rounds; round_number++) {
		bool saved = !save(&from, false, data);

		saved |= !save(&from, true, data);
		failed += !saved || restore(&to, data);
	}
	hisi_acc_vf_close(&from);
	hisi_acc_vf_close(&to);
	must(failed < rounds, "no round came to its end");
	return 0;
}

struct job {
	struct hisi_acc_vf vf;
	pthread_barrier_t *line;
	long long start;
	long long end;
	long long cpu;
	int err;
};

/* All that is downtime: stop, save and read the data */
static void *save_one(void *argument)
{
	uint8_t data[DATA_SIZE];
	struct job *job = argument;
	int fd = -1;

	if (job->line)
		pthread_barrier_wait(job->line);
	job->start = clock_ns(CLOCK_MONOTONIC);
	job->cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	job->err = device_set_state(job->vf.fd, STOP_COPY, &fd);
	if (!job->err)
		must(drain(fd, data, 0) == DATA_SIZE,
		     "data of another size");
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
		    device_set_state(jobs[i].vf.fd, RUNNING, NULL))
			start_again(&jobs[i].vf, true);
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
		hisi_acc_vf_open(&jobs[i].vf, names[i]);
		start_again(&jobs[i].vf, true);
	}
	for (round_number = 0; round_number < rounds; round_number++) {
		one_after_another(jobs, count);
		all_at_once(jobs, count);
	}
	for (int i = 0; i < count; i++)
		hisi_acc_vf_close(&jobs[i].vf);
	return 0;
}

static int hold(char **names, int count)
{
	static struct hisi_acc_vf vfs[MAX_FUNCTIONS];
	uint8_t data[DATA_SIZE + 1];
	int fds[MAX_FUNCTIONS];
	ssize_t size = 0;
	char said[32];

	snprintf(said, sizeof(said), "closed %d", getpid());
	wait_for_line(said);
	for (int i = 0; i < count; i++)
		hisi_acc_vf_open(&vfs[i], names[i]);
	wait_for_line("open 0");
	for (int i = 0; i < count; i++) {
		hisi_acc_guest_up(&vfs[i].guest);
		must(!device_set_state(vfs[i].fd, STOP_COPY, &fds[i]),
		     "a save");
		size = data_receive(fds[i], data, sizeof(data));
	}
	snprintf(said, sizeof(said), "saved %zd", size);
	wait_for_line(said);
	for (int i = 0; i < count; i++) {
		close(fds[i]);
		hisi_acc_vf_close(&vfs[i]);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int rounds = argc > 2 ? atoi(argv[2]) : 0;
	const char *bdfs[2];

	if (argc == 1) {
		hisi_acc_vf_pair(&argc, argv, bdfs);
		return pair(FEW, bdfs[0], bdfs[1]);
	}
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
