/* SPDX-License-Identifier: GPL-2.0 */
/*
 * HiSilicon accelerator model: counters of a function, by name
 */

#ifndef HW_MISC_HISI_ACC_STATS_H
#define HW_MISC_HISI_ACC_STATS_H

#include "qom/object.h"

typedef struct HisiAccFunc HisiAccFunc;

/* What a driver does and what the device answers */
#define HISI_ACC_EVENTS(X)                                                  \
    X(READ, "reads")                                                        \
    X(WRITE, "writes")                                                      \
    X(SQ_DOORBELL, "sq-doorbells")                                          \
    X(CQ_DOORBELL, "cq-doorbells")                                          \
    X(EQ_DOORBELL, "eq-doorbells")                                          \
    X(AEQ_DOORBELL, "aeq-doorbells")                                        \
    X(KICK, "kicks")                                                        \
    X(KICK_UNUSED, "kicks-of-unused-queues")                                \
    X(FETCHED, "requests-fetched")                                          \
    X(COMPLETED, "requests-completed")                                      \
    X(FAILED, "requests-failed")                                            \
    X(HELD, "requests-held-by-pause")                                       \
    X(CQE, "cqes")                                                          \
    X(EQE, "eqes")                                                          \
    X(AEQE, "aeqes")                                                        \
    X(MSI_EQ, "msi-eq")                                                     \
    X(MSI_AEQ, "msi-aeq")                                                   \
    X(MSI_IFC, "msi-ifc")                                                   \
    X(MSI_ABNORMAL, "msi-abnormal")                                         \
    X(MSI_LOST, "msi-not-enabled")                                          \
    X(WRITEBACK, "write-backs")                                             \
    X(CONTEXT_SAVED, "contexts-written-back")                               \
    X(CONTEXT_FETCHED, "contexts-fetched")                                  \
    X(DMA_READ, "dma-bytes-read")                                           \
    X(DMA_WRITE, "dma-bytes-written")                                       \
    X(RESET, "resets")

/* What a driver does wrong: a counter, and the words of the one log line */
#define HISI_ACC_ERRORS(X)                                                  \
    X(UNDEFINED, "undefined-register", "access to an undefined register")   \
    X(WIDTH, "register-width", "write of a register in part")               \
    X(DB_RANGE, "doorbell-out-of-range", "doorbell out of range")           \
    X(DB_STALE, "stale-doorbell", "stale doorbell")                         \
    X(DB_CONTEXT, "doorbell-without-context",                               \
      "doorbell of a queue whose context the device does not hold")         \
    X(DB_STOPPED, "doorbell-of-stopped-queue", "doorbell of a stopped queue") \
    X(DB_PAUSED, "doorbell-while-paused", "doorbell while paused")          \
    X(DB_COMMAND, "doorbell-command", "doorbell with an unknown command")   \
    X(KICK_INDEX, "kick-with-index", "resume doorbell with an index")       \
    X(KICK_NO_TABLE, "kick-without-table",                                  \
      "resume doorbell before the context table is known")                  \
    X(EQ_UNSET, "event-queue-unset", "event queue without base address")    \
    X(EQ_OVERRUN, "eq-overrun", "event queue full")                         \
    X(CQ_OVERRUN, "cq-overrun", "completion queue full")                    \
    X(CONTEXT, "bad-context", "context that makes no sense")                \
    X(WB_NO_TABLE, "write-back-without-table",                              \
      "write-back of contexts with no table to write them to")              \
    X(WB_BUSY, "write-back-while-busy",                                     \
      "write-back of a queue that still has work and is not paused")        \
    X(MB_OPCODE, "mailbox-opcode", "unknown mailbox command")               \
    X(MB_BUSY, "mailbox-busy", "mailbox written while busy")                \
    X(MB_QUEUE, "mailbox-queue", "mailbox command for a foreign queue")     \
    X(MB_PAUSED, "mailbox-while-paused",                                    \
      "stop or flush of a paused function drains nothing")                  \
    X(VFT, "vft-function", "VFT access for a function that does not exist") \
    X(IFC, "message-destination", "message to a function not there")        \
    X(DMA_FAULT, "dma-fault", "DMA fault")                                  \
    X(SGL, "bad-sgl", "scatter list that makes no sense")                   \
    X(BD, "bad-request", "request that makes no sense")

#define HISI_ACC_EVENT_ENUM(id, name) HISI_ACC_EV_##id,
enum HisiAccEvent { HISI_ACC_EVENTS(HISI_ACC_EVENT_ENUM) HISI_ACC_EV_COUNT };

#define HISI_ACC_ERROR_ENUM(id, name, text) HISI_ACC_ERR_##id,
enum HisiAccError { HISI_ACC_ERRORS(HISI_ACC_ERROR_ENUM) HISI_ACC_ERR_COUNT };

#define HISI_ACC_MB_OPS 16

typedef struct HisiAccStats {
    uint64_t events[HISI_ACC_EV_COUNT];
    uint64_t errors[HISI_ACC_ERR_COUNT];
    uint64_t mailbox_set[HISI_ACC_MB_OPS];
    uint64_t mailbox_get[HISI_ACC_MB_OPS];
} HisiAccStats;

void hisi_acc_count(HisiAccFunc *f, enum HisiAccEvent event, uint64_t n);

/* Counts a mistake of the guest's; the first of each kind is logged */
void hisi_acc_guest_error(HisiAccFunc *f, enum HisiAccError error,
                          uint64_t detail);

/* Adds the read-only property "counters" to the class of functions */
void hisi_acc_stats_class(ObjectClass *class);

#endif
