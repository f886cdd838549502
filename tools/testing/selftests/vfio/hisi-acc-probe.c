// SPDX-License-Identifier: GPL-2.0
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hisi_acc_probe.h"

#define WRONG_USE	2
#define MAX_ROUNDS	100000
#define TRIALS		10
#define TRIES		10	/* of an experiment that the VF was too fast for */
/* Of the slowest request's time, at least and at most */
#define TIMES		10
#define LEAST_TIME	(PROBE_SECOND / 5)
#define MOST_TIME	(5 * PROBE_SECOND)

/* Errors last: a device may not work after them */
static const struct probe_experiment *const experiments[] = {
	probe_pause_experiments,
	probe_context_experiments,
	probe_register_experiments,
	probe_doorbell_experiments,
	probe_event_experiments,
	probe_power_experiments,
	probe_time_experiments,
	probe_error_experiments,
};

static void usage(FILE *out)
{
	fprintf(out,
		"usage: hisi-acc-probe [--risky] [--rounds N] [--profile FILE] VF [VF2]\n"
		"\n"
		"Finds out by experiment what a VF of a HiSilicon accelerator does where no public\n"
		"source says. VF and VF2 are PCI addresses such as 0000:76:00.1, of one accelerator,\n"
		"bound to a VFIO driver and not in use. Prints TAP.\n"
		"\n"
		"  --risky         also what may disturb others: errors after which the PF's driver may\n"
		"                  reset the device with all VFs, DMA without bus mastering, accesses\n"
		"                  in D3hot\n"
		"  --rounds N      how often each time is measured (default 1000)\n"
		"  --profile FILE  write what was observed to FILE, as JSON\n"
		"  --help          print this\n");
}

static void refuse(const char *format, ...) __printf(1, 2);
static void refuse(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "hisi-acc-probe: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	exit(WRONG_USE);
}

static u32 number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (!*text || *end || *text == '-' || !value || value > MAX_ROUNDS)
		refuse("--rounds must be 1..%u, got '%s'", MAX_ROUNDS, text);
	return value;
}

static void parse(int argc, char *argv[], struct probe_options *options)
{
	static const struct option known[] = {
		{ "risky", no_argument, NULL, 'r' },
		{ "rounds", required_argument, NULL, 'n' },
		{ "profile", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'r':
			options->risky = true;
			break;
		case 'n':
			options->rounds = number(optarg);
			break;
		case 'p':
			options->profile = optarg;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(WRONG_USE);
		}
	}
	if (argc - optind < 1 || argc - optind > 2) {
		usage(stderr);
		exit(WRONG_USE);
	}
}

static void check(const char *bdf)
{
	const char *reason = probe_refusal(bdf);

	if (reason)
		refuse("%s: %s", bdf, reason);
}

static unsigned int count_names(const char *names)
{
	unsigned int count = 1;

	while ((names = strchr(names, ' '))) {
		names++;
		count++;
	}
	return count;
}

static unsigned int count_lines(void)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(experiments); i++)
		for (const struct probe_experiment *e = experiments[i]; e->names; e++)
			count += count_names(e->names);
	return count;
}

static void run(const struct probe_experiment *experiment, struct probe_vf *vf,
		struct probe_vf *other, const struct probe_options *options)
{
	char names[128], *rest = names, *name;

	if (!experiment->risk || experiment->partly || options->risky) {
		unsigned int left = TRIES;

		do
			experiment->run(vf, other, options);
		while (!report_experiment(--left));
		return;
	}
	snprintf_assert(names, sizeof(names), "%s", experiment->names);
	while ((name = strsep(&rest, " ")))
		report_unseen(name, "only with --risky: %s", experiment->risk);
	report_experiment(false);
}

static void announce_risks(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(experiments); i++)
		for (const struct probe_experiment *e = experiments[i]; e->names; e++)
			if (e->risk)
				ksft_print_msg("risky: %s: %s\n", e->names, e->risk);
}

/* How long what happens at all takes, on this machine */
static void set_enough(struct probe_vf *vf)
{
	u64 slowest = 0;

	if (probe_set_up(vf, 1))
		refuse("%s: its queues cannot be set up", vf->bdf);
	for (unsigned int i = 0; i < TRIALS; i++) {
		u64 took = probe_duration(vf, vf->engine->some);

		if (!took)
			refuse("%s: a request to %s fails", vf->bdf, vf->engine->name);
		slowest = took > slowest ? took : slowest;
	}
	vf->enough = slowest * TIMES;
	if (vf->enough < LEAST_TIME)
		vf->enough = LEAST_TIME;
	if (vf->enough > MOST_TIME)
		vf->enough = MOST_TIME;
}

int main(int argc, char *argv[])
{
	static struct probe_vf vfs[2];
	struct probe_options options = { .rounds = 1000 };
	struct probe_vf *other;
	unsigned int given;

	parse(argc, argv, &options);
	given = argc - optind;
	for (unsigned int i = 0; i < given; i++)
		check(argv[optind + i]);
	if (given == 2 && !strcmp(argv[optind], argv[optind + 1]))
		refuse("%s: given twice", argv[optind]);
	report_prepare(&options);
	for (unsigned int i = 0; i < given; i++)
		probe_open(&vfs[i], argv[optind + i], i);
	other = given == 2 ? &vfs[1] : NULL;
	if (other && other->engine != vfs[0].engine)
		refuse("%s is of %s, %s of %s", vfs[0].bdf, vfs[0].engine->name, other->bdf,
		       other->engine->name);
	set_enough(&vfs[0]);
	report_begin(&vfs[0], count_lines());
	if (options.risky)
		announce_risks();
	for (unsigned int i = 0; i < ARRAY_SIZE(experiments); i++)
		for (const struct probe_experiment *e = experiments[i]; e->names; e++)
			run(e, &vfs[0], other, &options);
	for (unsigned int i = 0; i < given; i++)
		probe_close(&vfs[i]);
	return report_end();
}
