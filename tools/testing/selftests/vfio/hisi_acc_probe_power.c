// SPDX-License-Identifier: GPL-2.0
/*
 * Experiments with bus mastering and D3hot, and with errors: what of these may
 * disturb others runs only if that was asked for.
 */
#include <endian.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "hisi_acc_probe.h"

#define BAR2_SIZE		0x10000
#define D3HOT			3

static bool was_reset(struct probe_vf *vf)
{
	return probe_read(vf, QM_VF_STATE) & 1;
}

/* A request while the VF must not access memory, and after that */
static void request_without_master(struct probe_vf *vf, const char *name)
{
	bool in_between, later;

	probe_master(vf, false);
	probe_submit(vf, 0, 1, vf->engine->brief);
	in_between = probe_wait(vf, 0, 1, vf->enough);
	probe_master(vf, true);
	later = probe_wait(vf, 0, 1, vf->enough);
	if (in_between) {
		report_value(name, "ignored", "a request was done without bus mastering");
	} else if (later) {
		report_value(name, "wait",
			     "a request without bus mastering was done when it was enabled again");
	} else if (was_reset(vf) || probe_set_sqc(vf, 0) || probe_set_cqc(vf, 0) ||
		   !probe_duration(vf, vf->engine->brief)) {
		report_unseen(name, "no request works after one without bus mastering");
	} else {
		report_value(name, "fail",
			     "a request without bus mastering was not done when it was enabled again; one after a new context was");
	}
}

static void bus_master(struct probe_vf *vf, struct probe_vf *other,
		       const struct probe_options *options)
{
	static const char name[] = "bus-master-off";
	u64 table = 0;

	if (probe_set_up(vf, 1)) {
		report_failure(name, "the VF cannot be set up");
		return;
	}
	probe_master(vf, false);
	probe_master(vf, true);
	if (probe_mailbox(vf, MB_SQC_BT | MB_GET, 0, &table)) {
		report_unseen(name, "the mailbox fails after a time without bus mastering");
	} else if (was_reset(vf) && !table) {
		report_value(name, "reset",
			     "without bus mastering VF_STATE became 1, and the device lost its tables");
	} else if (was_reset(vf) || !table) {
		report_unseen(name,
			      "the loss of bus mastering reset a part: VF_STATE %u, table 0x%lx",
			      was_reset(vf), table);
	} else if (!options->risky) {
		report_unseen(name,
			      "it does not reset the VF; what a request does is seen with --risky");
	} else {
		request_without_master(vf, name);
	}
}

static u8 find_pm(struct probe_vf *vf)
{
	u8 at = vfio_pci_config_readb(vf->device, PCI_CAPABILITY_LIST);

	while (at && vfio_pci_config_readb(vf->device, at) != PCI_CAP_ID_PM)
		at = vfio_pci_config_readb(vf->device, at + 1);
	return at;
}

static void set_power(struct probe_vf *vf, u8 pm, u16 state)
{
	u16 control = vfio_pci_config_readw(vf->device, pm + PCI_PM_CTRL);

	vfio_pci_config_writew(vf->device, pm + PCI_PM_CTRL,
			       (control & ~PCI_PM_CTRL_STATE_MASK) | state);
	/* the PCI specification's time for D3hot; longer than Linux waits */
	usleep(20000);
}

static sigjmp_buf aborted;

static void on_bus_error(int signal)
{
	siglongjmp(aborted, 1);
}

/* The value, or false for an external abort */
static bool read_carefully(volatile void *address, u32 *value)
{
	struct sigaction action = { .sa_handler = on_bus_error }, before;
	bool answered = false;

	sigaction(SIGBUS, &action, &before);
	if (!sigsetjmp(aborted, 1)) {
		*value = *(volatile u32 *)address;
		answered = true;
	}
	sigaction(SIGBUS, &before, NULL);
	return answered;
}

/* VFIO unmaps the registers in D3hot: only sysfs has them */
static void access_in_d3(struct probe_vf *vf, u8 pm, const char *name)
{
	volatile void *map = probe_map_sysfs(vf->bdf, BAR2_SIZE);
	u32 value = 0;
	bool answered;

	if (!map) {
		report_unseen(name, "the kernel gives no access to BAR2 by sysfs");
		return;
	}
	set_power(vf, pm, D3HOT);
	answered = read_carefully(map + QM_VF_STATE, &value);
	set_power(vf, pm, 0);
	munmap((void *)map, BAR2_SIZE);
	if (!answered)
		report_value(name, "abort", "a read was an external abort");
	else
		report_value(name, value == ~0u ? "all-ones" : "other", "a read gave 0x%x", value);
}

static void power(struct probe_vf *vf, struct probe_vf *other,
		  const struct probe_options *options)
{
	static const char name[] = "d3-access", reset[] = "d3-reset";
	u8 pm = find_pm(vf);
	u16 control;

	if (!pm || probe_set_up(vf, 1)) {
		report_unseen(name, "it has no power management, or cannot be set up");
		report_unseen(reset, "see %s", name);
		return;
	}
	if (options->risky)
		access_in_d3(vf, pm, name);
	else
		report_unseen(name, "VFIO maps no registers in D3hot; sysfs does, with --risky");
	if (probe_set_up(vf, 1)) {
		report_unseen(reset, "the VF cannot be set up");
		return;
	}
	set_power(vf, pm, D3HOT);
	control = vfio_pci_config_readw(vf->device, pm + PCI_PM_CTRL);
	set_power(vf, pm, 0);
	if ((control & PCI_PM_CTRL_STATE_MASK) != D3HOT)
		report_unseen(reset, "it does not go to D3hot");
	else
		report_value(reset, was_reset(vf) ? "reset" : "keep",
			     "VF_STATE was 0, and is %u after D3hot; NoSoftRst is %u",
			     was_reset(vf), !!(control & PCI_PM_CTRL_NO_SOFT_RESET));
}

const struct probe_experiment probe_power_experiments[] = {
	{ "bus-master-off", bus_master, "DMA without bus mastering may be an error of the device",
	  true },
	{ "d3-access d3-reset", power, "an access in D3hot may be an external abort", true },
	{}
};
