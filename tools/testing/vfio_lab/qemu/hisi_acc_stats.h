/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: counters of a PF or VF, by name
 */

#ifndef HW_MISC_HISI_ACC_STATS_H
#define HW_MISC_HISI_ACC_STATS_H

#include "qom/object.h"

typedef struct HisiAccFunc HisiAccFunc;

/* What a driver does and what the device answers; named in hisi_acc_stats.c */
enum HisiAccEvent {
    HISI_ACC_EV_READ,
    HISI_ACC_EV_WRITE,
    HISI_ACC_EV_SQ_DOORBELL,
    HISI_ACC_EV_CQ_DOORBELL,
    HISI_ACC_EV_EQ_DOORBELL,
    HISI_ACC_EV_AEQ_DOORBELL,
    HISI_ACC_EV_DB_DROPPED,
    HISI_ACC_EV_DB_NO_MASTER,
    HISI_ACC_EV_KICK,
    HISI_ACC_EV_KICK_UNUSED,
    HISI_ACC_EV_FETCHED,
    HISI_ACC_EV_COMPLETED,
    HISI_ACC_EV_FAILED,
    HISI_ACC_EV_HELD,
    HISI_ACC_EV_CQE,
    HISI_ACC_EV_EQE,
    HISI_ACC_EV_AEQE,
    HISI_ACC_EV_MSI_EQ,
    HISI_ACC_EV_MSI_AEQ,
    HISI_ACC_EV_MSI_IFC,
    HISI_ACC_EV_MSI_ABNORMAL,
    HISI_ACC_EV_MSI_LOST,
    HISI_ACC_EV_MSI_DROPPED,
    HISI_ACC_EV_MSI_REFUSED,
    HISI_ACC_EV_WRITEBACK,
    HISI_ACC_EV_CONTEXT_SAVED,
    HISI_ACC_EV_CONTEXT_FETCHED,
    HISI_ACC_EV_DMA_READ,
    HISI_ACC_EV_DMA_WRITE,
    HISI_ACC_EV_BUS_CLOSED,
    HISI_ACC_EV_NO_MSE,
    HISI_ACC_EV_RESET,
    HISI_ACC_EV_COUNT
};

/* Guest errors */
enum HisiAccError {
    HISI_ACC_ERR_UNDEFINED,
    HISI_ACC_ERR_WIDTH,
    HISI_ACC_ERR_MIG_REGS,
    HISI_ACC_ERR_MIG_REGS_DB,
    HISI_ACC_ERR_DB_WIDTH,
    HISI_ACC_ERR_DB_RANGE,
    HISI_ACC_ERR_DB_STALE,
    HISI_ACC_ERR_DB_CONTEXT,
    HISI_ACC_ERR_DB_STOPPED,
    HISI_ACC_ERR_DB_PAUSED,
    HISI_ACC_ERR_DB_COMMAND,
    HISI_ACC_ERR_KICK_INDEX,
    HISI_ACC_ERR_KICK_NO_TABLE,
    HISI_ACC_ERR_EQ_UNSET,
    HISI_ACC_ERR_EQ_OVERRUN,
    HISI_ACC_ERR_CQ_OVERRUN,
    HISI_ACC_ERR_CONTEXT,
    HISI_ACC_ERR_WB_NO_TABLE,
    HISI_ACC_ERR_WB_BUSY,
    HISI_ACC_ERR_MB_OPCODE,
    HISI_ACC_ERR_MB_BUSY,
    HISI_ACC_ERR_MB_WIDTH,
    HISI_ACC_ERR_MB_QUEUE,
    HISI_ACC_ERR_MB_PAUSED,
    HISI_ACC_ERR_VFT,
    HISI_ACC_ERR_IFC,
    HISI_ACC_ERR_DMA_FAULT,
    HISI_ACC_ERR_DMA_REFUSED,
    HISI_ACC_ERR_D3_ACCESS,
    HISI_ACC_ERR_SGL,
    HISI_ACC_ERR_BD,
    HISI_ACC_ERR_COUNT
};

#define HISI_ACC_MB_OPS 16

/* The PF's registers for all, those of each PF and VF, and for migration */
enum HisiAccRegion {
    HISI_ACC_REGION_GLOBAL,
    HISI_ACC_REGION_FUNCTION,
    HISI_ACC_REGION_MIG_REGS,
    HISI_ACC_REGION_COUNT
};

#define HISI_ACC_WIDTHS 4           /* 1, 2, 4 and 8 bytes */

typedef struct HisiAccStats {
    uint64_t events[HISI_ACC_EV_COUNT];
    uint64_t errors[HISI_ACC_ERR_COUNT];
    uint64_t mailbox_set[HISI_ACC_MB_OPS];
    uint64_t mailbox_get[HISI_ACC_MB_OPS];
    uint64_t reads[HISI_ACC_REGION_COUNT * HISI_ACC_WIDTHS];
    uint64_t writes[HISI_ACC_REGION_COUNT * HISI_ACC_WIDTHS];
} HisiAccStats;

void hisi_acc_count(HisiAccFunc *f, enum HisiAccEvent event, uint64_t n);

/* Counts a guest error; the first of each kind is logged */
void hisi_acc_guest_error(HisiAccFunc *f, enum HisiAccError error,
                          uint64_t detail);

/* Adds the read-only property "counters" to the class of PFs and VFs */
void hisi_acc_stats_class(ObjectClass *class);

#endif
