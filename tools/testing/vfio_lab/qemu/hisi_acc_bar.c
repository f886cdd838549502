/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: the BARs, and whose register an address is
 *
 * BAR2 of a VF has a half for its driver, the guest part, and one with the
 * migration registers. From V4 on the PF can take the second half away from all
 * VFs; its own BAR2 then has 8 KiB of migration registers for each VF, with the
 * words of the event queues elsewhere.
 *
 * With isolated doorbells BAR4 has a page of 64 KiB for each queue. BAR2 still
 * takes doorbells for all queues then: the host's migration driver rings there.
 */

#include "qemu/osdep.h"
#include "hisi_acc.h"
#include "hisi_acc_offsets.h"

#define MIG_REGS_END    (MIG_REGS + HISI_ACC_MAX_FUNCS * MIG_REGS_PITCH)

/* Fills in owner and offset of an address in a VF's migration registers */
static void decode_mig_regs(HisiAccAccess *a, bool write, unsigned size)
{
    HisiAccPf *pf = a->via->pf;
    unsigned n = (a->addr - MIG_REGS) / MIG_REGS_PITCH;
    uint32_t off = (a->addr - MIG_REGS) % MIG_REGS_PITCH;

    a->region = HISI_ACC_REGION_MIG_REGS;
    a->owner = NULL;
    /*
     * Linux 7.2 rings event queues at 0x2000 of migration registers that end
     * there. A doorbell for the VF before is no register of this one.
     */
    if (off == 0 && write && size == 8 && n >= 1) {
        HisiAccFunc *meant = n >= 2 ? pf->funcs[n - 1] : NULL;

        hisi_acc_guest_error(meant ? meant : a->via, HISI_ACC_ERR_MIG_REGS_DB,
                             a->addr);
        return;
    }
    if (!hisi_acc_mig_regs_in_pf(pf) || n < 1 || n > hisi_acc_vf_count(pf)) {
        hisi_acc_guest_error(a->via, HISI_ACC_ERR_MIG_REGS, a->addr);
        return;
    }
    if (off >= MIG_REGS_XQC && off < MIG_REGS_XQC_END) {
        off += VF_EQC - MIG_REGS_XQC;
    } else if (off > LOCAL_LAST && (off & ~7) != SQ_CQ_DOORBELL) {
        hisi_acc_guest_error(pf->funcs[n], HISI_ACC_ERR_UNDEFINED, off);
        return;
    }
    a->owner = pf->funcs[n];
    a->off = off;
}

static HisiAccAccess decode(HisiAccFunc *f, uint32_t addr, bool write,
                            unsigned size)
{
    HisiAccAccess a = {
        .owner = f,
        .via = f,
        .bar = HISI_ACC_BAR,
        .region = HISI_ACC_REGION_FUNCTION,
        .addr = addr,
        .off = addr,
    };

    if (f->number == 0) {
        if (addr >= MIG_REGS && addr <= MIG_REGS_END &&
            f->pf->cfg.hw_version >= HISI_ACC_V4) {
            decode_mig_regs(&a, write, size);
        } else if (addr >= GLOBAL_FIRST) {
            a.region = HISI_ACC_REGION_GLOBAL;
        }
    } else if (addr >= VF_MIG_REGS) {
        a.region = HISI_ACC_REGION_MIG_REGS;
        if (hisi_acc_mig_regs_in_pf(f->pf)) {
            hisi_acc_guest_error(f, HISI_ACC_ERR_MIG_REGS, addr);
            a.owner = NULL;
        }
    }
    return a;
}

static bool answers(const HisiAccAccess *a)
{
    return a->owner && !hisi_acc_fault_registers(a->owner);
}

static bool in_mailbox(uint32_t off)
{
    return off >= MAILBOX_FIRST && off <= MAILBOX_LAST;
}

static bool is_doorbell(uint32_t off)
{
    return (off & ~7) == SQ_CQ_DOORBELL || (off & ~7) == EQ_AEQ_DOORBELL;
}

static uint32_t read32(const HisiAccAccess *a, uint32_t off)
{
    return a->region == HISI_ACC_REGION_GLOBAL
           ? hisi_acc_global_read(a->owner->pf, off)
           : hisi_acc_reg_read(a->owner, off);
}

static uint64_t read_any(const HisiAccAccess *a, unsigned size)
{
    if (in_mailbox(a->off)) {
        return hisi_acc_mailbox_read(a->owner, a->off - MAILBOX_FIRST, size);
    }
    if (size == 8) {
        uint64_t low = read32(a, a->off);

        return low | (uint64_t)read32(a, a->off + 4) << 32;
    }
    return read32(a, a->off & ~3) >> ((a->off & 3) * 8);
}

static void write32(const HisiAccAccess *a, uint32_t off, uint32_t value)
{
    if (a->region == HISI_ACC_REGION_GLOBAL) {
        hisi_acc_global_write(a->owner->pf, off, value);
    } else {
        hisi_acc_reg_write(a->owner, off, value);
    }
}

static void write_any(const HisiAccAccess *a, uint64_t value, unsigned size)
{
    if (in_mailbox(a->off)) {
        hisi_acc_mailbox_write(a->owner, a->off - MAILBOX_FIRST, value, size);
    } else if (is_doorbell(a->off)) {
        if (size == 8 && !(a->off & 7)) {
            hisi_acc_doorbell(a->owner, value, a->off == EQ_AEQ_DOORBELL);
        } else {
            hisi_acc_guest_error(a->owner, HISI_ACC_ERR_DB_WIDTH, a->off);
        }
    } else if (size == 8) {
        write32(a, a->off, value);
        write32(a, a->off + 4, value >> 32);
    } else if (size == 4) {
        write32(a, a->off, value);
    } else {
        hisi_acc_guest_error(a->owner, HISI_ACC_ERR_WIDTH, a->off);
    }
}

/* Whether the memory space is not there; then the access ends with @result */
static bool no_access(HisiAccFunc *f, hwaddr addr, MemTxResult *result)
{
    if (f->number && !hisi_acc_vf_mse(f->pf)) {
        hisi_acc_count(f, HISI_ACC_EV_NO_MSE, 1);
        *result = MEMTX_OK;
        return true;
    }
    if (hisi_acc_asleep(f)) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_D3_ACCESS, addr);
        *result = f->pf->cfg.d3_access == HISI_ACC_D3_ABORT ? MEMTX_ERROR
                                                            : MEMTX_OK;
        return true;
    }
    *result = MEMTX_ACCESS_ERROR;
    return hisi_acc_dma_to_itself(f->pf);
}

static MemTxResult bar_read(void *opaque, hwaddr addr, uint64_t *value,
                            unsigned size, MemTxAttrs attrs)
{
    MemTxResult result;
    HisiAccAccess a;

    *value = UINT64_MAX;
    if (no_access(opaque, addr, &result)) {
        return result;
    }
    a = decode(opaque, addr, false, size);
    if (answers(&a)) {
        *value = read_any(&a, size);
    }
    hisi_acc_access(&a, false, *value, size);
    return MEMTX_OK;
}

static MemTxResult bar_write(void *opaque, hwaddr addr, uint64_t value,
                             unsigned size, MemTxAttrs attrs)
{
    MemTxResult result;
    HisiAccAccess a;

    if (no_access(opaque, addr, &result)) {
        return result;
    }
    a = decode(opaque, addr, true, size);
    hisi_acc_access(&a, true, value, size);
    if (answers(&a)) {
        write_any(&a, value, size);
    }
    return MEMTX_OK;
}

/* A 16-byte store of the guest's arrives as two of 8, the lower one first */
#define ANY_WIDTH { .min_access_size = 1, .max_access_size = 8 }

const MemoryRegionOps hisi_acc_bar_ops = {
    .read_with_attrs = bar_read,
    .write_with_attrs = bar_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = ANY_WIDTH,
    .impl = ANY_WIDTH,
};

/* A power of two, with a page for as many queues as a PF or VF may have */
uint64_t hisi_acc_db_bar_size(HisiAccPf *pf)
{
    return pow2ceil(pf->cfg.queues) * HISI_ACC_DB_PITCH;
}

static HisiAccAccess decode_db(HisiAccFunc *f, hwaddr addr)
{
    return (HisiAccAccess) {
        .owner = f,
        .via = f,
        .bar = HISI_ACC_DB_BAR,
        .region = HISI_ACC_REGION_FUNCTION,
        .addr = addr,
        .off = addr % HISI_ACC_DB_PITCH,
    };
}

static MemTxResult db_bar_read(void *opaque, hwaddr addr, uint64_t *value,
                               unsigned size, MemTxAttrs attrs)
{
    HisiAccAccess a = decode_db(opaque, addr);
    MemTxResult result;

    *value = UINT64_MAX;
    if (no_access(opaque, addr, &result)) {
        return result;
    }
    if (answers(&a)) {
        *value = 0;
    }
    hisi_acc_access(&a, false, *value, size);
    return MEMTX_OK;
}

static MemTxResult db_bar_write(void *opaque, hwaddr addr, uint64_t value,
                                unsigned size, MemTxAttrs attrs)
{
    HisiAccAccess a = decode_db(opaque, addr);
    MemTxResult result;

    if (no_access(opaque, addr, &result)) {
        return result;
    }
    hisi_acc_access(&a, true, value, size);
    if (!answers(&a)) {
        return MEMTX_OK;
    }
    if (a.off != SQ_CQ_DOORBELL || size != 8) {
        hisi_acc_guest_error(a.owner, HISI_ACC_ERR_UNDEFINED, addr);
    } else if (addr / HISI_ACC_DB_PITCH != (value & 0xfff)) {
        /* the page of one queue, and another one's doorbell */
        hisi_acc_guest_error(a.owner, HISI_ACC_ERR_DB_RANGE, value);
    } else {
        hisi_acc_doorbell(a.owner, value, false);
    }
    return MEMTX_OK;
}

const MemoryRegionOps hisi_acc_db_bar_ops = {
    .read_with_attrs = db_bar_read,
    .write_with_attrs = db_bar_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = ANY_WIDTH,
    .impl = ANY_WIDTH,
};
