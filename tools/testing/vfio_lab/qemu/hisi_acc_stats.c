/* SPDX-License-Identifier: GPL-2.0 */
/*
 * HiSilicon accelerator model: counters, readable by qom-get
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "hisi_acc.h"

#define EVENT_NAME(id, name) [HISI_ACC_EV_##id] = name,
static const char *const event_names[] = { HISI_ACC_EVENTS(EVENT_NAME) };

#define ERROR_NAME(id, name, text) [HISI_ACC_ERR_##id] = name,
static const char *const error_names[] = { HISI_ACC_ERRORS(ERROR_NAME) };

#define ERROR_TEXT(id, name, text) [HISI_ACC_ERR_##id] = text,
static const char *const error_texts[] = { HISI_ACC_ERRORS(ERROR_TEXT) };

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

void hisi_acc_count(HisiAccFunc *f, enum HisiAccEvent event, uint64_t n)
{
    f->stats.events[event] += n;
}

void hisi_acc_guest_error(HisiAccFunc *f, enum HisiAccError error,
                          uint64_t detail)
{
    if (f->stats.errors[error]++) {
        return;
    }
    qemu_log_mask(LOG_GUEST_ERROR, "%s function %u: %s (0x%" PRIx64 ")\n",
                  hisi_acc_engine(f)->name, f->number, error_texts[error],
                  detail);
}

static bool visit_counters(Visitor *v, const char *group,
                           const char *const *names, uint64_t *values,
                           unsigned count, Error **errp)
{
    if (!visit_start_struct(v, group, NULL, 0, errp)) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        uint64_t copy = values[i];

        if (names[i] && !visit_type_uint64(v, names[i], &copy, errp)) {
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
    if (visit_counters(v, "events", event_names, stats->events,
                       HISI_ACC_EV_COUNT, errp) &&
        visit_counters(v, "mailbox-set", mailbox_names, stats->mailbox_set,
                       HISI_ACC_MB_OPS, errp) &&
        visit_counters(v, "mailbox-get", mailbox_names, stats->mailbox_get,
                       HISI_ACC_MB_OPS, errp)) {
        visit_counters(v, "guest-errors", error_names, stats->errors,
                       HISI_ACC_ERR_COUNT, errp);
    }
    visit_end_struct(v, NULL);
}

void hisi_acc_stats_class(ObjectClass *class)
{
    object_class_property_add(class, "counters", "struct", get_counters,
                              NULL, NULL, NULL);
    object_class_property_set_description(class, "counters",
        "What the function did and what its driver did wrong, by name");
}
