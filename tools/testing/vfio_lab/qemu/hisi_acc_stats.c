/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: counters, readable by qom-get
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "hisi_acc.h"
#include "trace.h"

static const char *const event_names[] = {
    [HISI_ACC_EV_READ] = "reads",
    [HISI_ACC_EV_WRITE] = "writes",
    [HISI_ACC_EV_SQ_DOORBELL] = "sq-doorbells",
    [HISI_ACC_EV_CQ_DOORBELL] = "cq-doorbells",
    [HISI_ACC_EV_EQ_DOORBELL] = "eq-doorbells",
    [HISI_ACC_EV_AEQ_DOORBELL] = "aeq-doorbells",
    [HISI_ACC_EV_DB_DROPPED] = "doorbells-dropped",
    [HISI_ACC_EV_DB_NO_MASTER] = "doorbells-without-bus-master",
    [HISI_ACC_EV_KICK] = "kicks",
    [HISI_ACC_EV_KICK_UNUSED] = "kicks-of-unused-queues",
    [HISI_ACC_EV_FETCHED] = "requests-fetched",
    [HISI_ACC_EV_COMPLETED] = "requests-completed",
    [HISI_ACC_EV_FAILED] = "requests-failed",
    [HISI_ACC_EV_HELD] = "requests-held-by-pause",
    [HISI_ACC_EV_CQE] = "cqes",
    [HISI_ACC_EV_EQE] = "eqes",
    [HISI_ACC_EV_AEQE] = "aeqes",
    [HISI_ACC_EV_MSI_EQ] = "msi-eq",
    [HISI_ACC_EV_MSI_AEQ] = "msi-aeq",
    [HISI_ACC_EV_MSI_IFC] = "msi-ifc",
    [HISI_ACC_EV_MSI_ABNORMAL] = "msi-abnormal",
    [HISI_ACC_EV_MSI_LOST] = "msi-not-enabled",
    [HISI_ACC_EV_MSI_DROPPED] = "msi-dropped",
    [HISI_ACC_EV_MSI_REFUSED] = "msi-without-bus-master",
    [HISI_ACC_EV_WRITEBACK] = "write-backs",
    [HISI_ACC_EV_CONTEXT_SAVED] = "contexts-written-back",
    [HISI_ACC_EV_CONTEXT_FETCHED] = "contexts-fetched",
    [HISI_ACC_EV_DMA_READ] = "dma-bytes-read",
    [HISI_ACC_EV_DMA_WRITE] = "dma-bytes-written",
    [HISI_ACC_EV_BUS_CLOSED] = "dma-while-bus-closed",
    [HISI_ACC_EV_NO_MSE] = "accesses-without-vf-mse",
    [HISI_ACC_EV_RESET] = "resets",
};

/* The counter's name, and the text that is logged once */
static const struct {
    const char *name;
    const char *text;
} errors[] = {
    [HISI_ACC_ERR_UNDEFINED] = {
        "undefined-register",
        "access to an undefined register"
    },
    [HISI_ACC_ERR_WIDTH] = { "register-width", "write of a register in part" },
    [HISI_ACC_ERR_MIG_REGS] = {
        "mig-regs-not-there",
        "access to migration registers that are not there"
    },
    [HISI_ACC_ERR_MIG_REGS_DB] = {
        "event-doorbell-outside-mig-regs",
        "event queue doorbell that lands in the next VF's registers"
    },
    [HISI_ACC_ERR_DB_WIDTH] = {
        "doorbell-width",
        "doorbell that is not one store of 8 bytes"
    },
    [HISI_ACC_ERR_DB_RANGE] = {
        "doorbell-out-of-range",
        "doorbell out of range"
    },
    [HISI_ACC_ERR_DB_STALE] = { "stale-doorbell", "stale doorbell" },
    [HISI_ACC_ERR_DB_CONTEXT] = {
        "doorbell-without-context",
        "doorbell of a queue whose context the device does not hold"
    },
    [HISI_ACC_ERR_DB_STOPPED] = {
        "doorbell-of-stopped-queue",
        "doorbell of a stopped queue"
    },
    [HISI_ACC_ERR_DB_PAUSED] = {
        "doorbell-while-paused",
        "doorbell while paused"
    },
    [HISI_ACC_ERR_DB_COMMAND] = {
        "doorbell-command",
        "doorbell with an unknown command"
    },
    [HISI_ACC_ERR_KICK_INDEX] = {
        "kick-with-index",
        "resume doorbell with an index"
    },
    [HISI_ACC_ERR_KICK_NO_TABLE] = {
        "kick-without-table",
        "resume doorbell before the context table is known"
    },
    [HISI_ACC_ERR_EQ_UNSET] = {
        "event-queue-unset",
        "event queue without base address"
    },
    [HISI_ACC_ERR_EQ_OVERRUN] = { "eq-overrun", "event queue full" },
    [HISI_ACC_ERR_CQ_OVERRUN] = { "cq-overrun", "completion queue full" },
    [HISI_ACC_ERR_CONTEXT] = { "bad-context", "context that makes no sense" },
    [HISI_ACC_ERR_WB_NO_TABLE] = {
        "write-back-without-table",
        "write-back of contexts with no table to write them to"
    },
    [HISI_ACC_ERR_WB_BUSY] = {
        "write-back-while-busy",
        "write-back of a queue that still has work and is not paused"
    },
    [HISI_ACC_ERR_MB_OPCODE] = { "mailbox-opcode", "unknown mailbox command" },
    [HISI_ACC_ERR_MB_BUSY] = { "mailbox-busy", "mailbox written while busy" },
    [HISI_ACC_ERR_MB_WIDTH] = {
        "mailbox-width",
        "mailbox written otherwise than by one store of 16 bytes"
    },
    [HISI_ACC_ERR_MB_QUEUE] = {
        "mailbox-queue",
        "mailbox command for a foreign queue"
    },
    [HISI_ACC_ERR_MB_PAUSED] = {
        "mailbox-while-paused",
        "stop or flush while paused drains nothing"
    },
    [HISI_ACC_ERR_VFT] = {
        "vft-function",
        "VFT access for a VF or a type that does not exist"
    },
    [HISI_ACC_ERR_IFC] = {
        "message-destination",
        "message to or from a VF that is not there"
    },
    [HISI_ACC_ERR_DMA_FAULT] = { "dma-fault", "DMA fault" },
    [HISI_ACC_ERR_DMA_REFUSED] = {
        "dma-without-bus-master",
        "DMA without bus master enable or in D3hot"
    },
    [HISI_ACC_ERR_D3_ACCESS] = {
        "access-in-d3",
        "access to a register in D3hot"
    },
    [HISI_ACC_ERR_SGL] = { "bad-sgl", "scatter list that makes no sense" },
    [HISI_ACC_ERR_BD] = { "bad-request", "request that makes no sense" },
};

static const char *const mailbox_names[HISI_ACC_MB_OPS] = {
    [0x0] = "sqc",
    [0x1] = "cqc",
    [0x2] = "eqc",
    [0x3] = "aeqc",
    [0x4] = "sqc-table",
    [0x5] = "cqc-table",
    [0x6] = "vft",
    [0x8] = "stop-queue",
    [0x9] = "flush",
    [0xc] = "message-send",
    [0xd] = "message-receive",
    [0xe] = "pause",
};

/* By region, then by width */
static const char *const access_names[] = {
    "global-1", "global-2", "global-4", "global-8",
    "function-1", "function-2", "function-4", "function-8",
    "mig-regs-1", "mig-regs-2", "mig-regs-4", "mig-regs-8",
};

void hisi_acc_count(HisiAccFunc *f, enum HisiAccEvent event, uint64_t n)
{
    f->stats.events[event] += n;
    trace_hisi_acc_event(hisi_acc_engine(f)->name, f->name,
                         event_names[event], n);
}

void hisi_acc_guest_error(HisiAccFunc *f, enum HisiAccError error,
                          uint64_t detail)
{
    trace_hisi_acc_guest_error(hisi_acc_engine(f)->name, f->name,
                               errors[error].name, detail);
    if (f->stats.errors[error]++) {
        return;
    }
    qemu_log_mask(LOG_GUEST_ERROR, "%s %s: %s (0x%" PRIx64 ")\n",
                  hisi_acc_engine(f)->name, f->name, errors[error].text,
                  detail);
}

QEMU_BUILD_BUG_ON(ARRAY_SIZE(event_names) != HISI_ACC_EV_COUNT);
QEMU_BUILD_BUG_ON(ARRAY_SIZE(errors) != HISI_ACC_ERR_COUNT);
QEMU_BUILD_BUG_ON(ARRAY_SIZE(access_names) !=
                  HISI_ACC_REGION_COUNT * HISI_ACC_WIDTHS);

static const char *event_name(unsigned i)
{
    return event_names[i];
}

static const char *error_name(unsigned i)
{
    return errors[i].name;
}

static const char *mailbox_name(unsigned i)
{
    return mailbox_names[i];
}

static const char *access_name(unsigned i)
{
    return access_names[i];
}

static bool visit_counters(Visitor *v, const char *group,
                           const char *(*name)(unsigned), uint64_t *values,
                           unsigned count, Error **errp)
{
    if (!visit_start_struct(v, group, NULL, 0, errp)) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        uint64_t copy = values[i];

        if (name(i) && !visit_type_uint64(v, name(i), &copy, errp)) {
            visit_end_struct(v, NULL);
            return false;
        }
    }
    visit_end_struct(v, NULL);
    return true;
}

static void get_counters(Object *obj, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    HisiAccStats *stats = &HISI_ACC_FUNC(obj)->stats;

    if (!visit_start_struct(v, name, NULL, 0, errp)) {
        return;
    }
    if (visit_counters(v, "events", event_name, stats->events,
                       HISI_ACC_EV_COUNT, errp) &&
        visit_counters(v, "mailbox-set", mailbox_name, stats->mailbox_set,
                       HISI_ACC_MB_OPS, errp) &&
        visit_counters(v, "mailbox-get", mailbox_name, stats->mailbox_get,
                       HISI_ACC_MB_OPS, errp) &&
        visit_counters(v, "reads", access_name, stats->reads,
                       ARRAY_SIZE(access_names), errp) &&
        visit_counters(v, "writes", access_name, stats->writes,
                       ARRAY_SIZE(access_names), errp)) {
        visit_counters(v, "guest-errors", error_name, stats->errors,
                       HISI_ACC_ERR_COUNT, errp);
    }
    visit_end_struct(v, NULL);
}

void hisi_acc_stats_class(ObjectClass *class)
{
    object_class_property_add(class, "counters", "struct", get_counters,
                              NULL, NULL, NULL);
    object_class_property_set_description(class, "counters",
        "What the PF or VF did and what its driver did wrong, by name");
}
