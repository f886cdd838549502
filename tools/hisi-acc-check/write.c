// SPDX-License-Identifier: GPL-2.0
/*
 * The report as JSON; FORMAT in the man page describes it.
 */
#include <string.h>

#include "check.h"

static void write_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		unsigned char c = *text;

		/* what the kernel and programs say is ASCII, or nothing that can be relied on */
		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < ' ' || c > '~')
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

/* A member that is null when it is empty */
static void write_text(const char *name, const char *text)
{
	printf("\"%s\": ", name);
	if (text[0])
		write_string(text);
	else
		fputs("null", stdout);
}

static void write_number(const char *name, uint32_t number, bool known)
{
	if (known)
		printf("\"%s\": %u", name, number);
	else
		printf("\"%s\": null", name);
}

static void write_check(const struct check *check)
{
	printf("\"status\": \"%s\", \"counts\": %s, ", status_name(check->status),
	       check->counts ? "true" : "false");
	write_text("reason", check->reason);
	fputs(", ", stdout);
	write_text("remedy", check->remedy);
}

static void write_checks(const struct checks *checks, const char *indent)
{
	printf("%s\"result\": \"%s\",\n%s\"checks\": [", indent,
	       status_name(checks_status(checks)), indent);
	for (unsigned int i = 0; i < checks->count; i++) {
		printf("%s\n%s  {\"check\": \"%s\", ", i ? "," : "", indent,
		       checks->list[i].name);
		write_check(&checks->list[i]);
		putchar('}');
	}
	printf("\n%s]", indent);
}

static void write_host(const struct host *host)
{
	fputs("  \"host\": {\n    ", stdout);
	write_text("kernel", host->kernel);
	fputs(",\n    ", stdout);
	write_text("machine", host->machine);
	fputs(",\n    ", stdout);
	write_number("page_size", host->page_size, host->page_size);
	fputs(",\n    ", stdout);
	write_text("processor", host->processor);
	fputs(",\n    ", stdout);
	write_text("qemu", host->qemu);
	fputs(",\n    ", stdout);
	write_text("libvirt", host->libvirt);
	fputs(",\n", stdout);
	write_checks(&host->checks, "    ");
	fputs("\n  }", stdout);
}

static void write_vf(const struct vf *vf)
{
	static const char *const known[] = {
		[KNOWN_NOT] = "null", [KNOWN_NO] = "false", [KNOWN_YES] = "true"
	};
	const struct match *match = &vf->match;

	fputs("    {\n      ", stdout);
	write_text("address", vf->address);
	fputs(",\n      ", stdout);
	write_text("accelerator", vf->engine ? vf->engine->name : "");
	fputs(",\n      ", stdout);
	write_text("driver", vf->driver_name);
	printf(",\n      \"in_use\": %s", known[vf->in_use]);
	printf(",\n      \"dirty_tracking\": %s", known[vf->dirty]);
	printf(",\n      \"p2p\": %s", known[vf->p2p]);
	fputs(",\n      \"match\": {", stdout);
	write_number("device_id", match->device_id, match->device_id);
	fputs(", ", stdout);
	write_number("queues", match->queues, match->queues);
	fputs(", ", stdout);
	write_number("doorbell_isolation", match->isolation, match->isolation_known);
	fputs(", ", stdout);
	write_number("hw_version", match->hw_version, match->hw_version);
	fputs(", ", stdout);
	write_number("bar_layout", match->bar_layout, match->bar_layout);
	fputs("},\n", stdout);
	write_checks(&vf->checks, "      ");
	fputs("\n    }", stdout);
}

static void write_peer(const struct report *report)
{
	fputs(",\n  \"peer\": {\n", stdout);
	write_checks(report->peer, "    ");
	fputs(",\n    \"moves\": [", stdout);
	for (size_t i = 0; i < report->count; i++) {
		const struct move *move = &report->moves[i];

		printf("%s\n      {", i ? "," : "");
		write_text("from", report->vfs[i].address);
		fputs(", ", stdout);
		write_text("to", move->to);
		fputs(", ", stdout);
		write_check(&move->check);
		putchar('}');
	}
	fputs("\n    ]\n  }", stdout);
}

void report_write(const struct report *report)
{
	printf("{\n  \"format\": \"%s\",\n  \"version\": %d,\n  \"result\": \"%s\",\n",
	       FORMAT_NAME, FORMAT_VERSION, status_name(report_status(report)));
	write_host(&report->host);
	fputs(",\n  \"vfs\": [", stdout);
	for (size_t i = 0; i < report->count; i++) {
		fputs(i ? ",\n" : "\n", stdout);
		write_vf(&report->vfs[i]);
	}
	fputs("\n  ]", stdout);
	if (report->peer)
		write_peer(report);
	fputs("\n}\n", stdout);
}
