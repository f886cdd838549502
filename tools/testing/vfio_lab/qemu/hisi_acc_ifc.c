/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: messages between the PF and its VFs
 *
 * A sender stores 64 bits through its mailbox, then rings. The receiver sees
 * a source bit and an interrupt, fetches the message through its own mailbox
 * and clears the source, which is the acknowledgement that the sender polls.
 */

#include "qemu/osdep.h"
#include "hisi_acc.h"

#define ALL_VFS_MAILBOX 0xffff
#define ALL_VFS_CFG     0x7f

static void raise_if_pending(HisiAccFunc *f)
{
    if (hisi_acc_ifc_status(f)) {
        hisi_acc_msi(f, HISI_ACC_MSI_IFC);
    }
}

uint32_t hisi_acc_ifc_status(HisiAccFunc *f)
{
    return f->ifc_source & ~f->ifc_mask & 1;
}

void hisi_acc_ifc_store(HisiAccFunc *f, uint16_t dest, uint64_t message)
{
    HisiAccPf *pf = f->pf;

    if (f->number) {
        pf->message_from[f->number] = message;
    } else if (dest == ALL_VFS_MAILBOX) {
        for (unsigned n = 1; n <= pf->cfg.vfs; n++) {
            pf->message_to[n] = message;
        }
    } else if (dest >= 1 && dest <= pf->cfg.vfs) {
        pf->message_to[dest] = message;
    } else {
        hisi_acc_guest_error(f, HISI_ACC_ERR_IFC, dest);
    }
}

bool hisi_acc_ifc_fetch(HisiAccFunc *f, uint16_t from, uint64_t *message)
{
    if (f->number) {
        *message = f->pf->message_to[f->number];
        return true;
    }
    if (from < 1 || from > f->pf->cfg.vfs) {
        hisi_acc_guest_error(f, HISI_ACC_ERR_IFC, from);
        return false;
    }
    *message = f->pf->message_from[from];
    return true;
}

static void ring_vf(HisiAccPf *pf, unsigned n)
{
    HisiAccFunc *vf = pf->funcs[n];

    pf->ifc_ready |= BIT_ULL(n);
    vf->ifc_source |= 1;
    raise_if_pending(vf);
}

/* @dest is a VF's number or 0x7f; a VF that is not enabled never answers */
void hisi_acc_ifc_to_vf(HisiAccPf *pf, unsigned dest)
{
    unsigned enabled = hisi_acc_vf_count(pf);

    if (dest == ALL_VFS_CFG) {
        for (unsigned n = 1; n <= enabled; n++) {
            ring_vf(pf, n);
        }
    } else if (dest >= 1 && dest <= enabled) {
        ring_vf(pf, dest);
    } else {
        hisi_acc_guest_error(HISI_ACC_FUNC(pf), HISI_ACC_ERR_IFC, dest);
    }
}

void hisi_acc_ifc_to_pf(HisiAccFunc *vf)
{
    HisiAccFunc *pf = HISI_ACC_FUNC(vf->pf);

    if (vf->number == 0) {
        hisi_acc_guest_error(vf, HISI_ACC_ERR_IFC, 0);
        return;
    }
    vf->ifc_set = 1;
    vf->pf->ifc_source |= BIT_ULL(vf->number);
    pf->ifc_source |= 1;
    raise_if_pending(pf);
}

/* The PF or a VF acknowledges its message; the PF sees that of a VF */
void hisi_acc_ifc_ack(HisiAccFunc *f, uint32_t bits)
{
    if (!(bits & 1)) {
        return;
    }
    if (f->number) {
        f->ifc_source &= ~1;
        f->pf->ifc_ready &= ~BIT_ULL(f->number);
    } else {
        f->ifc_source = f->pf->ifc_source != 0;
    }
}

void hisi_acc_ifc_ack_vfs(HisiAccPf *pf, uint64_t vfs)
{
    pf->ifc_source &= ~vfs;
    for (unsigned n = 1; n <= pf->cfg.vfs; n++) {
        if (vfs & BIT_ULL(n)) {
            pf->funcs[n]->ifc_set = 0;
        }
    }
    if (!pf->ifc_source) {
        HISI_ACC_FUNC(pf)->ifc_source = 0;
    }
}

void hisi_acc_ifc_set_mask(HisiAccFunc *f, uint32_t mask)
{
    bool unmasked = (f->ifc_mask & 1) && !(mask & 1);

    f->ifc_mask = mask & 1;
    if (unmasked) {
        raise_if_pending(f);
    }
}

/* What the PF has not yet read of a VF outlives the VF's reset */
void hisi_acc_ifc_reset(HisiAccFunc *f)
{
    f->ifc_source = 0;
    f->ifc_set = 0;
    if (!f->number || f->pf->cfg.message_mask_reset == HISI_ACC_MASK_SET) {
        f->ifc_mask = 1;
    }
    if (f->number) {
        f->pf->ifc_ready &= ~BIT_ULL(f->number);
    }
}

/* With the PF all of them are reset */
void hisi_acc_ifc_reset_all(HisiAccPf *pf)
{
    for (unsigned n = 1; n <= pf->cfg.vfs; n++) {
        pf->funcs[n]->ifc_mask = 1;
    }
}
