// SPDX-License-Identifier: GPL-2.0
/*
 * hisi-acc-check: whether VFs of HiSilicon's accelerators can be migrated on this host.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum exit_status {
	EXIT_CAN_MIGRATE = 0,
	EXIT_CANNOT = 1,
	EXIT_WRONG_USE = 2,
	EXIT_CANNOT_TELL = 3,
};

struct arguments {
	bool json;
	bool leave_closed;
	const char *peer;
	char **addresses;
	size_t count;
};

static const char usage[] =
	"usage: hisi-acc-check [--json] [--no-open] [--peer FILE] [--root DIR] [VF...]\n";

static bool arguments_read(struct arguments *arguments, int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ "no-open", no_argument, NULL, 'n' },
		{ "peer", required_argument, NULL, 'p' },
		{ "root", required_argument, NULL, 'r' },
		{ }
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (option) {
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_CAN_MIGRATE);
		case 'j':
			arguments->json = true;
			break;
		case 'n':
			arguments->leave_closed = true;
			break;
		case 'p':
			arguments->peer = optarg;
			break;
		case 'r':
			files_root = optarg;
			break;
		default:
			fputs(usage, stderr);
			return false;
		}
	}
	arguments->addresses = argv + optind;
	arguments->count = argc - optind;
	for (size_t i = 0; i < arguments->count; i++) {
		if (pci_is_address(arguments->addresses[i]))
			continue;
		fprintf(stderr, "hisi-acc-check: %.40s is not a PCI address such as 0000:76:00.1\n",
			arguments->addresses[i]);
		return false;
	}
	return true;
}

static bool vf_can_be_opened(const struct vf *vf, const struct arguments *arguments)
{
	return !arguments->leave_closed && !files_root[0] && vf->engine &&
	       vf->driver == DRIVER_VARIANT && vf->migration != KNOWN_NO && vf->cdev[0];
}

static int report_make(struct report *report, const struct arguments *arguments)
{
	int err = arguments->count ?
		  pci_name_vfs(report, arguments->addresses, arguments->count) :
		  pci_find_vfs(report);

	if (err)
		return err;
	host_check(&report->host);
	if (!report->count)
		pci_check_none(report);
	for (size_t i = 0; i < report->count; i++)
		vf_look(&report->vfs[i]);
	users_find(report->vfs, report->count);
	for (size_t i = 0; i < report->count; i++)
		vfio_query(&report->vfs[i], vf_can_be_opened(&report->vfs[i], arguments));
	vf_share(report->vfs, report->count);
	for (size_t i = 0; i < report->count; i++)
		vf_check(&report->vfs[i], &report->host);
	return 0;
}

int main(int argc, char **argv)
{
	static const enum exit_status results[] = {
		[STATUS_OK] = EXIT_CAN_MIGRATE,
		[STATUS_UNKNOWN] = EXIT_CANNOT_TELL,
		[STATUS_NO] = EXIT_CANNOT,
	};
	struct arguments arguments = { 0 };
	struct report report = { 0 };
	enum exit_status result;
	int err;

	if (!arguments_read(&arguments, argc, argv))
		return EXIT_WRONG_USE;
	err = report_make(&report, &arguments);
	if (err) {
		fprintf(stderr, "hisi-acc-check: %s\n", strerror(-err));
		return EXIT_CANNOT_TELL;
	}
	if (arguments.peer && peer_compare(&report, arguments.peer)) {
		free(report.vfs);
		peer_free(&report);
		return EXIT_WRONG_USE;
	}
	if (arguments.json)
		report_write(&report);
	else
		report_print(&report);
	result = results[report_status(&report)];
	free(report.vfs);
	peer_free(&report);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "hisi-acc-check: the report cannot be written\n");
		return EXIT_CANNOT_TELL;
	}
	return result;
}
