/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: errors that the PF reports, of the queue manager
 * and of the engine
 */

#include "qemu/osdep.h"
#include "hisi_acc.h"
#include "hisi_acc_offsets.h"
#include "trace.h"

uint32_t hisi_acc_ras_source(HisiAccPf *pf, enum HisiAccUnit unit)
{
    return unit == HISI_ACC_ENGINE
           ? hisi_acc_engine(HISI_ACC_FUNC(pf))->int_source : ABN_INT_SOURCE;
}

uint32_t hisi_acc_ras_errors(HisiAccPf *pf, enum HisiAccUnit unit)
{
    return *hisi_acc_store(pf, hisi_acc_ras_source(pf, unit));
}

/* Unmasked errors */
uint32_t hisi_acc_ras_status(HisiAccPf *pf, enum HisiAccUnit unit)
{
    const HisiAccEngine *engine = hisi_acc_engine(HISI_ACC_FUNC(pf));
    uint32_t errors = hisi_acc_ras_errors(pf, unit);

    if (unit == HISI_ACC_QM) {
        return errors & ~*hisi_acc_store(pf, ABN_INT_MASK);
    }
    return errors & (*hisi_acc_store(pf, engine->int_mask) ^
                     (engine->int_mask_enables ? 0 : UINT32_MAX));
}

static bool closing_error(HisiAccPf *pf)
{
    const HisiAccEngine *engine = hisi_acc_engine(HISI_ACC_FUNC(pf));

    return *hisi_acc_store(pf, ABN_INT_SOURCE) &
               *hisi_acc_store(pf, OOO_SHUTDOWN_SEL) ||
           *hisi_acc_store(pf, engine->int_source) &
               *hisi_acc_store(pf, engine->int_shutdown);
}

/*
 * An error that the driver selected for it keeps the device from memory until
 * it is cleared, and maybe until the driver has done something about it, or all
 * is reset: requests stay where they are. So does a driver that is about to
 * reset all.
 */
bool hisi_acc_bus_closed(HisiAccPf *pf)
{
    return *hisi_acc_store(pf, MASTER_GLOBAL_CTRL) & 1 || closing_error(pf) ||
           (pf->bus_latched && pf->cfg.bus_reopen == HISI_ACC_REOPEN_TOGGLE);
}

/* After anything that may change bus_latched */
void hisi_acc_bus_latch(HisiAccPf *pf)
{
    const HisiAccEngine *engine = hisi_acc_engine(HISI_ACC_FUNC(pf));

    if (closing_error(pf)) {
        pf->bus_latched = true;
    } else if (!(*hisi_acc_store(pf, engine->shutdown_control) &
                 engine->shutdown_enable)) {
        pf->bus_latched = false;
    }
}

bool hisi_acc_kept_from_memory(HisiAccFunc *f)
{
    return hisi_acc_bus_closed(f->pf) || hisi_acc_waits(f);
}

void hisi_acc_ras_report(HisiAccPf *pf, enum HisiAccUnit unit)
{
    if (hisi_acc_ras_status(pf, unit)) {
        hisi_acc_msi(HISI_ACC_FUNC(pf), HISI_ACC_MSI_ABNORMAL);
    }
}

/* Errors come; only hisi_acc_global.c has them go */
void hisi_acc_ras_raise(HisiAccPf *pf, enum HisiAccUnit unit, uint32_t bits)
{
    bool closed = hisi_acc_bus_closed(pf);

    trace_hisi_acc_ras(hisi_acc_engine(HISI_ACC_FUNC(pf))->name,
                       unit == HISI_ACC_QM ? "queue manager" : "engine", bits);
    *hisi_acc_store(pf, hisi_acc_ras_source(pf, unit)) |= bits;
    hisi_acc_bus_latch(pf);
    /* commands that wait for requests end when the bus closes */
    if (closed != hisi_acc_bus_closed(pf)) {
        for (unsigned n = 0; n <= hisi_acc_vf_count(pf); n++) {
            hisi_acc_wake(pf->funcs[n]);
        }
    }
    hisi_acc_ras_report(pf, unit);
}

/* An error of a PF or VF is an error of the whole device */
void hisi_acc_ras(HisiAccFunc *f, uint32_t bits)
{
    if (f->pf->cfg.ras == HISI_ACC_RAISES) {
        hisi_acc_ras_raise(f->pf, HISI_ACC_QM, bits);
    }
}

/*
 * The full queue @q, or the event queue for which @q has an event. The drivers
 * stop the one and reset the VF of the other when they find it among the
 * events, which they could not if it always was an error of the device, too.
 */
void hisi_acc_ras_full(HisiAccFunc *f, enum HisiAccFull what, unsigned q)
{
    uint32_t *info = hisi_acc_store(f->pf, ABN_INF_FULL);

    if (f->pf->cfg.ras_overflow == HISI_ACC_ON) {
        *info = q << 16 | what << 6 | f->number;
        hisi_acc_ras(f, HISI_ACC_RAS_OVERFLOW);
    }
}

void hisi_acc_ras_dma(HisiAccFunc *f, bool write)
{
    const HisiAccEngine *engine = hisi_acc_engine(f);
    HisiAccPf *pf = f->pf;

    if (pf->cfg.ras == HISI_ACC_SILENT) {
        return;
    }
    if (pf->cfg.hw_version >= HISI_ACC_V5) {
        hisi_acc_ras_set_functions(pf, BIT_ULL(f->number) |
                                       hisi_acc_ras_functions(pf));
    }
    if (f->processing) {
        hisi_acc_ras_raise(pf, HISI_ACC_ENGINE, write ? engine->write_error
                                           : engine->read_error);
    } else {
        hisi_acc_ras_raise(pf, HISI_ACC_QM, write ? HISI_ACC_RAS_WRITE
                                            : HISI_ACC_RAS_READ);
    }
}

/* V5 reports which PF or VFs raised the errors of bits 0 and 1 */
uint64_t hisi_acc_ras_functions(HisiAccPf *pf)
{
    return hisi_acc_store64(pf, FUNC_AXI_ERROR);
}

void hisi_acc_ras_set_functions(HisiAccPf *pf, uint64_t functions)
{
    *hisi_acc_store(pf, FUNC_AXI_ERROR) = functions;
    *hisi_acc_store(pf, FUNC_AXI_ERROR + 4) = functions >> 32;
}

/* Unmasking an error that is up reports it */
void hisi_acc_ras_set_mask(HisiAccPf *pf, uint32_t off, uint32_t value)
{
    enum HisiAccUnit unit = off == ABN_INT_MASK ? HISI_ACC_QM
                                                : HISI_ACC_ENGINE;
    uint32_t before = hisi_acc_ras_status(pf, unit);

    *hisi_acc_store(pf, off) = value;
    if (hisi_acc_ras_status(pf, unit) & ~before) {
        hisi_acc_ras_report(pf, unit);
    }
}
