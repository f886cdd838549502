/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: offsets of registers
 *
 * The engines have registers of their own, from 0x301000 on, in their tables.
 */

#ifndef HW_MISC_HISI_ACC_OFFSETS_H
#define HW_MISC_HISI_ACC_OFFSETS_H

/* BAR2 of the PF and of each VF */
#define AEQ_INT_SOURCE      0x0000
#define AEQ_INT_MASK        0x0004
#define EQ_INT_SOURCE       0x0008
#define EQ_INT_MASK         0x000c
#define IFC_INT_SOURCE      0x0020
#define IFC_INT_MASK        0x0024
#define IFC_INT_STATUS      0x0028
#define IFC_INT_SET         0x002c
#define QUE_ISO_CFG         0x0030
#define PAGE_SIZE_CFG       0x0034
#define FUN_DB_DROP         0x0038      /* from V5 on */
#define VF_STATE            0x0060
#define CACHE_WB_START      0x0204
#define CACHE_WB_DONE       0x0208
#define SUB_VERSION         0x0210
#define MAILBOX_FIRST       0x0300
#define MAILBOX_LAST        0x030f
#define MESSAGE_TO_PF       0x0320      /* from V4 on, of a VF: 64 bits */
#define MESSAGE_FROM_PF     0x0380
#define LOCAL_LAST          0x03ff      /* reserved words read as 0 */
#define SQ_CQ_DOORBELL      0x1000
#define CHANNEL_FIRST       0x1100      /* use of the engine, from V5 on */
#define CHANNEL_LAST        0x111c
#define EQ_AEQ_DOORBELL     0x2000

/* Capabilities */
#define CAPS_FIRST          0x3100
#define CAP_FUNCTIONS       0x3100
#define CAP_EVENT_DEPTHS    0x3104
#define CAP_QUEUE_DEPTHS    0x3108
#define CAP_EQ_IRQ          0x310c
#define CAP_AEQ_IRQ         0x3110
#define CAP_ABNORMAL_IRQ    0x3114
#define CAP_IFC_IRQ         0x3118
#define CAP_VECTORS         0x311c
#define CAP_EXT_BAR         0x3120
#define CAP_ENGINE_FIRST    0x3124      /* enum HisiAccCap */
#define CAP_ALGS_FIRST      0x3144
#define CAPS_LAST           0x31ff

/* Upper half of a VF's BAR2, for migration */
#define VF_MIG_REGS         0x8000
#define VF_EQC              0x8000
#define VF_AEQC             0x8020

/* BAR2 of the PF, for the whole device */
#define GLOBAL_FIRST        0x100000
#define ABN_INT_SOURCE      0x100000
#define ABN_INT_MASK        0x100004
#define ABN_INT_STATUS      0x100008
#define ABN_INT_SET         0x10000c
#define ABN_INF_FULL        0x100010    /* of bit 11: queue, what << 6, whose */
#define MEM_START_INIT      0x100040
#define MEM_INIT_DONE       0x100044
#define VFT_CFG_OP_ENABLE   0x100054
#define VFT_CFG_OP_READ     0x100058    /* the drivers call it OP_WR */
#define VFT_CFG_TYPE        0x10005c
#define VFT_CFG_FUNCTION    0x100060
#define VFT_CFG_DATA_L      0x100064
#define VFT_CFG_DATA_H      0x100068
#define VFT_CFG_RDY         0x10006c
#define IFC_READY_STATUS    0x100128
#define IFC_INT_SET_P       0x100130
#define IFC_INT_CFG         0x100134
#define IFC_INT_SOURCE_P    0x100138
#define QUEUE_NUMBERS       0x100158
#define MIG_REGION_SEL      0x100198    /* from V4 on */
#define DEV_DB_DROP         0x100250    /* from V5 on: bit 0 PF, n VF n */
#define FUNC_AXI_ERROR      0x100280    /* the same, write 1 to clear */
#define QM_IDLE             0x1040e4
#define OOO_SHUTDOWN_SEL    0x1040f8
#define MESSAGE_TO_VF       0x104700    /* from V4 on: 64 bits */
#define MESSAGE_FROM_VFS    0x104800    /* the same: the lower word of each */
#define MIG_REGS            0x180000    /* of VF n: n pitches behind, n >= 1 */
#define MIG_REGS_PITCH      0x2000
#define MIG_REGS_XQC        0x1c00      /* in them */
#define MIG_REGS_XQC_END    0x1c40
#define AM_FIRST            0x300000
#define MASTER_GLOBAL_CTRL  0x300000
#define MASTER_TRANS_RETURN 0x300150

#endif
