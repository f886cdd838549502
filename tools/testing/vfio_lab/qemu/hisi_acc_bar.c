/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: BAR2, and whose register an address is
 */

#include "qemu/osdep.h"
#include "hisi_acc.h"

#define VF_WINDOW       0x8000          /* migration half of a VF's BAR2 */
#define GLOBAL_FIRST    0x100000

static enum HisiAccRegion region_of(HisiAccFunc *f, uint32_t addr)
{
    if (f->number == 0 && addr >= GLOBAL_FIRST) {
        return HISI_ACC_REGION_GLOBAL;
    }
    if (f->number && addr >= VF_WINDOW) {
        return HISI_ACC_REGION_WINDOW;
    }
    return HISI_ACC_REGION_FUNCTION;
}

static uint64_t bar_read(void *opaque, hwaddr addr, unsigned size)
{
    HisiAccFunc *f = opaque;
    uint64_t value = UINT64_MAX;

    if (!hisi_acc_fault_registers(f)) {
        value = hisi_acc_reg_read(f, addr, size);
    }
    hisi_acc_access(f, f, region_of(f, addr), false, addr, value, size);
    return value;
}

static void bar_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    HisiAccFunc *f = opaque;

    hisi_acc_access(f, f, region_of(f, addr), true, addr, value, size);
    if (!hisi_acc_fault_registers(f)) {
        hisi_acc_reg_write(f, addr, value, size);
    }
}

/* A 16-byte store of the guest's arrives as two of 8, the lower one first */
const MemoryRegionOps hisi_acc_bar_ops = {
    .read = bar_read,
    .write = bar_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 1,
        .max_access_size = 8,
    },
    .impl = {
        .min_access_size = 1,
        .max_access_size = 8,
    },
};
