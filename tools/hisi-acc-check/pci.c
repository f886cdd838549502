// SPDX-License-Identifier: GPL-2.0
/*
 * Which VFs of accelerators there are, and what a PCI address is of.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define VENDOR_HUAWEI	0x19e5

static const struct engine engines[] = {
	{ .name = "SEC", .pf_driver = "hisi_sec2", .pf_id = 0xa255, .vf_id = 0xa256 },
	{ .name = "HPRE", .pf_driver = "hisi_hpre", .pf_id = 0xa258, .vf_id = 0xa259 },
	{ .name = "ZIP", .pf_driver = "hisi_zip", .pf_id = 0xa250, .vf_id = 0xa251 },
};

/* Whether this is a PCI address in full, such as 0000:76:00.1 */
bool pci_is_address(const char *text)
{
	static const char shape[] = "xxxx:xx:xx.o";

	for (size_t i = 0; i < sizeof(shape) - 1; i++) {
		/* in lower case, as in sysfs */
		bool hex = isdigit((unsigned char)text[i]) || (text[i] >= 'a' && text[i] <= 'f');

		if (shape[i] == 'x' ? !hex : shape[i] == 'o' ? text[i] < '0' || text[i] > '7' :
		    text[i] != shape[i])
			return false;
	}
	return !text[sizeof(shape) - 1];
}

static uint32_t pci_read_id(const char *address, const char *name)
{
	uint32_t id;

	return files_number(&id, "/sys/bus/pci/devices/%s/%s", address, name) ? 0 : id;
}

static const struct engine *pci_engine(const char *address, bool vf)
{
	uint32_t id = pci_read_id(address, "device");

	if (pci_read_id(address, "vendor") != VENDOR_HUAWEI)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(engines); i++)
		if (id == (vf ? engines[i].vf_id : engines[i].pf_id))
			return &engines[i];
	return NULL;
}

static struct vf *pci_add(struct report *report, const char *address)
{
	struct vf *more = reallocarray(report->vfs, report->count + 1, sizeof(*more));
	struct vf *vf;

	if (!more)
		return NULL;
	report->vfs = more;
	vf = &more[report->count++];
	memset(vf, 0, sizeof(*vf));
	snprintf(vf->address, sizeof(vf->address), "%s", address);
	vf->group = -1;
	return vf;
}

/* All VFs of these accelerators; 0 or -errno */
int pci_find_vfs(struct report *report)
{
	char **names;
	size_t count;
	int err = files_list(&names, &count, "/sys/bus/pci/devices");

	for (size_t i = 0; !err && i < count; i++) {
		const struct engine *engine = pci_engine(names[i], true);
		struct vf *vf;

		if (!engine)
			continue;
		vf = pci_add(report, names[i]);
		if (!vf)
			err = -ENOMEM;
		else
			vf->engine = engine;
	}
	files_list_free(names, count);
	/* a machine without PCI has none */
	return err == -ENOENT ? 0 : err;
}

static void pci_check_named(struct vf *vf)
{
	struct checks *checks = &vf->checks;
	const struct engine *pf = pci_engine(vf->address, false);

	vf->engine = pci_engine(vf->address, true);
	if (vf->engine)
		return;
	checks_add(checks, "device", STATUS_NO);
	if (!files_exist("/sys/bus/pci/devices/%s", vf->address)) {
		checks_reason(checks, "there is no PCI device %s", vf->address);
		checks_remedy(checks, "lspci -d 19e5: shows the accelerators and their VFs");
	} else if (pf) {
		checks_reason(checks, "no migration: not an SR-IOV VF; it is the PF of a %s",
			      pf->name);
		checks_remedy(checks, "name one of its VFs, /sys/bus/pci/devices/%s/virtfn*",
			      vf->address);
	} else {
		checks_reason(checks, "it is not an accelerator (SEC, HPRE or ZIP)");
		checks_remedy(checks, "lspci -d 19e5: shows the accelerators and their VFs");
	}
}

/* The VFs that the user names; 0 or -errno */
int pci_name_vfs(struct report *report, char **addresses, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct vf *vf = pci_add(report, addresses[i]);

		if (!vf)
			return -ENOMEM;
		pci_check_named(vf);
	}
	return 0;
}

/* Why the host has no VF at all */
void pci_check_none(struct report *report)
{
	struct checks *checks = &report->host.checks;
	const char *pf = NULL;
	char **names;
	size_t count;

	files_list(&names, &count, "/sys/bus/pci/devices");
	for (size_t i = 0; i < count && !pf; i++)
		if (pci_engine(names[i], false))
			pf = names[i];
	checks_add(checks, "vfs", STATUS_NO);
	if (!pf) {
		checks_reason(checks, "this host has no accelerator (SEC, HPRE or ZIP)");
		checks_remedy(checks,
			      "lspci -d 19e5: shows accelerators; see the firmware's setup");
	} else if (!files_exist("/sys/bus/pci/devices/%s/sriov_totalvfs", pf)) {
		checks_reason(checks, "%s has no SR-IOV", pf);
		checks_remedy(checks, "switch SR-IOV on in the firmware; enable CONFIG_PCI_IOV");
	} else {
		checks_reason(checks, "no VF was created; %s is the PF of a %s", pf,
			      pci_engine(pf, false)->name);
		checks_remedy(checks, "modprobe %s; write to sriov_numvfs of the PF",
			      pci_engine(pf, false)->pf_driver);
	}
	files_list_free(names, count);
}
