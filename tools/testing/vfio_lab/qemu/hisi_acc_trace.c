/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: accesses to registers, counted by region and
 * width, and written down in order
 *
 * A line of the trace: microseconds of the host's monotonic clock, number of
 * the VF (0: the PF), number of its BAR, R or W, bytes, offset, value.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "hisi_acc.h"
#include "trace.h"

void hisi_acc_access(const HisiAccAccess *a, bool write, uint64_t value,
                     unsigned size)
{
    HisiAccStats *stats = &(a->owner ? a->owner : a->via)->stats;
    unsigned i = a->region * HISI_ACC_WIDTHS + ctz32(size);
    uint64_t shown = value & MAKE_64BIT_MASK(0, size * 8);

    stats->events[write ? HISI_ACC_EV_WRITE : HISI_ACC_EV_READ]++;
    (write ? stats->writes : stats->reads)[i]++;
    trace_hisi_acc_access(hisi_acc_engine(a->via)->name, a->via->name, a->bar,
                          write ? "write" : "read", size, a->addr, shown);
    if (a->via->pf->trace) {
        fprintf(a->via->pf->trace,
                "%" PRId64 " %u %u %c %u 0x%x 0x%" PRIx64 "\n",
                qemu_clock_get_us(QEMU_CLOCK_REALTIME), a->via->number, a->bar,
                write ? 'W' : 'R', size, a->addr, shown);
    }
}

void hisi_acc_trace_exit(HisiAccPf *pf)
{
    if (pf->trace) {
        fclose(pf->trace);
    }
    pf->trace = NULL;
    g_free(pf->trace_path);
    pf->trace_path = NULL;
}

static char *trace_get(Object *obj, Error **errp)
{
    const char *path = HISI_ACC_PF(obj)->trace_path;

    return g_strdup(path ? path : "");
}

/* Starts a new file, or none */
static void trace_set(Object *obj, const char *path, Error **errp)
{
    HisiAccPf *pf = HISI_ACC_PF(obj);
    FILE *file = NULL;

    if (*path) {
        file = fopen(path, "w");
        if (!file) {
            error_setg_errno(errp, errno, "access-trace cannot write to '%s'",
                             path);
            return;
        }
        setvbuf(file, NULL, _IOLBF, 0);
    }
    hisi_acc_trace_exit(pf);
    if (file) {
        pf->trace = file;
        pf->trace_path = g_strdup(path);
    }
}

void hisi_acc_trace_class(ObjectClass *class)
{
    object_class_property_add_str(class, "access-trace", trace_get, trace_set);
    object_class_property_set_description(class, "access-trace",
        "File to write each access to a register to; empty for none");
}
