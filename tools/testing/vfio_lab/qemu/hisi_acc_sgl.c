/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: the guest's memory, flat or as a hardware SGL
 *
 * A list is a header of 64 bytes {next@0, entries in chain@8, entries in use
 * @10, capacity@12} and entries of 32 {address@0, length@16}. Only
 * the source is ever read and only the destination is ever written: an IOMMU
 * may allow no more.
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "hisi_acc.h"

#define SGL_HEADER      64
#define SGL_ENTRY       32
#define SGL_ALIGN       64
/* Linux has one list of at most 255 entries, UADK chains up to 256 */
#define SGL_MAX_ENTRIES 65280
#define SGL_MAX_CHAIN   256

typedef struct Walk {
    HisiAccFunc *f;
    uint8_t *buf;
    size_t len;
    size_t skip;
    bool write;
    unsigned entries;
} Walk;

static bool transfer(HisiAccFunc *f, uint64_t addr, void *buf, size_t len,
                     bool write)
{
    unsigned resets = f->resets;
    MemTxResult result;

    if (!hisi_acc_may_begin(f)) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_DMA_REFUSED, addr);
        return false;
    }
    if (hisi_acc_bus_closed(f->pf)) {
        hisi_acc_count(f, HISI_ACC_EV_BUS_CLOSED, 1);
        return false;
    }
    hisi_acc_dma_begin(f->pf);
    result = pci_dma_rw(PCI_DEVICE(f), addr, buf, len,
                        write ? DMA_DIRECTION_FROM_DEVICE
                              : DMA_DIRECTION_TO_DEVICE,
                        MEMTXATTRS_UNSPECIFIED);
    if (!hisi_acc_dma_end(f->pf) || result != MEMTX_OK) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_DMA_FAULT, addr);
        hisi_acc_ras_dma(f, write);
        return false;
    }
    hisi_acc_count(f, write ? HISI_ACC_EV_DMA_WRITE : HISI_ACC_EV_DMA_READ,
                   len);
    /* it may have made the bus reset the PF or VF: a port's register */
    return f->resets == resets;
}

bool hisi_acc_dma_read(HisiAccFunc *f, uint64_t addr, void *buf, size_t len)
{
    return transfer(f, addr, buf, len, false);
}

bool hisi_acc_dma_write(HisiAccFunc *f, uint64_t addr, const void *buf,
                        size_t len)
{
    return transfer(f, addr, (void *)buf, len, true);
}

static bool bad_list(HisiAccFunc *f, uint64_t addr)
{
    hisi_acc_guest_error(f, HISI_ACC_ERR_SGL, addr);
    return false;
}

static bool walk_piece(Walk *w, uint64_t addr, size_t len)
{
    size_t skip = MIN(w->skip, len);

    w->skip -= skip;
    len = MIN(len - skip, w->len);
    if (len && !transfer(w->f, addr + skip, w->buf, len, w->write)) {
        return false;
    }
    w->buf += len;
    w->len -= len;
    return true;
}

static bool walk_entries(Walk *w, uint64_t list, unsigned count)
{
    uint8_t entry[SGL_ENTRY];

    for (unsigned i = 0; i < count && w->len; i++) {
        if (w->entries++ >= SGL_MAX_ENTRIES) {
            return bad_list(w->f, list);
        }
        if (!hisi_acc_dma_read(w->f, list + SGL_HEADER + i * SGL_ENTRY, entry,
                               sizeof(entry)) ||
            !walk_piece(w, ldq_le_p(entry), ldl_le_p(entry + 16))) {
            return false;
        }
    }
    return true;
}

static bool walk(Walk *w, enum HisiAccBuffer type, uint64_t addr)
{
    uint8_t header[SGL_HEADER];

    if (type == HISI_ACC_FLAT) {
        return transfer(w->f, addr + w->skip, w->buf, w->len, w->write);
    }
    for (unsigned i = 0; w->len; i++) {
        if (!addr || addr % SGL_ALIGN || i >= SGL_MAX_CHAIN) {
            return bad_list(w->f, addr);
        }
        if (!hisi_acc_dma_read(w->f, addr, header, sizeof(header)) ||
            !walk_entries(w, addr, lduw_le_p(header + 10))) {
            return false;
        }
        addr = ldq_le_p(header);
    }
    return true;
}

bool hisi_acc_gather(HisiAccFunc *f, enum HisiAccBuffer type, uint64_t addr,
                     size_t skip, uint8_t *buf, size_t len)
{
    Walk w = { .f = f, .buf = buf, .len = len, .skip = skip };

    return walk(&w, type, addr);
}

bool hisi_acc_scatter(HisiAccFunc *f, enum HisiAccBuffer type, uint64_t addr,
                      size_t skip, const uint8_t *buf, size_t len)
{
    Walk w = { .f = f, .buf = (uint8_t *)buf, .len = len, .skip = skip,
               .write = true };

    return walk(&w, type, addr);
}
