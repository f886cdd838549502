// SPDX-License-Identifier: GPL-2.0
/*
 * The report: its lines, the verdict that follows from them, and its text.
 */
#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "check.h"

/* Adds a line, whose reason and remedy the caller then sets */
void checks_add(struct checks *checks, const char *name, enum status status)
{
	assert(checks->count < MAX_CHECKS);
	checks->list[checks->count++] = (struct check) {
		.name = name, .status = status, .counts = true
	};
}

static struct check *checks_last(struct checks *checks)
{
	return &checks->list[checks->count - 1];
}

/* Names from files and programs may have other characters, which a terminal takes for commands */
static void checks_clean(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

void checks_reason(struct checks *checks, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(checks_last(checks)->reason, TEXT_SIZE, format, args);
	va_end(args);
	checks_clean(checks_last(checks)->reason);
}

void checks_remedy(struct checks *checks, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(checks_last(checks)->remedy, TEXT_SIZE, format, args);
	va_end(args);
	checks_clean(checks_last(checks)->remedy);
}

/* The verdict does not follow from the last line */
void checks_note(struct checks *checks)
{
	checks_last(checks)->counts = false;
}

enum status status_worse(enum status one, enum status other)
{
	return one > other ? one : other;
}

enum status checks_status(const struct checks *checks)
{
	enum status worst = STATUS_OK;

	for (unsigned int i = 0; i < checks->count; i++)
		if (checks->list[i].counts)
			worst = status_worse(worst, checks->list[i].status);
	return worst;
}

/* The line of a name, or NULL */
const struct check *checks_find(const struct checks *checks, const char *name)
{
	for (unsigned int i = 0; i < checks->count; i++)
		if (!strcmp(checks->list[i].name, name))
			return &checks->list[i];
	return NULL;
}

const char *status_name(enum status status)
{
	static const char *const names[] = {
		[STATUS_OK] = "ok", [STATUS_UNKNOWN] = "unknown", [STATUS_NO] = "no"
	};

	return names[status];
}

/* Of the host, all VFs, and the other host */
enum status report_status(const struct report *report)
{
	enum status worst = checks_status(&report->host.checks);

	for (size_t i = 0; i < report->count; i++)
		worst = status_worse(worst, checks_status(&report->vfs[i].checks));
	if (!report->peer)
		return worst;
	worst = status_worse(worst, checks_status(report->peer));
	for (size_t i = 0; i < report->count; i++)
		worst = status_worse(worst, report->moves[i].check.status);
	return worst;
}

static void check_print(const struct check *check)
{
	printf("  %-8s %s: %s\n", status_name(check->status), check->name, check->reason);
	if (check->remedy[0])
		printf("  %-8s   %s\n", "", check->remedy);
}

static void checks_print(const struct checks *checks)
{
	for (unsigned int i = 0; i < checks->count; i++)
		check_print(&checks->list[i]);
}

static void report_print_peer(const struct report *report)
{
	puts("the other host");
	checks_print(report->peer);
	for (size_t i = 0; i < report->count; i++) {
		const struct move *move = &report->moves[i];

		printf("  %-8s %s -> %s: %s\n", status_name(move->check.status),
		       report->vfs[i].address, move->to[0] ? move->to : "none",
		       move->check.reason);
		if (move->check.remedy[0])
			printf("  %-8s   %s\n", "", move->check.remedy);
	}
}

void report_print(const struct report *report)
{
	static const char *const verdicts[] = {
		[STATUS_OK] = "can migrate with QEMU's defaults",
		[STATUS_UNKNOWN] = "cannot tell whether it can migrate with QEMU's defaults",
		[STATUS_NO] = "cannot migrate with QEMU's defaults",
	};

	puts("this host");
	checks_print(&report->host.checks);
	for (size_t i = 0; i < report->count; i++) {
		const struct vf *vf = &report->vfs[i];

		printf("%s%s%s\n", vf->address, vf->engine ? " " : "",
		       vf->engine ? vf->engine->name : "");
		checks_print(&vf->checks);
	}
	if (report->peer)
		report_print_peer(report);
	printf("%s: %s\n", status_name(report_status(report)), verdicts[report_status(report)]);
}
