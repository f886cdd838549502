// SPDX-License-Identifier: GPL-2.0
/*
 * One VF: what sysfs and debugfs have of it, and the verdict.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define VARIANT_DRIVER	"hisi_acc_vfio_pci"

static void vf_look_driver(struct vf *vf)
{
	files_link(vf->driver_name, NAME_SIZE, "/sys/bus/pci/devices/%s/driver", vf->address);
	if (!vf->driver_name[0])
		vf->driver = DRIVER_NONE;
	else if (!strcmp(vf->driver_name, VARIANT_DRIVER))
		vf->driver = DRIVER_VARIANT;
	else if (!strcmp(vf->driver_name, "vfio-pci"))
		vf->driver = DRIVER_VFIO_PCI;
	else
		vf->driver = DRIVER_OTHER;
}

static void vf_look_cdev(struct vf *vf)
{
	char **names;
	size_t count;

	if (!files_list(&names, &count, "/sys/bus/pci/devices/%s/vfio-dev", vf->address))
		for (size_t i = 0; i < count; i++)
			/* without CONFIG_VFIO_DEVICE_CDEV it has no device number */
			if (strlen(names[i]) < NAME_SIZE &&
			    files_exist("/sys/bus/pci/devices/%s/vfio-dev/%s/dev", vf->address,
					names[i]))
				snprintf(vf->cdev, NAME_SIZE, "%s", names[i]);
	files_list_free(names, count);
}

void vf_set_features(struct vf *vf, bool stop_copy, bool p2p, bool pre_copy)
{
	vf->migration = stop_copy ? KNOWN_YES : KNOWN_NO;
	vf->p2p = p2p ? KNOWN_YES : KNOWN_NO;
	snprintf(vf->features, NAME_SIZE, "%s%s%s", stop_copy ? "stop-copy" : "",
		 p2p ? ", p2p" : "", pre_copy ? ", pre-copy" : "");
}

/* The VFIO core's file of a bound VF, for root */
static void vf_look_features(struct vf *vf)
{
	char text[256];

	if (vf->driver == DRIVER_VFIO_PCI)
		vf->migration = KNOWN_NO;
	if (vf->driver != DRIVER_VARIANT ||
	    !files_exist("/sys/kernel/debug/vfio/%s", vf->address))
		return;
	/* a VF that cannot be migrated has no such directory, Linux 6.12 no such file */
	if (files_read(text, sizeof(text), "/sys/kernel/debug/vfio/%s/migration/features",
		       vf->address) &&
	    files_exist("/sys/kernel/debug/vfio/%s/migration", vf->address))
		return;
	vf_set_features(vf, strstr(text, "stop-copy"), strstr(text, "p2p"),
			strstr(text, "pre-copy"));
}

/* What is known without opening it */
void vf_look(struct vf *vf)
{
	char text[NAME_SIZE];

	if (!vf->engine)
		return;
	vf->match.device_id = vf->engine->vf_id;
	files_link(vf->pf, NAME_SIZE, "/sys/bus/pci/devices/%s/physfn", vf->address);
	files_link(vf->iommu, NAME_SIZE, "/sys/bus/pci/devices/%s/iommu", vf->address);
	if (!files_link(text, sizeof(text), "/sys/bus/pci/devices/%s/iommu_group", vf->address))
		vf->group = atoi(text);
	vf_look_driver(vf);
	vf_look_cdev(vf);
	vf_look_features(vf);
}

/* Of BAR2; 0 if it has none */
uint64_t vf_bar_size(const struct vf *vf)
{
	unsigned long long start, end;
	char text[1024];

	if (files_read(text, sizeof(text), "/sys/bus/pci/devices/%s/resource", vf->address) ||
	    sscanf(text, "%*s %*s %*s %*s %*s %*s %llx %llx", &start, &end) != 2 || !end)
		return 0;
	return end - start + 1;
}

static void vf_share_with(struct vf *vf, const struct vf *other)
{
	if (vf->dirty == KNOWN_NOT && vf->iommu[0] && !strcmp(vf->iommu, other->iommu))
		vf->dirty = other->dirty;
	if (!vf->pf[0] || strcmp(vf->pf, other->pf))
		return;
	if (!vf->match.hw_version)
		vf->match.hw_version = other->match.hw_version;
	if (!vf->match.bar_layout)
		vf->match.bar_layout = other->match.bar_layout;
	if (!vf->match.isolation_known && other->match.isolation_known) {
		vf->match.isolation = other->match.isolation;
		vf->match.isolation_known = true;
	}
}

/* What is the same for all VFs of a PF, or behind an IOMMU, is known of all of them */
void vf_share(struct vf *vfs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < count; j++)
			if (i != j && vfs[i].engine && vfs[j].engine)
				vf_share_with(&vfs[i], &vfs[j]);
}

static void vf_check_driver(struct vf *vf, const struct host *host)
{
	struct checks *checks = &vf->checks;
	static const char *const kinds[] = {
		[KNOWN_YES] = "this driver",
		[KNOWN_NO] = "the in-tree driver",
		[KNOWN_NOT] = "this driver or the in-tree driver",
	};

	checks_add(checks, "driver", vf->driver == DRIVER_VARIANT ? STATUS_OK : STATUS_NO);
	switch (vf->driver) {
	case DRIVER_VARIANT:
		checks_reason(checks, "%s, %s", vf->driver_name, kinds[host->this_driver]);
		return;
	case DRIVER_NONE:
		checks_reason(checks, "the VF is not bound to a driver");
		break;
	case DRIVER_VFIO_PCI:
		checks_reason(checks, "the VF is bound to plain vfio-pci, which does not migrate");
		break;
	default:
		checks_reason(checks, "the VF is bound to %s, not to a VFIO driver",
			      vf->driver_name);
		break;
	}
	checks_remedy(checks,
		      "%secho %s > .../%s/driver_override; echo %s > /sys/bus/pci/drivers_probe",
		      vf->driver == DRIVER_NONE ? "" : "unbind it; ", VARIANT_DRIVER,
		      vf->address, vf->address);
}

static void vf_check_pf(struct vf *vf)
{
	struct checks *checks = &vf->checks;
	char driver[NAME_SIZE];

	checks_add(checks, "pf-driver", STATUS_NO);
	if (!vf->pf[0]) {
		checks_reason(checks, "no migration: not an SR-IOV VF");
		checks_remedy(checks, "run this on the host of the PF, not in a guest");
		return;
	}
	files_link(driver, sizeof(driver), "/sys/bus/pci/devices/%s/driver", vf->pf);
	if (strcmp(driver, vf->engine->pf_driver)) {
		checks_reason(checks, "no migration: %s is not bound to its %s driver", vf->pf,
			      vf->engine->name);
		checks_remedy(checks, "bind the PF to %s, create the VFs again, bind them again",
			      vf->engine->pf_driver);
		return;
	}
	checks->list[checks->count - 1].status = STATUS_OK;
	checks_reason(checks, "%s is bound to %s", vf->pf, driver);
}

static void vf_check_hardware(struct vf *vf)
{
	struct checks *checks = &vf->checks;
	uint32_t revision;

	if (files_number(&revision, "/sys/bus/pci/devices/%s/revision",
			 vf->pf[0] ? vf->pf : vf->address)) {
		checks_add(checks, "hardware", STATUS_UNKNOWN);
		checks_reason(checks, "the PCI revision cannot be read");
	} else if (revision < HW_V3) {
		checks_add(checks, "hardware", STATUS_NO);
		checks_reason(checks, "no migration: hardware version 0x%x does not support it",
			      revision);
		checks_remedy(checks, "none: version 3 (0x30) or later is needed");
	} else {
		checks_add(checks, "hardware", STATUS_OK);
		if (vf->match.hw_version)
			checks_reason(checks, "hardware version 0x%x", vf->match.hw_version);
		else
			checks_reason(checks, "hardware version 0x%x or later", revision);
	}
}

/* Where the migration registers are, and whether a page separates them from the guest */
static void vf_check_bar(struct vf *vf, const struct host *host)
{
	struct checks *checks = &vf->checks;
	uint64_t size = vf_bar_size(vf);
	bool shared = size / 2 < host->page_size;
	unsigned int kib = host->page_size / 1024;

	if (!size) {
		checks_add(checks, "bar", STATUS_NO);
		checks_reason(checks, "no migration: its BAR is too small");
		checks_remedy(checks, "none: it is no such accelerator, or its firmware failed");
	} else if (shared && vf->match.bar_layout != 2 && vf->migration != KNOWN_YES) {
		checks_add(checks, "bar",
			   vf->match.bar_layout || vf->migration == KNOWN_NO ? STATUS_NO :
			   STATUS_UNKNOWN);
		checks_reason(checks,
			      "no migration: its registers share a page of %u KiB with the guest's",
			      kib);
		checks_remedy(checks, "use a kernel with pages of 4 or 16 KiB");
	} else {
		checks_add(checks, "bar", STATUS_OK);
		checks_reason(checks, "BAR2 of %u KiB, %s, pages of %u KiB",
			      (unsigned int)(size / 1024), vf->match.bar_layout == 1 ?
			      "the guest has the lower half" : vf->match.bar_layout == 2 ?
			      "the guest has all of it" : "the guest's part is not known", kib);
	}
}

static void vf_check_iommu(struct vf *vf)
{
	struct checks *checks = &vf->checks;
	char **names = NULL, type[NAME_SIZE];
	size_t count = 0;

	checks_add(checks, "iommu", STATUS_NO);
	if (vf->group < 0 || !vf->iommu[0]) {
		checks_reason(checks, "the VF is behind no IOMMU");
		checks_remedy(checks,
			      "switch the SMMU on in the firmware; enable CONFIG_ARM_SMMU_V3");
		return;
	}
	if (files_read(type, sizeof(type), "/sys/kernel/iommu_groups/%d/type", vf->group))
		snprintf(type, sizeof(type), "unknown");
	files_list(&names, &count, "/sys/kernel/iommu_groups/%d/devices", vf->group);
	if (count == 1) {
		checks->list[checks->count - 1].status = STATUS_OK;
		checks_reason(checks, "%s, alone in group %d (type %s)", vf->iommu, vf->group,
			      type);
	} else {
		checks_reason(checks, "%s, group %d has %zu devices: all of them go to one guest",
			      vf->iommu, vf->group, count);
		checks_remedy(checks, "switch ACS on in the firmware");
	}
	files_list_free(names, count);
}

static void vf_check_cdev(struct vf *vf, const struct host *host)
{
	struct checks *checks = &vf->checks;

	if (vf->driver != DRIVER_VARIANT && vf->driver != DRIVER_VFIO_PCI)
		return;
	checks_add(checks, "cdev", vf->cdev[0] ? STATUS_OK : STATUS_NO);
	if (vf->cdev[0]) {
		checks_reason(checks, "/dev/vfio/devices/%s", vf->cdev);
		return;
	}
	checks_reason(checks, "the VF has no character device: iommufd cannot be used");
	checks_remedy(checks, "%s", host->iommufd ? "enable CONFIG_VFIO_DEVICE_CDEV" :
		      "enable CONFIG_IOMMUFD and CONFIG_VFIO_DEVICE_CDEV");
}

static void vf_check_use(struct vf *vf)
{
	struct checks *checks = &vf->checks;

	checks_add(checks, "in-use", vf->in_use == KNOWN_NO ? STATUS_OK : STATUS_UNKNOWN);
	checks_note(checks);
	if (vf->in_use == KNOWN_NO)
		checks_reason(checks, "no process has the VF open");
	else if (vf->user.pid)
		checks_reason(checks, "process %d (%s) has the VF open by %s: it was not opened",
			      vf->user.pid, vf->user.name, vf->user.group ?
			      "the container backend" : "iommufd");
	else
		checks_reason(checks, "%s", vf->trouble[0] ? vf->trouble : files_root[0] ?
			      "not known: a copy of files has no processes" :
			      "not known: only root sees all processes");
}

static void vf_unknown_remedy(struct vf *vf)
{
	if (vf->migration == KNOWN_NO)
		checks_remedy(&vf->checks, "bring the VF to support migration first, see below");
	else if (vf->in_use == KNOWN_YES)
		checks_remedy(&vf->checks, "check other VFs too, or this one without a guest");
	else if (files_root[0])
		checks_remedy(&vf->checks, "run it on the host");
	else
		checks_remedy(&vf->checks, "run it as root, without --no-open");
}

static void vf_check_dirty(struct vf *vf, const struct host *host)
{
	struct checks *checks = &vf->checks;

	if (!host->iommufd || !vf->cdev[0])
		return;		/* reported as such */
	switch (vf->dirty) {
	case KNOWN_YES:
		checks_add(checks, "dirty-tracking", STATUS_OK);
		checks_reason(checks, "%s tracks dirty pages", vf->iommu);
		break;
	case KNOWN_NO:
		checks_add(checks, "dirty-tracking", STATUS_NO);
		checks_reason(checks,
			      "%s does not track dirty pages (HTTU), or its driver does not report them",
			      vf->iommu);
		checks_remedy(checks,
			      "Linux 6.11 or later; else the container backend with enable-migration=on, never iommufd");
		break;
	default:
		checks_add(checks, "dirty-tracking", STATUS_UNKNOWN);
		checks_reason(checks, "not known of %s: the VF was not opened", vf->iommu);
		vf_unknown_remedy(vf);
	}
}

static void vf_check_features(struct vf *vf)
{
	struct checks *checks = &vf->checks;

	if (vf->driver != DRIVER_VARIANT)
		return;		/* reported as such */
	switch (vf->migration) {
	case KNOWN_YES:
		checks_add(checks, "migration", STATUS_OK);
		checks_reason(checks, "the VF supports migration: %s", vf->features);
		break;
	case KNOWN_NO:
		checks_add(checks, "migration", STATUS_NO);
		checks_reason(checks, "the VF does not support migration");
		checks_remedy(checks,
			      "the kernel log has a line \"no migration:\" with the reason");
		return;
	default:
		checks_add(checks, "migration", STATUS_UNKNOWN);
		checks_reason(checks,
			      "not known: the VF was not opened, and debugfs has nothing of it");
		vf_unknown_remedy(vf);
		return;
	}
	checks_add(checks, "p2p", vf->p2p == KNOWN_YES ? STATUS_OK : STATUS_NO);
	checks_note(checks);
	if (vf->p2p == KNOWN_YES) {
		checks_reason(checks, "guests with several VFs migrate");
		return;
	}
	checks_reason(checks, "without P2P a guest migrates with one VF only");
	checks_remedy(checks, "replace the in-tree driver by this one");
}

static void vf_check_match(struct vf *vf)
{
	struct checks *checks = &vf->checks;
	const struct match *match = &vf->match;

	if (vf->migration != KNOWN_YES)
		return;
	checks_add(checks, "match-data", match->queues ? STATUS_OK : STATUS_UNKNOWN);
	checks_note(checks);
	if (match->queues)
		checks_reason(checks, "device id 0x%x, %u queues", match->device_id, match->queues);
	else
		checks_reason(checks, "the number of queues is not known");
}

/* What QEMU does at its default, enable-migration=auto; see messages.rst */
static void vf_check_gate(struct vf *vf, const struct host *host)
{
	struct checks *checks = &vf->checks;
	unsigned int major, minor;

	if (vf->driver != DRIVER_VARIANT || vf->migration == KNOWN_NO) {
		checks_add(checks, "qemu-default", STATUS_NO);
		checks_reason(checks, vf->driver == DRIVER_NONE || vf->driver == DRIVER_OTHER ?
			      "QEMU cannot open the VF: it is not bound to a VFIO driver" :
			      "VFIO migration is not supported in kernel");
	} else if (!host->iommufd || !vf->cdev[0] || vf->dirty == KNOWN_NO ||
		   (programs_version(host->qemu, &major, &minor) &&
		    (major < 9 || (major == 9 && minor < 1)))) {
		checks_add(checks, "qemu-default", STATUS_NO);
		checks_reason(checks,
			      "VFIO device doesn't support device and IOMMU dirty tracking");
		checks_remedy(checks, "choose the IOMMU backend as in migrate.rst");
	} else if (vf->dirty == KNOWN_NOT || vf->migration == KNOWN_NOT) {
		checks_add(checks, "qemu-default", STATUS_UNKNOWN);
		checks_reason(checks, "it depends on what is not known above");
	} else {
		checks_add(checks, "qemu-default", STATUS_OK);
		checks_reason(checks, "QEMU migrates it with iommufd");
	}
}

/* The report of a VF */
void vf_check(struct vf *vf, const struct host *host)
{
	if (!vf->engine)
		return;		/* reported already */
	vf_check_driver(vf, host);
	vf_check_pf(vf);
	vf_check_hardware(vf);
	vf_check_bar(vf, host);
	vf_check_iommu(vf);
	vf_check_cdev(vf, host);
	vf_check_use(vf);
	vf_check_dirty(vf, host);
	vf_check_features(vf);
	vf_check_match(vf);
	vf_check_gate(vf, host);
}
