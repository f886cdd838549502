/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: what its files have in common
 *
 * A device is one PF and its VFs. Each of them is a HisiAccFunc with a queue
 * manager of its own; what all of them share (VFT, messages, choices made by
 * the user) lives in the PF. An engine (SEC2, HPRE, ZIP) is a const table.
 */

#ifndef HW_MISC_HISI_ACC_H
#define HW_MISC_HISI_ACC_H

#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "hw/pci/pci_device.h"
#include "qom/object.h"
#include "hisi_acc_engine.h"

#define HISI_ACC_MAX_FUNCS   64          /* the PF is 0, VF n is n */
#define HISI_ACC_MAX_QUEUES  1024
#define HISI_ACC_MAX_SLOTS   64
#define HISI_ACC_SQE_MAX     128
#define HISI_ACC_CQE_SIZE    16
#define HISI_ACC_XQC_SIZE    32          /* a context in memory */
#define HISI_ACC_EQC_SIZE    28
#define HISI_ACC_EQC_WORDS   7

#define HISI_ACC_BAR         2
#define HISI_ACC_DB_BAR      4           /* with isolated doorbells */
#define HISI_ACC_DB_PITCH    (64 * KiB)
#define HISI_ACC_PF_BAR_SIZE (4 * MiB)
#define HISI_ACC_VF_BAR_SIZE (64 * KiB)

enum HisiAccVector {
    HISI_ACC_MSI_EQ,
    HISI_ACC_MSI_AEQ,
    HISI_ACC_MSI_IFC,
    HISI_ACC_MSI_ABNORMAL,
    HISI_ACC_MSI_COUNT
};

enum HisiAccAeqe {
    HISI_ACC_AEQE_CQ_OVERFLOW,
    HISI_ACC_AEQE_EQ_OVERFLOW,
    HISI_ACC_AEQE_CQE_ERROR
};

#define TYPE_HISI_ACC_FUNC "hisi-acc-function"
#define TYPE_HISI_ACC_PF   "hisi-acc-pf"
#define TYPE_HISI_ACC_VF   "hisi-acc-vf"
OBJECT_DECLARE_TYPE(HisiAccFunc, HisiAccFuncClass, HISI_ACC_FUNC)
OBJECT_DECLARE_SIMPLE_TYPE(HisiAccPf, HISI_ACC_PF)

struct HisiAccFuncClass {
    PCIDeviceClass parent_class;
    const HisiAccEngine *engine;
};

/* What SQC and CQC have in common; raw keeps what the device does not use */
typedef struct HisiAccContext {
    bool held;                      /* here, not in the table */
    bool wrap;
    uint8_t raw[HISI_ACC_XQC_SIZE];
    uint64_t base;
    uint32_t depth;
    uint16_t head;                  /* SQ: first request not completed */
    uint16_t tail;
    uint16_t tag;
} HisiAccContext;

typedef struct HisiAccSq {
    HisiAccContext ctx;
    bool draining;                  /* empties its ring, to be stopped */
    bool stopped;
    uint16_t fetch;                 /* first request not taken by the engine */
    uint16_t cq;
    uint8_t alg_type;
} HisiAccSq;

typedef struct HisiAccCq {
    HisiAccContext ctx;
    bool phase;
    bool armed;
} HisiAccCq;

typedef struct HisiAccQueue {
    HisiAccSq sq;
    HisiAccCq cq;
    unsigned in_flight;
    uint64_t used;                  /* HisiAccFunc.uses at its last use */
} HisiAccQueue;

/* EQ or AEQ: the words are the context and the VF's migration registers */
typedef struct HisiAccEventQueue {
    uint32_t dw[HISI_ACC_EQC_WORDS];
    uint32_t source;
    uint32_t mask;
    bool raised;                    /* an MSI since the last doorbell */
} HisiAccEventQueue;

typedef struct HisiAccRequest {
    uint16_t queue;
    uint16_t index;
    int64_t taken;                  /* microseconds */
    HisiAccJob *job;                /* NULL before, and afterwards */
    bool processed;                 /* only the result is to be written */
    unsigned first;                 /* byte of it, and their number */
    unsigned length;
    uint8_t sqe[HISI_ACC_SQE_MAX];
} HisiAccRequest;

struct HisiAccFunc {
    PCIDevice parent_obj;

    HisiAccPf *pf;
    unsigned number;
    char name[16];                  /* for messages: "PF", "VF 1" */
    unsigned resets;                /* for a DMA that causes one */
    MemoryRegion bar;
    MemoryRegion db_bar;

    /* registers that the PF and each VF have */
    HisiAccEventQueue eq;
    HisiAccEventQueue aeq;
    uint32_t ifc_source;
    uint32_t ifc_mask;
    uint32_t ifc_set;
    uint32_t page_size;
    uint32_t vf_state;
    uint32_t db_drop;
    uint32_t msi_kept;              /* bit n: vector n may not be sent yet */
    bool waiting;                   /* for the right to begin DMA */
    bool cq_waits;                  /* to write an event */

    uint8_t mailbox[16];
    uint64_t mailbox_low;           /* the first half of a store of 16 bytes */
    bool mailbox_half;              /* and it was the last store there */
    bool mailbox_running;
    bool mailbox_draining;          /* its command waits for requests */
    bool mailbox_stuck;
    QEMUTimer *mailbox_timer;
    QEMUBH *mailbox_bh;

    bool writeback_running;
    bool writeback_stuck;
    QEMUTimer *writeback_timer;
    QEMUBH *writeback_bh;

    /* queues, indexed by their number in the PF or VF */
    uint64_t sqc_table;
    uint64_t cqc_table;
    HisiAccQueue *queues;
    uint64_t uses;
    unsigned long pending[BITS_TO_LONGS(HISI_ACC_MAX_QUEUES)];
    unsigned long paused[BITS_TO_LONGS(HISI_ACC_MAX_QUEUES)];

    /* what the engine has taken: a FIFO in order of completion */
    HisiAccRequest slots[HISI_ACC_MAX_SLOTS];
    unsigned slot_first;
    unsigned slot_used;
    bool processing;                /* DMA is the engine's, not the queues' */
    unsigned next_queue;
    bool pausing;
    unsigned pause_left;            /* requests that the pause waits for */
    bool awake;                     /* the engine has to look at it */
    QEMUTimer *engine_timer;

    HisiAccStats stats;
};

enum HisiAccScope { HISI_ACC_SCOPE_QUEUE, HISI_ACC_SCOPE_FUNCTION };
enum HisiAccCause { HISI_ACC_BY_KICK, HISI_ACC_BY_DOORBELL };
enum HisiAccUnpause { HISI_ACC_UNPAUSE_DOORBELL, HISI_ACC_UNPAUSE_KICK };
enum HisiAccInflight { HISI_ACC_FINISH, HISI_ACC_HOLD };

enum HisiAccMasterOff {
    HISI_ACC_MASTER_FAIL,
    HISI_ACC_MASTER_WAIT,
    HISI_ACC_MASTER_RESET
};
enum HisiAccD3Access { HISI_ACC_D3_ALL_ONES, HISI_ACC_D3_ABORT };
enum HisiAccMessageMask { HISI_ACC_MASK_SET, HISI_ACC_MASK_KEEP };
enum HisiAccNarrowRead { HISI_ACC_READ_OWN, HISI_ACC_READ_FOREIGN };
enum HisiAccReopen { HISI_ACC_REOPEN_CLEAR, HISI_ACC_REOPEN_TOGGLE };
enum HisiAccMigRegsReset { HISI_ACC_MIG_REGS_KEEP, HISI_ACC_MIG_REGS_LOST };

enum HisiAccRas { HISI_ACC_RAISES, HISI_ACC_SILENT };
enum HisiAccSwitch { HISI_ACC_OFF, HISI_ACC_ON };
enum HisiAccVersion { HISI_ACC_V3, HISI_ACC_V4, HISI_ACC_V5 };

/* What may be broken, see README.md */
enum HisiAccFault { HISI_ACC_SOUND, HISI_ACC_BROKEN };
enum HisiAccMailboxFault {
    HISI_ACC_MB_SOUND,
    HISI_ACC_MB_BUSY,
    HISI_ACC_MB_FAIL,
    HISI_ACC_MB_GARBAGE
};
enum HisiAccStateFault {
    HISI_ACC_STATE_SOUND,
    HISI_ACC_STATE_READY,
    HISI_ACC_STATE_NOT_READY
};
#define HISI_ACC_ANY         UINT32_MAX

/* What the user may choose, see README.md */
typedef struct HisiAccConfig {
    enum HisiAccScope kick_scope;
    enum HisiAccCause context_fetch;
    enum HisiAccUnpause unpause;
    enum HisiAccInflight pause_inflight;
    enum HisiAccMasterOff bus_master_off;
    enum HisiAccD3Access d3_access;
    enum HisiAccMigRegsReset mig_regs_reset;
    enum HisiAccNarrowRead mailbox_narrow_read;
    enum HisiAccMessageMask message_mask_reset;
    enum HisiAccReopen bus_reopen;
    enum HisiAccRas ras;
    enum HisiAccSwitch ras_overflow;
    uint32_t request_latency;       /* all latencies in microseconds */
    uint32_t mailbox_latency;
    uint32_t writeback_latency;
    uint32_t engine_slots;
    uint32_t context_cache;         /* queues of a PF or VF; 0: all */
    enum HisiAccVersion hw_version;
    enum HisiAccSwitch isolation;
    enum HisiAccSwitch no_soft_reset;
    uint32_t vfs;
    uint32_t queues;
    uint32_t vf_vectors;
    uint32_t sq_depth;
    uint32_t cq_depth;
    uint32_t eq_depth;
    uint32_t aeq_depth;
    uint64_t pf_algs;
    uint64_t vf_algs;
    uint32_t fault_function;        /* whose faults, or HISI_ACC_ANY */
    uint32_t fault_opcode;
    enum HisiAccMailboxFault fault_mailbox;
    enum HisiAccFault fault_writeback;
    enum HisiAccStateFault fault_vf_state;
    enum HisiAccFault fault_registers;
    enum HisiAccFault fault_reraise;
    uint32_t fault_msi_drop;
    uint32_t error_reads;           /* 0: errors last until they are cleared */
} HisiAccConfig;

#define HISI_ACC_VFT_TYPES   3
#define HISI_ACC_SHAPERS     4

struct HisiAccPf {
    HisiAccFunc parent_obj;

    HisiAccConfig cfg;
    HisiAccFunc *funcs[HISI_ACC_MAX_FUNCS];

    uint32_t qm_regs[0x5000 / 4];   /* from 0x100000 */
    uint32_t am_regs[0xa000 / 4];   /* from 0x300000 */

    uint64_t vft_sqc[HISI_ACC_MAX_FUNCS];
    uint64_t vft_cqc[HISI_ACC_MAX_FUNCS];
    uint64_t vft_shaper[HISI_ACC_MAX_FUNCS][HISI_ACC_SHAPERS];

    uint64_t message_to[HISI_ACC_MAX_FUNCS];
    uint64_t message_from[HISI_ACC_MAX_FUNCS];
    bool message_written;           /* to the register that V4 has for it */
    uint64_t ifc_ready;             /* bit n: VF n has not acknowledged */
    uint64_t ifc_source;            /* bit n: VF n has sent */

    HisiAccFunc *mailbox_last;      /* whose command came last */

    bool bus_latched;               /* an error has closed the bus */

    QEMUBH *work_bh;
    unsigned work_next;             /* the PF or VF whose turn is next */

    bool dma_active;
    bool dma_refused;               /* the one that is active */

    FILE *trace;
    char *trace_path;
};

/* The lower or the upper word of a register of 64 bits */
static inline uint32_t *hisi_acc_half(uint64_t *value, bool upper)
{
    return (uint32_t *)value + (upper != HOST_BIG_ENDIAN);
}

/* How far @index is ahead of @from in a ring */
static inline uint32_t hisi_acc_distance(uint32_t from, uint32_t index,
                                         uint32_t depth)
{
    return (index + depth - from) % depth;
}

/*
 * What the files offer, from the bottom up: no two of them call each other.
 *
 * hisi_acc_func.c: properties of a PF or VF, and its faults
 */
const HisiAccEngine *hisi_acc_engine(HisiAccFunc *f);
unsigned hisi_acc_vf_count(HisiAccPf *pf);
bool hisi_acc_vf_mse(HisiAccPf *pf);
void hisi_acc_dma_begin(HisiAccPf *pf);
bool hisi_acc_dma_end(HisiAccPf *pf);
bool hisi_acc_dma_to_itself(HisiAccPf *pf);
void hisi_acc_wake(HisiAccFunc *f);
bool hisi_acc_fault_msi(HisiAccFunc *f);
bool hisi_acc_fault_writeback(HisiAccFunc *f);
bool hisi_acc_fault_registers(HisiAccFunc *f);
bool hisi_acc_fault_reraise(HisiAccFunc *f);
uint32_t hisi_acc_fault_vf_state(HisiAccFunc *f, uint32_t value);
enum HisiAccMailboxFault hisi_acc_fault_mailbox(HisiAccFunc *f,
                                                unsigned command);

/* hisi_acc_trace.c: accesses to registers, counted and written to a file */
typedef struct HisiAccAccess {
    HisiAccFunc *owner;             /* whose register it is; NULL: none */
    HisiAccFunc *via;               /* through whose BAR it was reached */
    unsigned bar;
    enum HisiAccRegion region;
    uint32_t addr;                  /* in that BAR */
    uint32_t off;                   /* as in the owner's own BAR2 */
} HisiAccAccess;
void hisi_acc_access(const HisiAccAccess *a, bool write, uint64_t value,
                     unsigned size);
void hisi_acc_trace_exit(HisiAccPf *pf);
void hisi_acc_trace_class(ObjectClass *class);

/* hisi_acc_power.c: D3hot, and whether DMA and interrupts may begin */
typedef struct HisiAccPower {
    unsigned state;
    bool master;
} HisiAccPower;
enum HisiAccPowerReset {
    HISI_ACC_RESET_NONE,
    HISI_ACC_RESET_REGISTERS,       /* configuration space stays */
    HISI_ACC_RESET_ALL
};
bool hisi_acc_power_init(HisiAccFunc *f, Error **errp);
bool hisi_acc_asleep(HisiAccFunc *f);
bool hisi_acc_may_begin(HisiAccFunc *f);
bool hisi_acc_waits(HisiAccFunc *f);
HisiAccPower hisi_acc_power(HisiAccFunc *f);
enum HisiAccPowerReset hisi_acc_power_written(HisiAccFunc *f,
                                              HisiAccPower before);
void hisi_acc_power_reset(HisiAccFunc *f);
void hisi_acc_power_wake(HisiAccFunc *f);
void hisi_acc_msi(HisiAccFunc *f, enum HisiAccVector vector);
void hisi_acc_power_go_on(HisiAccFunc *f);

/* hisi_acc_aer.c: errors of the bus, as a root port reports them */
bool hisi_acc_aer_init(HisiAccFunc *f, Error **errp);
void hisi_acc_aer_exit(HisiAccFunc *f);
void hisi_acc_aer_reset(HisiAccFunc *f);
void hisi_acc_aer_written(HisiAccPf *pf);
uint32_t hisi_acc_aer_shown(HisiAccFunc *f, uint32_t addr, uint32_t value);

/* hisi_acc_store.c: words of the registers that the PF has for all */
bool hisi_acc_store_defined(HisiAccPf *pf, uint32_t off, bool write);
uint32_t *hisi_acc_store(HisiAccPf *pf, uint32_t off);
uint64_t hisi_acc_store64(HisiAccPf *pf, uint32_t off);
bool hisi_acc_mig_regs_in_pf(HisiAccPf *pf);
bool hisi_acc_doorbell_dropped(HisiAccFunc *f);

/* hisi_acc_vft.c: which queues are whose */
void hisi_acc_vft_run(HisiAccPf *pf);
unsigned hisi_acc_queue_count(HisiAccFunc *f);
void hisi_acc_vft_reset(HisiAccPf *pf);

/* hisi_acc_queue.c: pending requests of a queue, fetched requests */
HisiAccRequest *hisi_acc_slot(HisiAccFunc *f, unsigned n);
bool hisi_acc_queue_paused(HisiAccFunc *f, unsigned q);
bool hisi_acc_queue_pending(HisiAccFunc *f, unsigned q);
void hisi_acc_queue_update(HisiAccFunc *f, unsigned q);
void hisi_acc_queue_forget(HisiAccFunc *f, unsigned q);
void hisi_acc_queue_used(HisiAccFunc *f, unsigned q);

/* hisi_acc_ras.c: errors */
enum HisiAccUnit { HISI_ACC_QM, HISI_ACC_ENGINE };
#define HISI_ACC_RAS_READ      BIT(0)    /* what the queue manager raises */
#define HISI_ACC_RAS_WRITE     BIT(1)
#define HISI_ACC_RAS_OVERFLOW  BIT(11)
#define HISI_ACC_RAS_TAG       BIT(12)
uint32_t hisi_acc_ras_source(HisiAccPf *pf, enum HisiAccUnit unit);
uint32_t hisi_acc_ras_errors(HisiAccPf *pf, enum HisiAccUnit unit);
uint32_t hisi_acc_ras_status(HisiAccPf *pf, enum HisiAccUnit unit);
bool hisi_acc_bus_closed(HisiAccPf *pf);
void hisi_acc_bus_latch(HisiAccPf *pf);
bool hisi_acc_kept_from_memory(HisiAccFunc *f);
void hisi_acc_ras_report(HisiAccPf *pf, enum HisiAccUnit unit);
void hisi_acc_ras_raise(HisiAccPf *pf, enum HisiAccUnit unit, uint32_t bits);
void hisi_acc_ras(HisiAccFunc *f, uint32_t bits);
enum HisiAccFull { HISI_ACC_FULL_CQ, HISI_ACC_FULL_EQ };
void hisi_acc_ras_full(HisiAccFunc *f, enum HisiAccFull what, unsigned q);
void hisi_acc_ras_dma(HisiAccFunc *f, bool write);
uint64_t hisi_acc_ras_functions(HisiAccPf *pf);
void hisi_acc_ras_set_functions(HisiAccPf *pf, uint64_t functions);
void hisi_acc_ras_set_mask(HisiAccPf *pf, uint32_t off, uint32_t value);

/* hisi_acc_sgl.c, memory of the guest: see hisi_acc_engine.h */

/* hisi_acc_context.c: SQC and CQC */
#define HISI_ACC_ANY_TAG (-1)
bool hisi_acc_sqc_load(HisiAccFunc *f, unsigned q, uint64_t addr);
bool hisi_acc_cqc_load(HisiAccFunc *f, unsigned q, uint64_t addr);
bool hisi_acc_sqc_dump(HisiAccFunc *f, unsigned q, uint64_t addr);
bool hisi_acc_cqc_dump(HisiAccFunc *f, unsigned q, uint64_t addr);
bool hisi_acc_context_fetch(HisiAccFunc *f, unsigned q, int tag);
bool hisi_acc_context_save(HisiAccFunc *f, unsigned q);

/* hisi_acc_event.c: CQEs, EQ and AEQ */
void hisi_acc_eq_rearm(HisiAccFunc *f, HisiAccEventQueue *eq);
bool hisi_acc_cqe_post(HisiAccFunc *f, unsigned q, uint16_t sq_index);
void hisi_acc_cq_event(HisiAccFunc *f, unsigned q);
void hisi_acc_cq_rearm(HisiAccFunc *f);
void hisi_acc_eq_consumed(HisiAccFunc *f, HisiAccEventQueue *eq, uint16_t index,
                          uint64_t doorbell);
bool hisi_acc_eq_load(HisiAccFunc *f, HisiAccEventQueue *eq, uint64_t addr);
bool hisi_acc_eq_dump(HisiAccFunc *f, HisiAccEventQueue *eq, uint64_t addr);
void hisi_acc_event_reset(HisiAccFunc *f);

/* hisi_acc_work.c: what the engine takes, when it is done, pause and drain */
void hisi_acc_work(HisiAccFunc *f, int64_t end);
void hisi_acc_work_stop(HisiAccFunc *f, unsigned q);
void hisi_acc_work_flush(HisiAccFunc *f);
void hisi_acc_work_pause(HisiAccFunc *f);
bool hisi_acc_work_drained(HisiAccFunc *f);
void hisi_acc_work_unpause(HisiAccFunc *f, unsigned q);
uint32_t hisi_acc_work_usage(HisiAccPf *pf);
void hisi_acc_work_reset(HisiAccFunc *f);

/* hisi_acc_job.c: one request in the engine */
HisiAccJob *hisi_acc_job_begin(HisiAccFunc *f, unsigned alg_type,
                               const uint8_t *sqe);
void hisi_acc_job_finish(HisiAccFunc *f, HisiAccJob *job, HisiAccRequest *r);
void hisi_acc_job_drop(HisiAccJob *job);

/* hisi_acc_cache.c: contexts that go back to the tables */
void hisi_acc_cache_make_room(HisiAccFunc *f);
void hisi_acc_writeback_run(void *opaque);
void hisi_acc_writeback_start(HisiAccFunc *f);
void hisi_acc_writeback_retry(HisiAccFunc *f);
void hisi_acc_cache_reset(HisiAccFunc *f);

/* hisi_acc_doorbell.c */
void hisi_acc_doorbell(HisiAccFunc *f, uint64_t value, bool event_queue);

/* hisi_acc_ifc.c: messages between PF and VF */
void hisi_acc_ifc_store(HisiAccFunc *f, uint16_t dest, uint64_t message);
bool hisi_acc_ifc_fetch(HisiAccFunc *f, uint16_t from, uint64_t *message);
void hisi_acc_ifc_to_vf(HisiAccPf *pf, unsigned dest);
void hisi_acc_ifc_to_pf(HisiAccFunc *vf);
void hisi_acc_ifc_ack(HisiAccFunc *f, uint32_t bits);
void hisi_acc_ifc_ack_vfs(HisiAccPf *pf, uint64_t vfs);
void hisi_acc_ifc_set_mask(HisiAccFunc *f, uint32_t mask);
uint32_t hisi_acc_ifc_status(HisiAccFunc *f);
void hisi_acc_ifc_reset(HisiAccFunc *f);
void hisi_acc_ifc_reset_all(HisiAccPf *pf);

/* hisi_acc_mailbox.c */
void hisi_acc_mailbox_write(HisiAccFunc *f, unsigned first, uint64_t value,
                            unsigned size);
uint64_t hisi_acc_mailbox_read(HisiAccFunc *f, unsigned first, unsigned size);
void hisi_acc_mailbox_run(void *opaque);
void hisi_acc_mailbox_drained(HisiAccFunc *f);
void hisi_acc_mailbox_retry(HisiAccFunc *f);
void hisi_acc_mailbox_reset(HisiAccFunc *f);

/* hisi_acc_wait.c */
void hisi_acc_go_on(HisiAccFunc *f);
void hisi_acc_go_on_all(HisiAccPf *pf);

/* hisi_acc_global.c: 32-bit accesses above 1 MiB of the PF's BAR2 */
uint32_t hisi_acc_global_read(HisiAccPf *pf, uint32_t off);
void hisi_acc_global_write(HisiAccPf *pf, uint32_t off, uint32_t value);
void hisi_acc_global_set_errors(HisiAccPf *pf, enum HisiAccUnit unit,
                                uint32_t bits);
void hisi_acc_global_reset(HisiAccPf *pf);

/* hisi_acc_regs.c: offsets as in a VF's own BAR2 */
uint32_t hisi_acc_reg_read(HisiAccFunc *f, uint32_t off);
void hisi_acc_reg_write(HisiAccFunc *f, uint32_t off, uint32_t value);
void hisi_acc_regs_reset(HisiAccFunc *f);

/* hisi_acc_bar.c: decodes addresses */
extern const MemoryRegionOps hisi_acc_bar_ops;
extern const MemoryRegionOps hisi_acc_db_bar_ops;
uint64_t hisi_acc_db_bar_size(HisiAccPf *pf);

/* hisi_acc_faults.c: properties of faults */
void hisi_acc_faults_class(ObjectClass *class);

/* hisi_acc_props.c: the other properties */
void hisi_acc_config_default(HisiAccPf *pf);
void hisi_acc_config_class(ObjectClass *class);
bool hisi_acc_config_check(HisiAccPf *pf, Error **errp);

/* hisi_acc_acpi.c: the method that resets the device, and its register */
#define HISI_ACC_CAP_RESET   0x40        /* in the PF's configuration space */
void hisi_acc_acpi_class(ObjectClass *class);

#endif
