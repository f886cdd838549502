/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: retries of what had to wait
 *
 * Work waits for bus mastering, D0, an open bus, the end of a fault, or time.
 * Each of these, and a shorter latency, has all of it tried again.
 */

#include "qemu/osdep.h"
#include "hisi_acc.h"

void hisi_acc_go_on(HisiAccFunc *f)
{
    hisi_acc_power_go_on(f);
    hisi_acc_cq_rearm(f);
    hisi_acc_mailbox_retry(f);
    hisi_acc_writeback_retry(f);
    hisi_acc_wake(f);
}

void hisi_acc_go_on_all(HisiAccPf *pf)
{
    for (unsigned n = 0; n < HISI_ACC_MAX_FUNCS; n++) {
        if (pf->funcs[n]) {
            hisi_acc_go_on(pf->funcs[n]);
        }
    }
}
