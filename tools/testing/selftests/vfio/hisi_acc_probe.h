/* SPDX-License-Identifier: GPL-2.0 */
/*
 * hisi-acc-probe: what a VF of a HiSilicon accelerator does where no public source
 * says, see hisi-acc-probe.8
 *
 * Times are in nanoseconds of CLOCK_MONOTONIC. Functions that return int return 0 or
 * -errno, unless they say otherwise.
 */
#ifndef HISI_ACC_PROBE_H
#define HISI_ACC_PROBE_H

#include <libvfio.h>

#include "lib/drivers/hisi_acc/hisi_acc.h"

#define PROBE_QUEUES		64	/* with rings here; a VF may have more */
#define PROBE_DEPTH		64
#define PROBE_DATA		(8 << 20)
#define PROBE_SECOND		1000000000ll

struct probe_vf;

/* A kind of accelerator: one operation of it */
struct probe_engine {
	const char *name;
	u16 device;
	u16 queue_type;		/* of the queue's context */
	u32 entry;		/* bytes of a request */
	bool in_place;		/* the result replaces the data, and differs each time */
	/* sizes of data for which a request is short, takes some and takes long */
	u32 brief;
	u32 some;
	u32 lengthy;
	/* Prepare what all requests share */
	void (*prepare)(struct probe_vf *vf);
	void (*fill)(struct probe_vf *vf, void *request, u32 len);
	/* Make a request one that no accelerator knows */
	void (*spoil)(void *request);
	bool (*failed)(const void *request);
};

/* The memory of a VF */
struct probe_ram {
	struct xqc sqc[HISI_ACC_QUEUES];	/* the tables */
	struct xqc cqc[HISI_ACC_QUEUES];
	__le32 eq[HISI_ACC_DEPTH];
	__le32 aeq[HISI_ACC_DEPTH];
	struct xqc context;			/* for the mailbox */
	u8 key[2 * 512];
	u8 sq[PROBE_QUEUES][PROBE_DEPTH * sizeof(struct sec_bd)] __aligned(4096);
	u8 other_sq[PROBE_DEPTH * sizeof(struct sec_bd)];
	struct cqe cq[PROBE_QUEUES][PROBE_DEPTH];
	u8 data[PROBE_DATA] __aligned(4096);
	u8 result[2 * PROBE_DATA];
};

struct probe_queue {
	u32 sent;
	u32 done;
	u32 failed;
};

struct probe_vf {
	const char *bdf;
	struct vfio_pci_device *device;
	const struct probe_engine *engine;
	struct dma_region region;
	struct probe_ram *ram;
	struct probe_queue queue[PROBE_QUEUES];
	char driver[32];
	u32 revision;
	u32 version;		/* of the hardware, from its register; 0 before V4 */
	u32 queues;
	bool used;		/* it may have requests */
	u64 enough;		/* by then, what happens at all has happened */
};

struct probe_options {
	bool risky;
	u32 rounds;
	const char *profile;
};

/* hisi_acc_probe_device.c */

/*
 * Why the VF cannot be probed, or NULL: no VF of an accelerator, not bound to a VFIO
 * driver, in use
 */
const char *probe_refusal(const char *bdf);
/* Open a VF that is not refused; the IOVAs of both VFs are different */
void probe_open(struct probe_vf *vf, const char *bdf, unsigned int number);
void probe_close(struct probe_vf *vf);
void probe_reset(struct probe_vf *vf);
u32 probe_read(struct probe_vf *vf, unsigned int offset);
void probe_write(struct probe_vf *vf, unsigned int offset, u32 value);
iova_t probe_iova(struct probe_vf *vf, const void *address);
void probe_master(struct probe_vf *vf, bool on);
/* Store to a mailbox or doorbell by words of 4 bytes */
void probe_narrow_store(struct probe_vf *vf, unsigned int offset, const u32 *words,
			unsigned int count);
/* Map BAR2 of a PF or VF read-only by sysfs; NULL if the kernel does not permit it */
volatile void *probe_map_sysfs(const char *bdf, size_t size);
u64 probe_now(void);

/*
 * A command of the mailbox, read back by loads of 16 bytes. Returns its status, 0 if it
 * was done, or -ETIMEDOUT; data takes the operand and the result, and may be NULL.
 */
int probe_mailbox(struct probe_vf *vf, u32 command, u32 queue, u64 *data);
/* Store a command; and wait for the end of it */
void probe_mailbox_start(struct probe_vf *vf, u32 command, u32 queue, u64 data);
int probe_mailbox_end(struct probe_vf *vf, u64 *data);
/* Write contexts of queues back to memory */
int probe_write_back(struct probe_vf *vf);

/* hisi_acc_probe_engine.c */
const struct probe_engine *probe_engine_of(u16 device);

/* hisi_acc_probe_queue.c */

/* Reset the VF and set up so many queues */
int probe_set_up(struct probe_vf *vf, unsigned int queues);
int probe_set_sqc(struct probe_vf *vf, unsigned int queue);
int probe_set_cqc(struct probe_vf *vf, unsigned int queue);
/* The same as probe_set_sqc() with addresses of a process, whose PASID is 0 */
int probe_set_sqc_of_process(struct probe_vf *vf, unsigned int queue);
void probe_doorbell(struct probe_vf *vf, unsigned int queue, u64 command, u64 index,
		    u64 priority);
#define DB_TAG(tag)	((tag) << 4)	/* with the command: that of contexts here is 0 */
/* Requests into the ring of a queue, without a doorbell */
void probe_put(struct probe_vf *vf, unsigned int queue, unsigned int count, u32 len);
/* The doorbell for all that is in the ring, and the resume doorbell */
void probe_ring(struct probe_vf *vf, unsigned int queue);
void probe_resume(struct probe_vf *vf, unsigned int queue);
/* The same at once */
void probe_submit(struct probe_vf *vf, unsigned int queue, unsigned int count, u32 len);
/* Completions so far */
u32 probe_done(struct probe_vf *vf, unsigned int queue);
/* Whether there are so many before the time is over */
bool probe_wait(struct probe_vf *vf, unsigned int queue, u32 done, u64 time);
/* Whether all that was submitted completes within seconds */
bool probe_finish(struct probe_vf *vf, unsigned int queue);
/* Tell the device that completions were read; arm: an event at the next one */
void probe_consume(struct probe_vf *vf, unsigned int queue, bool arm);
/* How long one request of this size takes; 0 if it does not complete */
u64 probe_duration(struct probe_vf *vf, u32 len);

/* hisi_acc_probe_report.c */

/* Ends the program if the profile cannot be written */
void report_prepare(const struct probe_options *options);
void report_begin(const struct probe_vf *vf, unsigned int lines);
/* What was seen, and how */
void report_value(const char *name, const char *value, const char *how, ...)
	__printf(3, 4);
/* Why it could not be seen */
void report_unseen(const char *name, const char *why, ...) __printf(2, 3);
/* The same, where the VF was faster than this program: another try may see it */
void report_missed(const char *name, const char *why, ...) __printf(2, 3);
/* The device did not do what it has to */
void report_failure(const char *name, const char *how, ...) __printf(2, 3);
/* Sorts the times */
void report_times(const char *name, u64 *times, u32 count);
/*
 * At the end of an experiment: print its lines and return true; or forget them and
 * return false, if something was missed and it can be repeated
 */
bool report_experiment(bool repeatable);
/* Write the profile; returns the exit status */
int report_end(void);

/*
 * Experiments; each reports on its lines. other is NULL if there is one VF only.
 */
struct probe_experiment {
	const char *names;	/* of its lines, separated by spaces */
	void (*run)(struct probe_vf *vf, struct probe_vf *other,
		    const struct probe_options *options);
	const char *risk;	/* what it may disturb, if asked for; NULL if nothing */
	bool partly;		/* it reports without the risk, too */
};

extern const struct probe_experiment probe_pause_experiments[];
extern const struct probe_experiment probe_context_experiments[];
extern const struct probe_experiment probe_register_experiments[];
extern const struct probe_experiment probe_doorbell_experiments[];
extern const struct probe_experiment probe_event_experiments[];
extern const struct probe_experiment probe_power_experiments[];
extern const struct probe_experiment probe_error_experiments[];
extern const struct probe_experiment probe_time_experiments[];

#endif
