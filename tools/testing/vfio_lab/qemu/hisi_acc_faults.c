/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: faults that the user injects while it runs
 *
 * A fault lasts until its property is set back. What hangs because of one then
 * continues, unless a reset came first.
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "hisi_acc.h"

/* Properties that are "all" or a number */
typedef struct Selector {
    const char *name;
    uint32_t limit;
    size_t offset;
    const char *help;
} Selector;

static const Selector selectors[] = {
    { "fault-function", HISI_ACC_MAX_FUNCS,
      offsetof(HisiAccConfig, fault_function),
      "What the faults concern: 0 is the PF, n is VF n" },
    { "fault-opcode", HISI_ACC_MB_OPS,
      offsetof(HisiAccConfig, fault_opcode),
      "Which mailbox command fault-mailbox concerns" },
};

static uint32_t *selector_field(Object *obj, const Selector *s)
{
    return (uint32_t *)((char *)&HISI_ACC_PF(obj)->cfg + s->offset);
}

static char *selector_get(Object *obj, const Selector *s)
{
    uint32_t value = *selector_field(obj, s);

    return value == HISI_ACC_ANY ? g_strdup("all")
                                 : g_strdup_printf("%u", value);
}

static void selector_visit_get(Object *obj, Visitor *v, const char *name,
                               void *opaque, Error **errp)
{
    g_autofree char *text = selector_get(obj, opaque);

    visit_type_str(v, name, &text, errp);
}

static void selector_visit_set(Object *obj, Visitor *v, const char *name,
                               void *opaque, Error **errp)
{
    const Selector *s = opaque;
    g_autofree char *text = NULL;
    unsigned value;

    if (!visit_type_str(v, name, &text, errp)) {
        return;
    }
    if (!strcmp(text, "all")) {
        value = HISI_ACC_ANY;
    } else if (qemu_strtoui(text, NULL, 0, &value) || value >= s->limit) {
        error_setg(errp, "%s must be 'all' or a number from 0 to %u, not '%s'",
                   name, s->limit - 1, text);
        return;
    }
    *selector_field(obj, s) = value;
    hisi_acc_go_on_all(HISI_ACC_PF(obj));
}

/*
 * Errors as the hardware reports them: bits of the source registers, and the
 * interrupt. A driver clears the bits by writing them, the user by setting 0.
 * The opaque of a property selects the unit.
 */
static enum HisiAccUnit units[] = {
    HISI_ACC_QM,
    HISI_ACC_ENGINE,
};

static void source_get(Object *obj, Visitor *v, const char *name, void *opaque,
                      Error **errp)
{
    const enum HisiAccUnit *unit = opaque;
    uint32_t bits = hisi_acc_ras_errors(HISI_ACC_PF(obj), *unit);

    visit_type_uint32(v, name, &bits, errp);
}

static void source_set(Object *obj, Visitor *v, const char *name, void *opaque,
                      Error **errp)
{
    const enum HisiAccUnit *unit = opaque;
    uint32_t bits;

    if (!visit_type_uint32(v, name, &bits, errp)) {
        return;
    }
    if (!DEVICE(obj)->realized) {
        error_setg(errp, "%s can only be set once the device exists", name);
        return;
    }
    hisi_acc_global_set_errors(HISI_ACC_PF(obj), *unit, bits);
}

static void functions_get(Object *obj, Visitor *v, const char *name,
                          void *opaque, Error **errp)
{
    uint64_t functions = hisi_acc_ras_functions(HISI_ACC_PF(obj));

    visit_type_uint64(v, name, &functions, errp);
}

static void functions_set(Object *obj, Visitor *v, const char *name,
                          void *opaque, Error **errp)
{
    uint64_t functions;

    if (!visit_type_uint64(v, name, &functions, errp)) {
        return;
    }
    if (!DEVICE(obj)->realized ||
        HISI_ACC_PF(obj)->cfg.hw_version < HISI_ACC_V5) {
        error_setg(errp, "%s can only be set once the device exists, with "
                   "hw-version=v5", name);
        return;
    }
    hisi_acc_ras_set_functions(HISI_ACC_PF(obj), functions);
}

void hisi_acc_faults_class(ObjectClass *class)
{
    for (unsigned i = 0; i < ARRAY_SIZE(selectors); i++) {
        object_class_property_add(class, selectors[i].name, "string",
                                  selector_visit_get, selector_visit_set,
                                  NULL, (void *)&selectors[i]);
        object_class_property_set_description(class, selectors[i].name,
                                              selectors[i].help);
    }
    object_class_property_add(class, "abnormal-error", "uint32", source_get,
                              source_set, NULL, &units[0]);
    object_class_property_set_description(class, "abnormal-error",
        "Errors of the queue manager that are up, as bits of 0x100000");
    object_class_property_add(class, "engine-error", "uint32", source_get,
                              source_set, NULL, &units[1]);
    object_class_property_set_description(class, "engine-error",
        "Errors of the engine that are up, as bits of its source register");
    object_class_property_add(class, "function-error", "uint64", functions_get,
                              functions_set, NULL, NULL);
    object_class_property_set_description(class, "function-error",
        "Whose errors bits 0 and 1 of abnormal-error are: bit 0 PF, n VF n");
}
