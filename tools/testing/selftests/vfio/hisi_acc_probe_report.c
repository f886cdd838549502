// SPDX-License-Identifier: GPL-2.0
/*
 * The report: TAP after each experiment, and the profile at the end.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "hisi_acc_probe.h"

#define MAX_LINES	96
#define MAX_TEXT	400

enum outcome { SEEN, UNSEEN, MISSED, FAILED };

struct line {
	char name[32];
	enum outcome outcome;
	char value[64];
	char how[MAX_TEXT];
	u64 times[3];		/* minimum, median, maximum */
	u32 rounds;		/* 0: it has no times */
};

static struct line lines[MAX_LINES];
static unsigned int count;
static unsigned int printed;
static const struct probe_vf *subject;
static const struct probe_options *chosen;
static char unfinished[512];

static FILE *open_profile(void)
{
	FILE *profile;

	snprintf_assert(unfinished, sizeof(unfinished), "%s.part", chosen->profile);
	profile = fopen(unfinished, "we");
	if (!profile) {
		fprintf(stderr, "hisi-acc-probe: %s: %s\n", unfinished, strerror(errno));
		exit(2);
	}
	return profile;
}

void report_prepare(const struct probe_options *options)
{
	chosen = options;
	if (!options->profile)
		return;
	fclose(open_profile());
	unlink(unfinished);
}

void report_begin(const struct probe_vf *vf, unsigned int planned)
{
	subject = vf;
	ksft_print_header();
	ksft_set_plan(planned);
}

static struct line *new_line(const char *name, enum outcome outcome)
{
	struct line *line = &lines[count++];

	VFIO_ASSERT_LE(count, MAX_LINES);
	*line = (struct line) { .outcome = outcome };
	snprintf_assert(line->name, sizeof(line->name), "%s", name);
	return line;
}

static struct line *explained(const char *name, enum outcome outcome, const char *how,
			      va_list args)
{
	struct line *line = new_line(name, outcome);

	vsnprintf(line->how, sizeof(line->how), how, args);
	return line;
}

void report_value(const char *name, const char *value, const char *how, ...)
{
	struct line *line;
	va_list args;

	va_start(args, how);
	line = explained(name, SEEN, how, args);
	va_end(args);
	snprintf(line->value, sizeof(line->value), "%s", value);
}

void report_unseen(const char *name, const char *why, ...)
{
	va_list args;

	va_start(args, why);
	explained(name, UNSEEN, why, args);
	va_end(args);
}

void report_missed(const char *name, const char *why, ...)
{
	va_list args;

	va_start(args, why);
	explained(name, MISSED, why, args);
	va_end(args);
}

void report_failure(const char *name, const char *how, ...)
{
	va_list args;

	va_start(args, how);
	explained(name, FAILED, how, args);
	va_end(args);
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

void report_times(const char *name, u64 *times, u32 rounds)
{
	struct line *line = new_line(name, SEEN);

	qsort(times, rounds, sizeof(*times), compare);
	line->times[0] = times[0];
	line->times[1] = times[rounds / 2];
	line->times[2] = times[rounds - 1];
	line->rounds = rounds;
}

static void print_line(const struct line *line)
{
	if (line->rounds)
		ksft_test_result_pass("%s: %lu ns - minimum %lu, maximum %lu of %u\n",
				      line->name, line->times[1], line->times[0],
				      line->times[2], line->rounds);
	else if (line->outcome == SEEN)
		ksft_test_result_pass("%s: %s - %s\n", line->name, line->value, line->how);
	else if (line->outcome == FAILED)
		ksft_test_result_fail("%s - %s\n", line->name, line->how);
	else
		ksft_test_result_skip("%s: not observed - %s\n", line->name, line->how);
}

bool report_experiment(bool repeatable)
{
	for (unsigned int i = printed; i < count && repeatable; i++) {
		if (lines[i].outcome == MISSED) {
			count = printed;
			return false;
		}
	}
	for (; printed < count; printed++)
		print_line(&lines[printed]);
	return true;
}

/* Values and reasons are this program's own, and free of control characters */
static void put_string(FILE *profile, const char *text)
{
	fputc('"', profile);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', profile);
		fputc(*text, profile);
	}
	fputc('"', profile);
}

static void put_line(FILE *profile, const struct line *line)
{
	static const char *const outcomes[] = {
		"observed", "not observed", "not observed", "failed"
	};

	fprintf(profile, "    {\"name\": \"%s\", \"outcome\": \"%s\"", line->name,
		outcomes[line->outcome]);
	if (line->rounds) {
		fprintf(profile, ", \"minimum_ns\": %lu, \"median_ns\": %lu", line->times[0],
			line->times[1]);
		fprintf(profile, ", \"maximum_ns\": %lu, \"rounds\": %u}", line->times[2],
			line->rounds);
		return;
	}
	fprintf(profile, ", \"value\": ");
	if (line->outcome == SEEN)
		put_string(profile, line->value);
	else
		fprintf(profile, "null");
	fprintf(profile, ", \"evidence\": ");
	put_string(profile, line->how);
	fprintf(profile, "}");
}

static void put_lines(FILE *profile, const char *title, bool times)
{
	const char *separator = "";

	fprintf(profile, ",\n  \"%s\": [", title);
	for (unsigned int i = 0; i < count; i++) {
		if (!!lines[i].rounds != times)
			continue;
		fprintf(profile, "%s\n", separator);
		put_line(profile, &lines[i]);
		separator = ",";
	}
	fprintf(profile, "\n  ]");
}

static bool write_profile(void)
{
	FILE *profile = open_profile();
	struct utsname kernel;

	uname(&kernel);
	fprintf(profile, "{\n  \"format\": \"hisi-acc-probe\",\n  \"version\": 1,\n");
	fprintf(profile, "  \"kernel\": \"%s\",\n", kernel.release);
	fprintf(profile, "  \"device\": {\"address\": \"%s\", \"accelerator\": \"%s\"",
		subject->bdf, subject->engine->name);
	fprintf(profile, ", \"device_id\": %u, \"revision\": %u, \"hw_version\": %u",
		subject->engine->device, subject->revision, subject->version);
	fprintf(profile, ", \"queues\": %u, \"driver\": \"%s\"},\n", subject->queues,
		subject->driver);
	fprintf(profile, "  \"risky\": %s", chosen->risky ? "true" : "false");
	put_lines(profile, "behaviour", false);
	put_lines(profile, "times", true);
	fprintf(profile, "\n}\n");
	if (fclose(profile) || rename(unfinished, chosen->profile)) {
		fprintf(stderr, "hisi-acc-probe: %s: %s\n", chosen->profile, strerror(errno));
		return false;
	}
	return true;
}

int report_end(void)
{
	bool written = !chosen->profile || write_profile();

	ksft_print_cnts();
	return written && !ksft_get_fail_cnt() ? 0 : 1;
}
