// SPDX-License-Identifier: GPL-2.0
/*
 * Whether a guest can move from this host to another one, which a report of this
 * program describes.
 *
 * The report is untrusted: what is not as the format has it is refused.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "json.h"

/* A VF of the other host */
struct peer_vf {
	const char *address;
	enum status status;
	bool in_use;
	struct match match;
};

struct peer {
	const char *kernel;
	const char *qemu;
	const char *processor;
	enum status status;
	struct peer_vf *vfs;
	size_t count;
};

/* Why a report is refused: the first reason */
struct refusal {
	char text[TEXT_SIZE];
};

__printf(2, 3)
static bool peer_refuse(struct refusal *refusal, const char *format, ...)
{
	va_list args;

	if (refusal->text[0])
		return false;
	va_start(args, format);
	vsnprintf(refusal->text, TEXT_SIZE, format, args);
	va_end(args);
	return false;
}

static bool peer_member(const struct json *object, const char *name, enum json_type type,
			const struct json **member, struct refusal *refusal)
{
	*member = json_member(object, name, type);
	return *member || peer_refuse(refusal, "\"%s\" is missing or has another type", name);
}

/* A string, or null; both no longer than this program's */
static bool peer_text(const struct json *object, const char *name, const char **text,
		      struct refusal *refusal)
{
	const struct json *member = json_member(object, name, JSON_STRING);

	*text = "";
	if (!member && json_member(object, name, JSON_NULL))
		return true;
	if (!peer_member(object, name, JSON_STRING, &member, refusal))
		return false;
	*text = member->text;
	return strlen(member->text) < NAME_SIZE ||
	       peer_refuse(refusal, "\"%s\" is too long", name);
}

/* A number, or null for what is not known */
static bool peer_number(const struct json *object, const char *name, uint32_t *number,
			bool *known, struct refusal *refusal)
{
	const struct json *member = json_member(object, name, JSON_NULL);

	*known = !member;
	if (member)
		return true;
	if (!peer_member(object, name, JSON_NUMBER, &member, refusal))
		return false;
	*number = member->number;
	return true;
}

static bool peer_result(const struct json *object, enum status *status, struct refusal *refusal)
{
	const struct json *member;

	if (!peer_member(object, "result", JSON_STRING, &member, refusal))
		return false;
	for (*status = STATUS_OK; *status <= STATUS_NO; (*status)++)
		if (!strcmp(member->text, status_name(*status)))
			return true;
	return peer_refuse(refusal, "\"result\" is neither ok nor no nor unknown");
}

static bool peer_read_match(const struct json *object, struct match *match,
			    struct refusal *refusal)
{
	bool known;

	return peer_number(object, "device_id", &match->device_id, &known, refusal) &&
	       peer_number(object, "queues", &match->queues, &known, refusal) &&
	       peer_number(object, "hw_version", &match->hw_version, &known, refusal) &&
	       peer_number(object, "bar_layout", &match->bar_layout, &known, refusal) &&
	       peer_number(object, "doorbell_isolation", &match->isolation,
			   &match->isolation_known, refusal);
}

static bool peer_read_vf(const struct json *object, struct peer_vf *vf, struct refusal *refusal)
{
	const struct json *match, *in_use = json_member(object, "in_use", JSON_BOOL);

	vf->in_use = in_use && in_use->number;
	if (!peer_text(object, "address", &vf->address, refusal))
		return false;
	if (!pci_is_address(vf->address))
		return peer_refuse(refusal, "\"address\" is not a PCI address");
	return (in_use || json_member(object, "in_use", JSON_NULL) ||
		peer_refuse(refusal, "\"in_use\" is missing or has another type")) &&
	       peer_result(object, &vf->status, refusal) &&
	       peer_member(object, "match", JSON_OBJECT, &match, refusal) &&
	       peer_read_match(match, &vf->match, refusal);
}

static bool peer_read_vfs(const struct json *array, struct peer *peer, struct refusal *refusal)
{
	for (const struct json *vf = array->first; vf; vf = vf->next)
		peer->count++;
	peer->vfs = calloc(peer->count + 1, sizeof(*peer->vfs));
	if (!peer->vfs)
		return peer_refuse(refusal, "%s", strerror(ENOMEM));
	peer->count = 0;
	for (const struct json *vf = array->first; vf; vf = vf->next)
		if (!peer_read_vf(vf, &peer->vfs[peer->count++], refusal))
			return false;
	return true;
}

static bool peer_read(const struct json *report, struct peer *peer, struct refusal *refusal)
{
	const struct json *format = json_member(report, "format", JSON_STRING);
	const struct json *version, *host, *vfs;

	if (!format || strcmp(format->text, FORMAT_NAME))
		return peer_refuse(refusal, "it is not a report of hisi-acc-check --json");
	if (!peer_member(report, "version", JSON_NUMBER, &version, refusal))
		return false;
	if (version->number != FORMAT_VERSION)
		return peer_refuse(refusal, "version %u of the format is not supported, %d is",
				   version->number, FORMAT_VERSION);
	return peer_member(report, "host", JSON_OBJECT, &host, refusal) &&
	       peer_text(host, "kernel", &peer->kernel, refusal) &&
	       peer_text(host, "qemu", &peer->qemu, refusal) &&
	       peer_text(host, "processor", &peer->processor, refusal) &&
	       peer_result(host, &peer->status, refusal) &&
	       peer_member(report, "vfs", JSON_ARRAY, &vfs, refusal) &&
	       peer_read_vfs(vfs, peer, refusal);
}

/* Which registers of a guest's processor KVM has; 0 is not known. QEMU compares them */
static int peer_registers(unsigned int major, unsigned int minor)
{
	if (major == 6 && minor == 12)
		return 1;
	return major == 7 && (minor == 2 || minor == 3) ? 2 : 0;
}

static void peer_check_kernel(struct checks *checks, const struct host *host,
			      const struct peer *peer)
{
	unsigned int major, minor, to_major, to_minor, qemu, ignored;
	bool read = programs_version(host->kernel, &major, &minor) &&
		    programs_version(peer->kernel, &to_major, &to_minor);
	int from = read ? peer_registers(major, minor) : 0;
	int to = read ? peer_registers(to_major, to_minor) : 0;

	checks_add(checks, "kernels", STATUS_OK);
	checks_reason(checks, "from Linux %s to %s", host->kernel, peer->kernel);
	if (read && ((major == to_major && minor == to_minor) || (from && from == to)))
		return;
	if (from && to && programs_version(peer->qemu, &qemu, &ignored) &&
	    (from > to || qemu < 11)) {
		checks->list[checks->count - 1].status = STATUS_NO;
		checks_remedy(checks, from > to ?
			      "QEMU does not load a guest of a newer kernel, see limits.rst" :
			      "QEMU 11.1 on the other host, see limits.rst");
	} else if (!from || !to || !peer->qemu[0]) {
		checks->list[checks->count - 1].status = STATUS_UNKNOWN;
		checks_remedy(checks, "try it with a guest without VFs, see limits.rst");
	}
}

static void peer_check_qemu(struct checks *checks, const struct host *host,
			    const struct peer *peer)
{
	unsigned int major, minor, to_major, to_minor;

	checks_add(checks, "qemus", STATUS_OK);
	if (!programs_version(host->qemu, &major, &minor) ||
	    !programs_version(peer->qemu, &to_major, &to_minor)) {
		checks->list[checks->count - 1].status = STATUS_UNKNOWN;
		checks_reason(checks, "the release of QEMU is not known of both hosts");
		return;
	}
	checks_reason(checks, "from QEMU %s to %s", host->qemu, peer->qemu);
	if (major == to_major && minor == to_minor)
		return;
	if (major == 10 && !minor && to_major == 11 && to_minor == 1) {
		checks->list[checks->count - 1].status = STATUS_NO;
		checks_remedy(checks,
			      "a guest with a virtio-serial device is refused, see limits.rst");
	} else if (major == 11 && minor == 1 && to_major == 10 && !to_minor) {
		checks_remedy(checks, "start the guest with -M virt-10.0 on both hosts");
	} else {
		checks->list[checks->count - 1].status = STATUS_UNKNOWN;
		checks_remedy(checks,
			      "start the guest with the older machine type on both hosts; try it");
	}
}

/* -cpu host has the registers of the processor; what KVM lets QEMU set depends on the kernel */
static void peer_check_processor(struct checks *checks, const struct host *host,
				 const struct peer *peer)
{
	if (!host->processor[0] || !peer->processor[0]) {
		checks_add(checks, "processors", STATUS_UNKNOWN);
		checks_reason(checks, "MIDR_EL1 is not known of both hosts");
	} else if (strcmp(host->processor, peer->processor)) {
		checks_add(checks, "processors", STATUS_UNKNOWN);
		checks_reason(checks, "MIDR_EL1 is %s here and %s there",
			      host->processor, peer->processor);
	} else {
		checks_add(checks, "processors", STATUS_OK);
		checks_reason(checks, "MIDR_EL1 of both is %s", host->processor);
		return;
	}
	checks_remedy(checks, "try it with a guest without VFs: QEMU may refuse -cpu host there");
}

static void peer_check_host(struct checks *checks, const struct peer *peer)
{
	checks_add(checks, "host", peer->status);
	checks_reason(checks, "its own report: %s", status_name(peer->status));
	if (peer->status != STATUS_OK)
		checks_remedy(checks, "run hisi-acc-check there");
}

static bool peer_fits(struct check *check, const char *field, uint32_t got, bool got_known,
		      uint32_t want, bool want_known)
{
	if (!got_known || !want_known) {
		if (check->status == STATUS_OK) {
			check->status = STATUS_UNKNOWN;
			snprintf(check->reason, TEXT_SIZE, "%s: not known of both VFs", field);
		}
		return true;
	}
	if (got == want)
		return true;
	check->status = STATUS_NO;
	snprintf(check->reason, TEXT_SIZE, "migration data rejected: %s: got 0x%x, expected 0x%x",
		 field, got, want);
	return false;
}

/* As the destination's driver compares it, in its order */
static struct check peer_compare_match(const struct match *from, const struct match *to)
{
	struct check check = { .name = "match", .status = STATUS_OK, .counts = true };

	if (peer_fits(&check, "number of queues", from->queues, from->queues,
		      to->queues, to->queues) &&
	    peer_fits(&check, "doorbell isolation", from->isolation, from->isolation_known,
		      to->isolation, to->isolation_known) &&
	    peer_fits(&check, "hardware version", from->hw_version, from->hw_version,
		      to->hw_version, to->hw_version) &&
	    peer_fits(&check, "BAR layout", from->bar_layout, from->bar_layout,
		      to->bar_layout, to->bar_layout) && check.status == STATUS_OK)
		snprintf(check.reason, TEXT_SIZE, "the VFs match");
	if (check.status == STATUS_NO)
		snprintf(check.remedy, TEXT_SIZE,
			 "see messages.rst, \"Other reasons to reject migration data\"");
	else if (check.status == STATUS_UNKNOWN)
		snprintf(check.remedy, TEXT_SIZE,
			 "check both hosts as root while no guest has the VF");
	if (check.status == STATUS_NO && from->queues != to->queues)
		snprintf(check.remedy, TEXT_SIZE, "create the same number of VFs on both hosts");
	return check;
}

static struct check peer_compare_vf(const struct vf *vf, const struct peer_vf *to)
{
	struct check check = peer_compare_match(&vf->match, &to->match);

	if (check.status == STATUS_OK && to->in_use) {
		check.status = STATUS_NO;
		snprintf(check.reason, TEXT_SIZE, "the VF there is in use");
		snprintf(check.remedy, TEXT_SIZE, "end the guest that has it, or create more VFs");
	} else if (to->status > check.status) {
		check.status = to->status;
		snprintf(check.reason, TEXT_SIZE, "the VF there: %s", status_name(to->status));
		snprintf(check.remedy, TEXT_SIZE, "run hisi-acc-check there");
	}
	return check;
}

/* The VF of the other host that fits best */
static void peer_choose(struct move *move, const struct vf *vf, const struct peer *peer)
{
	move->check = (struct check) { .name = "match", .status = STATUS_NO, .counts = true };
	snprintf(move->check.reason, TEXT_SIZE, "the other host has no VF of %s",
		 vf->engine ? vf->engine->name : "this device");
	for (size_t i = 0; vf->engine && i < peer->count; i++) {
		struct check check;

		if (peer->vfs[i].match.device_id != vf->match.device_id)
			continue;
		check = peer_compare_vf(vf, &peer->vfs[i]);
		if (move->to[0] && check.status >= move->check.status)
			continue;
		snprintf(move->to, NAME_SIZE, "%s", peer->vfs[i].address);
		move->check = check;
	}
}

/* Compares with the report in a file; 0, or -1 when it was refused with a sentence */
int peer_compare(struct report *report, const char *name)
{
	struct refusal refusal = { "" };
	struct peer peer = { NULL };
	struct json_file file;
	int err = json_parse(&file, name);

	if (err == -EBADMSG)
		peer_refuse(&refusal, "line %u: %s", file.line, file.error);
	else if (err)
		peer_refuse(&refusal, "%s", strerror(-err));
	if (err || !peer_read(&file.values[0], &peer, &refusal)) {
		fprintf(stderr, "hisi-acc-check: %s: %s\n", name, refusal.text);
		free(peer.vfs);
		json_free(&file);
		return -1;
	}
	report->peer = calloc(1, sizeof(*report->peer));
	report->moves = calloc(report->count + 1, sizeof(*report->moves));
	if (report->peer && report->moves) {
		peer_check_kernel(report->peer, &report->host, &peer);
		peer_check_qemu(report->peer, &report->host, &peer);
		peer_check_processor(report->peer, &report->host, &peer);
		peer_check_host(report->peer, &peer);
		for (size_t i = 0; i < report->count; i++)
			peer_choose(&report->moves[i], &report->vfs[i], &peer);
	}
	free(peer.vfs);
	json_free(&file);
	return report->peer && report->moves ? 0 : -1;
}

void peer_free(struct report *report)
{
	free(report->peer);
	free(report->moves);
}
