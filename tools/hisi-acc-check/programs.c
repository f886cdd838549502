// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU and libvirt: where they are, and which release.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

/* For a program to print its version */
#define TIMEOUT_MS	20000

/* Where administrators' and distributions' programs are, after those of PATH */
#define PLACES		"/usr/local/bin:/usr/bin:/usr/sbin:/usr/libexec"

/* QEMU's dirty tracking with iommufd came with it */
#define QEMU_MAJOR	9
#define QEMU_MINOR	1

static bool programs_find(char path[PATH_MAX], const char *name)
{
	const char *variable = files_root[0] ? NULL : getenv("PATH");
	char places[PATH_MAX], *place, *rest = places;

	snprintf(places, sizeof(places), "%s%s%s", variable ?: "", variable ? ":" : "", PLACES);
	while ((place = strsep(&rest, ":"))) {
		if (place[0] != '/' ||
		    snprintf(path, PATH_MAX, "%s%s/%s", files_root, place, name) >= PATH_MAX)
			continue;
		if (!access(path, X_OK))
			return true;
	}
	return false;
}

static int programs_left_ms(const struct timespec *since)
{
	struct timespec now;
	long long ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (now.tv_sec - since->tv_sec) * 1000LL + (now.tv_nsec - since->tv_nsec) / 1000000;
	return ms > TIMEOUT_MS ? 0 : TIMEOUT_MS - ms;
}

/* What a program prints, until it ends or the time is over */
static void programs_collect(int from, char *text, size_t size)
{
	struct pollfd poller = { .fd = from, .events = POLLIN };
	struct timespec since;
	size_t have = 0;

	clock_gettime(CLOCK_MONOTONIC, &since);
	while (have < size - 1 && poll(&poller, 1, programs_left_ms(&since)) > 0) {
		ssize_t len = read(from, text + have, size - 1 - have);

		if (len <= 0)
			break;
		have += len;
	}
	text[have] = 0;
}

static void programs_run(const char *path, char *text, size_t size)
{
	int pipes[2], null;
	pid_t pid;

	text[0] = 0;
	if (pipe2(pipes, O_CLOEXEC))
		return;
	pid = fork();
	if (!pid) {
		null = open("/dev/null", O_RDWR);
		dup2(null, STDIN_FILENO);
		dup2(null, STDERR_FILENO);
		dup2(pipes[1], STDOUT_FILENO);
		execl(path, path, "--version", NULL);
		_exit(127);
	}
	close(pipes[1]);
	if (pid > 0) {
		programs_collect(pipes[0], text, size);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(pipes[0]);
}

/* The first word that is a version, such as 10.0.13 */
static void programs_take_version(char version[NAME_SIZE], const char *text)
{
	for (; *text; text++) {
		size_t len = strspn(text, "0123456789.");

		if (len >= 3 && isdigit((unsigned char)*text) && memchr(text, '.', len) &&
		    len < NAME_SIZE) {
			snprintf(version, NAME_SIZE, "%.*s", (int)len, text);
			return;
		}
		text += len ? len - 1 : 0;
	}
}

/* The beginning of a version, as numbers */
bool programs_version(const char *version, unsigned int *major, unsigned int *minor)
{
	return sscanf(version, "%u.%u", major, minor) == 2;
}

/* Whether one of the programs was found, whose version is then set if it says so */
static bool programs_look(char version[NAME_SIZE], const char *const *names, size_t count)
{
	char path[PATH_MAX], text[1024];

	for (size_t i = 0; i < count; i++) {
		if (!programs_find(path, names[i]))
			continue;
		/* programs of another machine are not run */
		if (!files_root[0]) {
			programs_run(path, text, sizeof(text));
			programs_take_version(version, text);
		}
		return true;
	}
	return false;
}

static void programs_check_qemu(struct host *host)
{
	static const char *const names[] = { "qemu-system-aarch64", "qemu-kvm" };
	struct checks *checks = &host->checks;
	unsigned int major, minor;

	if (!programs_look(host->qemu, names, ARRAY_SIZE(names))) {
		checks_add(checks, "qemu", STATUS_NO);
		checks_reason(checks, "there is no qemu-system-aarch64 and no qemu-kvm");
		checks_remedy(checks, "install QEMU, or add its directory to PATH");
	} else if (!programs_version(host->qemu, &major, &minor)) {
		checks_add(checks, "qemu", STATUS_UNKNOWN);
		checks_reason(checks, "it does not print its version");
		checks_remedy(checks, "qemu-system-aarch64 --version");
	} else if (major < QEMU_MAJOR || (major == QEMU_MAJOR && minor < QEMU_MINOR)) {
		checks_add(checks, "qemu", STATUS_NO);
		checks_reason(checks, "QEMU %s has no dirty tracking with iommufd", host->qemu);
		checks_remedy(checks, "QEMU %d.%d or later", QEMU_MAJOR, QEMU_MINOR);
	} else {
		checks_add(checks, "qemu", STATUS_OK);
		checks_reason(checks, "QEMU %s", host->qemu);
	}
}

/* QEMU can be used without it, so nothing follows */
static void programs_check_libvirt(struct host *host)
{
	static const char *const names[] = { "libvirtd", "virtqemud" };
	struct checks *checks = &host->checks;
	unsigned int major, minor;

	host->has_libvirt = programs_look(host->libvirt, names, ARRAY_SIZE(names));
	checks_add(checks, "libvirt", STATUS_OK);
	checks_note(checks);
	if (!host->has_libvirt) {
		checks_reason(checks, "not found, and not needed");
	} else if (!programs_version(host->libvirt, &major, &minor)) {
		checks->list[checks->count - 1].status = STATUS_UNKNOWN;
		checks_reason(checks, "it does not print its version");
	} else if (major < 12 || (major == 12 && minor < 2)) {
		checks_reason(checks,
			      "libvirt %s, which has no element for iommufd", host->libvirt);
		checks_remedy(checks,
			      "let the XML's part for QEMU select iommufd, see libvirt.rst");
	} else {
		checks_reason(checks, "libvirt %s", host->libvirt);
		checks_remedy(checks, "select iommufd by <iommufd enabled='yes'/>");
	}
}

void programs_check(struct host *host)
{
	programs_check_qemu(host);
	programs_check_libvirt(host);
}
