// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of HiSilicon accelerator functions, as userspace sees it.
 *
 * usage: hisi_acc_migration_test SOURCE DESTINATION [TEST]
 *
 * Both are functions of one physical function, bound to the driver under test.
 * No queue is used: what a guest's driver would set up is set up by the test.
 *
 * A driver may hang or kill a test; the others are run all the same. Those that
 * are known to bring a kernel down come last.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hisi_acc_migration_test.h"

#define TEST_MS		120000
#define KILL_MS		2000
#define KSFT_SKIP	4

const char *source_bdf, *destination_bdf;
static unsigned int failures;

void check(const char *what, long got, long want, int line)
{
	if (got == want)
		return;
	if (failures++ < 10)
		printf("# line %d: %s is %ld, not %ld\n", line, what, got, want);
}

void skip(const char *why)
{
	printf("# %s\n", why);
	fflush(stdout);
	_exit(failures ? 1 : KSFT_SKIP);
}

size_t make_image(uint8_t *image, bool guest_up)
{
	struct device d;
	ssize_t len, end;
	int fd;

	memset(image, 0, IMAGE_SIZE);
	device_open(&d, source_bdf);
	if (guest_up)
		device_guest_up(&d);
	CHECK(device_set_state(&d, STOP_COPY, &fd), 0);
	len = receive_image(fd, image, IMAGE_SIZE);
	end = receive_image(fd, image, IMAGE_SIZE);
	CHECK(end, 0);
	CHECK(guest_up && len != IMAGE_SIZE, false);
	close(fd);
	device_close(&d);
	return len < 0 ? 0 : len;
}

int begin_resume(struct device *d)
{
	int fd;

	device_open(d, destination_bdf);
	CHECK(device_set_state(d, RESUMING, &fd), 0);
	return fd;
}

/* Waits for a child: its exit status, or -1 after a time */
static int wait_for(pid_t pid, int pidfd, int ms)
{
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	int status;

	if (poll(&ended, 1, ms) != 1 || waitpid(pid, &status, 0) != pid)
		return -1;
	if (WIFSIGNALED(status)) {
		printf("# killed by signal %d\n", WTERMSIG(status));
		return 1;
	}
	return WEXITSTATUS(status);
}

static int run(const struct test *test)
{
	int pidfd, status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		test->run();
		fflush(stdout);
		_exit(!!failures);
	}
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	status = wait_for(pid, pidfd, TEST_MS);
	if (status < 0) {
		printf("# did not end\n");
		kill(pid, SIGKILL);
		/* one that sits in the kernel is left there */
		if (wait_for(pid, pidfd, KILL_MS) < 0)
			printf("# and cannot be killed\n");
		status = 1;
	}
	close(pidfd);
	return status;
}

static bool wanted(const struct test *test, const struct test *file,
		   const char *only)
{
	return only ? !strcmp(test->name, only) : file != alone_tests;
}

int main(int argc, char **argv)
{
	static const struct test *const files[] = {
		window_tests, state_tests, image_tests, refusal_tests,
		life_tests, alone_tests,
	};
	unsigned int count = 0, failed = 0, number = 0;
	const char *only = argc == 4 ? argv[3] : NULL;

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: %s SOURCE DESTINATION [TEST]\n", argv[0]);
		return KSFT_SKIP;
	}
	source_bdf = argv[1];
	destination_bdf = argv[2];
	printf("TAP version 13\n");
	for (unsigned int i = 0; i < ARRAY_SIZE(files); i++)
		for (const struct test *t = files[i]; t->name; t++)
			count += wanted(t, files[i], only);
	printf("1..%u\n", count);
	for (unsigned int i = 0; i < ARRAY_SIZE(files); i++) {
		for (const struct test *t = files[i]; t->name; t++) {
			int status;

			if (!wanted(t, files[i], only))
				continue;
			status = run(t);
			failed += status && status != KSFT_SKIP;
			printf("%sok %u %s%s\n",
			       status && status != KSFT_SKIP ? "not " : "",
			       ++number, t->name,
			       status == KSFT_SKIP ? " # SKIP" : "");
			fflush(stdout);
		}
	}
	printf("# Totals: pass:%u fail:%u\n", count - failed, failed);
	return failed || !count ? 1 : 0;
}
