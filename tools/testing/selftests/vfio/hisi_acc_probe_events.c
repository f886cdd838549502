// SPDX-License-Identifier: GPL-2.0
/*
 * Experiments with events and interrupts.
 */
#include <endian.h>
#include <poll.h>
#include <unistd.h>

#include "hisi_acc_probe.h"

static bool interrupted(struct probe_vf *vf)
{
	struct pollfd p = { .fd = vf->device->msi_eventfds[0], .events = POLLIN };
	u64 interrupts;

	return poll(&p, 1, vf->enough / 1000000) == 1 &&
	       read(p.fd, &interrupts, sizeof(interrupts)) == sizeof(interrupts);
}

/* A request to an armed queue, and its event, the number-th */
static bool event(struct probe_vf *vf, unsigned int number)
{
	u64 end = probe_now() + 10 * PROBE_SECOND;

	probe_consume(vf, 0, true);
	probe_submit(vf, 0, 1, vf->engine->brief);
	if (!probe_finish(vf, 0))
		return false;
	while (!(le32toh(READ_ONCE(vf->ram->eq[number])) & EQE_PHASE))
		if (probe_now() > end)
			return false;
	return true;
}

static void two_events(struct probe_vf *vf)
{
	static const char rearm[] = "eq-doorbell-resends", unread[] = "eq-interrupt-unread";
	static const char source[] = "eq-source";
	bool first, second, again;
	u32 before, after;

	if (!event(vf, 0)) {
		report_unseen(rearm, "a request raises no event");
		report_unseen(unread, "see %s", rearm);
		report_unseen(source, "see %s", rearm);
		return;
	}
	first = interrupted(vf);
	before = probe_read(vf, QM_EQ_INT_SOURCE);
	second = event(vf, 1) && interrupted(vf);
	probe_doorbell(vf, 0, DB_EQ, 1, 0);
	again = interrupted(vf);
	probe_doorbell(vf, 0, DB_EQ, 2, 0);
	after = probe_read(vf, QM_EQ_INT_SOURCE);
	if (!first) {
		report_unseen(rearm, "an event raises no interrupt");
		report_unseen(unread, "see %s", rearm);
	} else {
		report_value(rearm, again ? "yes" : "no",
			     "of two events one was acknowledged, and %s interrupt came",
			     again ? "another" : "no");
		report_value(unread, second ? "yes" : "no",
			     "a second event, without an acknowledgment of the first, raised %s",
			     second ? "an interrupt" : "none");
	}
	report_value(source, before & 1 ? after & 1 ? "set" : "until doorbell" : "clear",
		     "0x%x reads %u after an event, %u after its acknowledgment",
		     QM_EQ_INT_SOURCE, before, after);
}

static void events(struct probe_vf *vf, struct probe_vf *other,
		   const struct probe_options *options)
{
	if (probe_set_up(vf, 1)) {
		report_failure("eq-doorbell-resends", "the VF cannot be set up");
		report_unseen("eq-interrupt-unread", "see eq-doorbell-resends");
		report_unseen("eq-source", "see eq-doorbell-resends");
		return;
	}
	vfio_pci_msi_enable(vf->device, 0, 1);
	probe_write(vf, QM_AEQ_INT_MASK, 1);
	probe_write(vf, QM_EQ_INT_MASK, 0);
	two_events(vf);
	vfio_pci_msi_disable(vf->device);
}

/* A masked event: does its source show, and does the mask's end send the interrupt */
static void masked(struct probe_vf *vf, struct probe_vf *other,
		   const struct probe_options *options)
{
	static const char source[] = "eq-source-masked", unmask[] = "eq-unmask-sends";
	u32 shown;

	if (probe_set_up(vf, 1)) {
		report_failure(source, "the VF cannot be set up");
		report_unseen(unmask, "see %s", source);
		return;
	}
	vfio_pci_msi_enable(vf->device, 0, 1);
	probe_write(vf, QM_AEQ_INT_MASK, 1);
	probe_write(vf, QM_EQ_INT_MASK, 1);
	if (!event(vf, 0)) {
		report_unseen(source, "a request raises no event");
		report_unseen(unmask, "see %s", source);
	} else if (interrupted(vf)) {
		report_unseen(source, "a masked event raises an interrupt");
		report_unseen(unmask, "see %s", source);
	} else {
		shown = probe_read(vf, QM_EQ_INT_SOURCE);
		report_value(source, shown & 1 ? "set" : "clear",
			     "0x%x reads %u after a masked event",
			     QM_EQ_INT_SOURCE, shown);
		probe_write(vf, QM_EQ_INT_MASK, 0);
		shown = interrupted(vf);
		report_value(unmask, shown ? "yes" : "no",
			     "%s interrupt came when its mask was cleared",
			     shown ? "an" : "no");
	}
	vfio_pci_msi_disable(vf->device);
}

/* Whether the device takes in a pause that an event was read, by its source register */
static void paused(struct probe_vf *vf, struct probe_vf *other,
		   const struct probe_options *options)
{
	static const char name[] = "paused-eq-doorbell";
	u32 before, in_pause, after;

	if (probe_set_up(vf, 1)) {
		report_failure(name, "the VF cannot be set up");
		return;
	}
	probe_write(vf, QM_EQ_INT_MASK, 1);
	if (!event(vf, 0) || probe_mailbox(vf, MB_PAUSE, 0, NULL)) {
		report_unseen(name, "a request raises no event, or PAUSE fails");
		return;
	}
	before = probe_read(vf, QM_EQ_INT_SOURCE);
	probe_doorbell(vf, 0, DB_EQ, 1, 0);
	in_pause = probe_read(vf, QM_EQ_INT_SOURCE);
	probe_resume(vf, 0);
	probe_doorbell(vf, 0, DB_EQ, 1, 0);
	after = probe_read(vf, QM_EQ_INT_SOURCE);
	if (!(before & 1) || after & 1)
		report_unseen(name, "0x%x reads %u after an event, %u after its acknowledgment",
			      QM_EQ_INT_SOURCE, before, after);
	else
		report_value(name, in_pause & 1 ? "lost" : "taken",
			     "0x%x reads %u in a pause with an event, %u after its acknowledgment in the pause, %u after one afterwards",
			     QM_EQ_INT_SOURCE, before, in_pause, after);
}

const struct probe_experiment probe_event_experiments[] = {
	{ "eq-doorbell-resends eq-interrupt-unread eq-source", events },
	{ "eq-source-masked eq-unmask-sends", masked },
	{ "paused-eq-doorbell", paused },
	{}
};
