/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: what the user may choose
 *
 * Sizes are fixed once the device exists. Behaviour and time may be changed
 * while it runs: a test walks through the settings without a new boot.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "hw/qdev-properties.h"
#include "hisi_acc.h"

typedef struct Choice {
    const char *name;
    const char *values[5];          /* the first is the default */
    size_t offset;
    const char *help;
    bool fixed;                     /* not after the device exists */
} Choice;

static const Choice choices[] = {
    { "kick-scope", { "queue", "function" },
      offsetof(HisiAccConfig, kick_scope),
      "What the resume doorbell restarts: its queue or the whole PF or VF" },
    { "context-fetch", { "kick", "doorbell" },
      offsetof(HisiAccConfig, context_fetch),
      "What makes the device fetch a context that it does not hold" },
    { "unpause", { "doorbell", "kick" },
      offsetof(HisiAccConfig, unpause),
      "What ends a pause: any queue doorbell or only the resume doorbell" },
    { "pause-inflight", { "finish", "hold" },
      offsetof(HisiAccConfig, pause_inflight),
      "What a pause does to requests that the engine has taken" },
    { "bus-master-off", { "fail", "wait", "reset" },
      offsetof(HisiAccConfig, bus_master_off),
      "What becomes of DMA and interrupts without bus master enable" },
    { "d3-access", { "all-ones", "abort" },
      offsetof(HisiAccConfig, d3_access),
      "How the registers of a PF or VF in D3hot answer" },
    { "mig-regs-reset", { "keep", "lost" },
      offsetof(HisiAccConfig, mig_regs_reset),
      "Whether a reset of the PF forgets where the migration registers are" },
    { "mailbox-narrow-read", { "own", "foreign" },
      offsetof(HisiAccConfig, mailbox_narrow_read),
      "Whose last command a read of less than 8 bytes of a mailbox shows" },
    { "message-mask-reset", { "set", "keep" },
      offsetof(HisiAccConfig, message_mask_reset),
      "Whether a reset of a VF masks its interrupt for messages" },
    { "bus-reopen", { "clear", "toggle" },
      offsetof(HisiAccConfig, bus_reopen),
      "What opens a bus that an error closed: its end, or the driver then" },
    { "ras", { "on", "off" },
      offsetof(HisiAccConfig, ras),
      "Whether the device raises errors by itself" },
    { "ras-overflow", { "off", "on" },
      offsetof(HisiAccConfig, ras_overflow),
      "Whether a full CQ or event queue is an error of the device, too" },
    { "fault-mailbox", { "none", "busy", "fail", "garbage" },
      offsetof(HisiAccConfig, fault_mailbox),
      "How mailbox commands go wrong" },
    { "fault-writeback", { "none", "stuck" },
      offsetof(HisiAccConfig, fault_writeback),
      "Whether a cache write-back never ends" },
    { "fault-vf-state", { "none", "ready", "not-ready" },
      offsetof(HisiAccConfig, fault_vf_state),
      "What VF_STATE reads as, whatever is written to it" },
    { "fault-registers", { "none", "all-ones" },
      offsetof(HisiAccConfig, fault_registers),
      "Whether BAR2 reads as all ones and ignores writes" },
    { "fault-reraise", { "none", "never" },
      offsetof(HisiAccConfig, fault_reraise),
      "Whether an EQ or AEQ doorbell never sends the interrupt again" },
    { "hw-version", { "v3", "v4", "v5" },
      offsetof(HisiAccConfig, hw_version),
      "Version of the hardware", true },
    { "isolation", { "off", "on" },
      offsetof(HisiAccConfig, isolation),
      "Whether each queue has a page of its own for doorbells, in BAR4", true },
    { "no-soft-reset", { "off", "on" },
      offsetof(HisiAccConfig, no_soft_reset),
      "Whether a PF or VF comes from D3hot to D0 without a reset", true },
};

typedef struct Number {
    const char *name;
    uint32_t value;                 /* the default */
    uint32_t min;
    uint32_t max;
    size_t offset;
    bool fixed;                     /* not after the device exists */
    bool power_of_two;
    const char *help;
} Number;

#define MAX_LATENCY (60 * 1000 * 1000)

static const Number numbers[] = {
    { "request-latency", 0, 0, MAX_LATENCY,
      offsetof(HisiAccConfig, request_latency), false, false,
      "Microseconds that the engine works on a request" },
    { "mailbox-latency", 0, 0, MAX_LATENCY,
      offsetof(HisiAccConfig, mailbox_latency), false, false,
      "Microseconds that a mailbox command stays busy" },
    { "writeback-latency", 0, 0, MAX_LATENCY,
      offsetof(HisiAccConfig, writeback_latency), false, false,
      "Microseconds that a cache write-back takes" },
    { "engine-slots", 4, 1, HISI_ACC_MAX_SLOTS,
      offsetof(HisiAccConfig, engine_slots), false, false,
      "Requests that the engine works on at once, for the PF and each VF" },
    { "context-cache", 0, 0, HISI_ACC_MAX_QUEUES,
      offsetof(HisiAccConfig, context_cache), false, false,
      "Queues of a PF or VF whose contexts the device can hold; 0: all" },
    { "fault-msi-drop", 0, 0, UINT32_MAX,
      offsetof(HisiAccConfig, fault_msi_drop), false, false,
      "Interrupts to lose from now on; counts down" },
    { "error-reads", 0, 0, UINT32_MAX,
      offsetof(HisiAccConfig, error_reads), false, false,
      "Reads of a status after which its errors are over; counts down" },
    { "vfs", 8, 1, HISI_ACC_MAX_FUNCS - 1,
      offsetof(HisiAccConfig, vfs), true, false,
      "Virtual functions" },
    { "queues", 1024, 2, HISI_ACC_MAX_QUEUES,
      offsetof(HisiAccConfig, queues), true, false,
      "Queue pairs that the PF and all VFs share" },
    { "vf-vectors", HISI_ACC_MSI_COUNT - 1, HISI_ACC_MSI_COUNT - 1,
      HISI_ACC_MSI_COUNT, offsetof(HisiAccConfig, vf_vectors), true, false,
      "Interrupt vectors that a VF requests" },
    /* dw3 of a context has 12 bits for the depth */
    { "sq-depth", 1024, 16, 4096, offsetof(HisiAccConfig, sq_depth), true, true,
      "Entries of a submission queue" },
    { "cq-depth", 1024, 16, 4096, offsetof(HisiAccConfig, cq_depth), true, true,
      "Entries of a completion queue" },
    { "eq-depth", 2048, 16, 32768, offsetof(HisiAccConfig, eq_depth), true,
      true, "Entries of the event queue" },
    { "aeq-depth", 1024, 16, 32768, offsetof(HisiAccConfig, aeq_depth), true,
      true, "Entries of the error event queue" },
};

/* One of several enums, none of which has negative values */
QEMU_BUILD_BUG_ON(sizeof(enum HisiAccScope) != sizeof(unsigned));

static unsigned *choice_field(Object *obj, const Choice *c)
{
    return (unsigned *)((char *)&HISI_ACC_PF(obj)->cfg + c->offset);
}

static uint32_t *number_field(Object *obj, const Number *n)
{
    return (uint32_t *)((char *)&HISI_ACC_PF(obj)->cfg + n->offset);
}

static void choice_get(Object *obj, Visitor *v, const char *name, void *opaque,
                       Error **errp)
{
    const Choice *c = opaque;
    char *value = g_strdup(c->values[*choice_field(obj, c)]);

    visit_type_str(v, name, &value, errp);
    g_free(value);
}

static bool refuse_late(Object *obj, const char *name, Error **errp)
{
    if (DEVICE(obj)->realized) {
        error_setg(errp, "%s cannot be changed once the device exists", name);
        return true;
    }
    return false;
}

static void refuse_choice(const Choice *c, const char *value, Error **errp)
{
    g_autoptr(GString) list = g_string_new(NULL);

    for (int i = 0; c->values[i]; i++) {
        const char *join = i == 0 ? "" : c->values[i + 1] ? ", " : " or ";

        g_string_append_printf(list, "%s'%s'", join, c->values[i]);
    }
    error_setg(errp, "%s must be %s, not '%s'", c->name, list->str, value);
}

static void choice_set(Object *obj, Visitor *v, const char *name, void *opaque,
                       Error **errp)
{
    const Choice *c = opaque;
    g_autofree char *value = NULL;

    if (!visit_type_str(v, name, &value, errp) ||
        (c->fixed && refuse_late(obj, name, errp))) {
        return;
    }
    for (unsigned i = 0; c->values[i]; i++) {
        if (!strcmp(c->values[i], value)) {
            *choice_field(obj, c) = i;
            hisi_acc_go_on_all(HISI_ACC_PF(obj));
            return;
        }
    }
    refuse_choice(c, value, errp);
}

static void number_get(Object *obj, Visitor *v, const char *name, void *opaque,
                       Error **errp)
{
    uint32_t value = *number_field(obj, opaque);

    visit_type_uint32(v, name, &value, errp);
}

static void number_set(Object *obj, Visitor *v, const char *name, void *opaque,
                       Error **errp)
{
    const Number *n = opaque;
    uint64_t value;

    if (!visit_type_uint64(v, name, &value, errp)) {
        return;
    }
    if (n->fixed && refuse_late(obj, name, errp)) {
        return;
    }
    if (value < n->min || value > n->max) {
        error_setg(errp, "%s must be from %u to %u, not %" PRIu64, name,
                   n->min, n->max, value);
        return;
    }
    if (n->power_of_two && !is_power_of_2(value)) {
        error_setg(errp, "%s must be a power of two, not %" PRIu64, name,
                   value);
        return;
    }
    *number_field(obj, n) = value;
    hisi_acc_go_on_all(HISI_ACC_PF(obj));       /* it may be their time */
}

static uint64_t *algs_field(Object *obj, void *offset)
{
    return (uint64_t *)((char *)&HISI_ACC_PF(obj)->cfg + (size_t)offset);
}

static void algs_get(Object *obj, Visitor *v, const char *name, void *opaque,
                     Error **errp)
{
    uint64_t value = *algs_field(obj, opaque);

    visit_type_uint64(v, name, &value, errp);
}

static void algs_set(Object *obj, Visitor *v, const char *name, void *opaque,
                     Error **errp)
{
    const HisiAccEngine *engine = hisi_acc_engine(HISI_ACC_FUNC(obj));
    uint64_t value;

    if (!visit_type_uint64(v, name, &value, errp)) {
        return;
    }
    if (refuse_late(obj, name, errp)) {
        return;
    }
    if (value & ~engine->known_algs) {
        error_setg(errp, "%s has bits that %s does not compute: 0x%" PRIx64
                   " (it knows 0x%" PRIx64 ")", name, engine->name,
                   value & ~engine->known_algs, engine->known_algs);
        return;
    }
    *algs_field(obj, opaque) = value;
}

void hisi_acc_config_default(HisiAccPf *pf)
{
    const HisiAccEngine *engine = hisi_acc_engine(HISI_ACC_FUNC(pf));

    for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
        *number_field(OBJECT(pf), &numbers[i]) = numbers[i].value;
    }
    pf->cfg.fault_function = HISI_ACC_ANY;
    pf->cfg.fault_opcode = HISI_ACC_ANY;
    pf->cfg.pf_algs = engine->default_algs;
    pf->cfg.vf_algs = engine->default_algs;
}

bool hisi_acc_config_check(HisiAccPf *pf, Error **errp)
{
    const HisiAccConfig *cfg = &pf->cfg;

    if (cfg->queues < cfg->vfs + 2) {
        error_setg(errp, "%u queues are too few for a PF with %u VFs",
                   cfg->queues, cfg->vfs);
        return false;
    }
    return true;
}

void hisi_acc_config_class(ObjectClass *class)
{
    for (unsigned i = 0; i < ARRAY_SIZE(choices); i++) {
        object_class_property_add(class, choices[i].name, "string", choice_get,
                                  choice_set, NULL, (void *)&choices[i]);
        object_class_property_set_description(class, choices[i].name,
                                              choices[i].help);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
        object_class_property_add(class, numbers[i].name, "uint32", number_get,
                                  number_set, NULL, (void *)&numbers[i]);
        object_class_property_set_description(class, numbers[i].name,
                                              numbers[i].help);
    }
    object_class_property_add(class, "pf-algs", "uint64", algs_get, algs_set,
                              NULL, (void *)offsetof(HisiAccConfig, pf_algs));
    object_class_property_set_description(class, "pf-algs",
        "Bitmap of the algorithms that the PF reports");
    object_class_property_add(class, "vf-algs", "uint64", algs_get, algs_set,
                              NULL, (void *)offsetof(HisiAccConfig, vf_algs));
    object_class_property_set_description(class, "vf-algs",
        "Bitmap of the algorithms that each VF reports");
}
