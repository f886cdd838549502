/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: what an engine (SEC2, HPRE, ZIP) is to the
 * device, and what the device does for it
 */

#ifndef HW_MISC_HISI_ACC_ENGINE_H
#define HW_MISC_HISI_ACC_ENGINE_H

#include "qemu/bitops.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "hisi_acc_stats.h"

/* Registers of the PF's BAR2 from 0x100000 on */
typedef struct HisiAccRange {
    uint32_t first;
    uint32_t last;
    bool writable;
} HisiAccRange;

/* Capabilities from 0x3124 on: errors of the queue manager and the engine */
enum HisiAccCap {
    HISI_ACC_CAP_QM_ERRORS,
    HISI_ACC_CAP_QM_RESET,          /* errors that need a reset */
    HISI_ACC_CAP_QM_CORRECTED,
    HISI_ACC_CAP_ERRORS,
    HISI_ACC_CAP_RESET,
    HISI_ACC_CAP_CORRECTED,
    HISI_ACC_CAP_CORES,
    HISI_ACC_CAP_CORES_ENABLED,
    HISI_ACC_CAP_COUNT
};

/* A part that the PF's driver initialises, and waits until it is done */
typedef struct HisiAccInit {
    uint32_t start;                 /* bit 0 starts it */
    uint32_t done;
    uint32_t value;                 /* what done reads from then on */
} HisiAccInit;

typedef struct HisiAccEngine HisiAccEngine;

/*
 * A request that is being computed; an engine's own kind of job begins with it.
 * What @in and @out point to is freed with it.
 */
typedef struct HisiAccJob {
    uint8_t *in;
    uint8_t *out;
    bool lengthy;                   /* may take more than a millisecond */

    /* the device's, see hisi_acc_job.c */
    HisiAccFunc *f;                 /* NULL: the request is gone */
    const HisiAccEngine *engine;
    bool at_work;                   /* in another thread */
} HisiAccJob;

struct HisiAccEngine {
    const char *name;
    const char *vf_type;
    const char *title;              /* for people */
    uint16_t device_id;             /* of the PF, a VF's is the next */
    uint16_t class_id;
    unsigned sqe_size;
    uint64_t known_algs;            /* bits of the bitmap that it computes */
    uint64_t default_algs;
    uint32_t caps[HISI_ACC_CAP_COUNT];
    uint32_t alg_cap_last;          /* the bitmap is repeated up to here, ... */
    bool alg_cap_pairs;             /* ... in pairs low/high */
    const HisiAccRange *ranges;     /* PF registers, ends with last 0 */
    const HisiAccInit *inits;       /* ends with start 0; NULL: none */
    uint32_t int_source;            /* error source, write 1 to clear */
    uint32_t int_status;
    uint32_t int_mask;
    bool int_mask_enables;          /* a 1 in it lets an error be reported */
    uint32_t int_set;               /* raises errors; 0 if it has none */
    uint32_t int_shutdown;          /* errors that close the way to memory */
    uint32_t shutdown_control;      /* bit 0 after 1 may open it again */
    uint32_t shutdown_enable;       /* which bit */
    uint32_t read_error;            /* bits for data that is out of reach */
    uint32_t write_error;
    size_t job_size;
    /*
     * Reads what a request needs into @job, which is zeroed. @alg_type is what
     * the context says of its queue, @sqe the device's copy. False if there is
     * nothing to compute.
     */
    bool (*begin)(HisiAccFunc *f, unsigned alg_type, const uint8_t *sqe,
                  HisiAccJob *job);
    /* Perhaps in another thread: may use @job only */
    void (*compute)(HisiAccJob *job);
    /*
     * Writes what was computed to the guest's memory, and into @sqe how it
     * went; says which bytes of that go back to the ring.
     */
    void (*finish)(HisiAccFunc *f, HisiAccJob *job, uint8_t *sqe,
                   unsigned *first, unsigned *length);
};

void hisi_acc_engine_register(const HisiAccEngine *engine);

/* The algorithms that the PF or VF reports, and computes */
uint64_t hisi_acc_algs(const HisiAccFunc *f);

/* Memory of the guest; a failure is counted and logged */
enum HisiAccBuffer { HISI_ACC_FLAT, HISI_ACC_SGL };
bool hisi_acc_dma_read(HisiAccFunc *f, uint64_t addr, void *buf, size_t len);
bool hisi_acc_dma_write(HisiAccFunc *f, uint64_t addr, const void *buf,
                        size_t len);
bool hisi_acc_gather(HisiAccFunc *f, enum HisiAccBuffer type, uint64_t addr,
                     size_t skip, uint8_t *buf, size_t len);
bool hisi_acc_scatter(HisiAccFunc *f, enum HisiAccBuffer type, uint64_t addr,
                      size_t skip, const uint8_t *buf, size_t len);

#endif
