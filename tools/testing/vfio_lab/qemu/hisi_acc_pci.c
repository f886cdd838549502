/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: PF and VF as PCI devices
 */

#include "qemu/osdep.h"
#include "qemu/module.h"
#include "qapi/error.h"
#include "qemu/range.h"
#include "hw/acpi/acpi_aml_interface.h"
#include "hw/pci/msi.h"
#include "hw/pci/pcie.h"
#include "hw/pci/pcie_sriov.h"
#include "hw/resettable.h"
#include "migration/vmstate.h"
#include "hisi_acc.h"

#define CAP_MSI      0x50
#define CAP_EXP      0x80
#define CAP_ARI      0x100
/*
 * Last in config space: QEMU 10.0 writes four bytes past the end of the
 * SR-IOV capability when the PF is reset.
 */
#define CAP_SRIOV    0x200

/*
 * Nanoseconds of the host that the device works in one go: it holds QEMU's lock
 * meanwhile.
 */
#define BURST        (2 * SCALE_MS)

#define BAR_TYPE     (PCI_BASE_ADDRESS_MEM_TYPE_64 | \
                      PCI_BASE_ADDRESS_MEM_PREFETCH)

static void reset_function(HisiAccFunc *f)
{
    hisi_acc_count(f, HISI_ACC_EV_RESET, 1);
    f->resets++;
    hisi_acc_regs_reset(f);
    hisi_acc_ifc_reset(f);
    hisi_acc_mailbox_reset(f);
    hisi_acc_work_reset(f);
    hisi_acc_event_reset(f);
    hisi_acc_cache_reset(f);
    hisi_acc_power_reset(f);
    if (f->number == 0) {
        hisi_acc_global_reset(f->pf);
    }
}

static void function_reset_hold(Object *obj, ResetType type)
{
    reset_function(HISI_ACC_FUNC(obj));
    hisi_acc_power_wake(HISI_ACC_FUNC(obj));
    hisi_acc_aer_reset(HISI_ACC_FUNC(obj));
}

static void function_write_config(PCIDevice *dev, uint32_t addr, uint32_t val,
                                  int len)
{
    HisiAccFunc *f = HISI_ACC_FUNC(dev);
    HisiAccPower before = hisi_acc_power(f);

    if (hisi_acc_dma_to_itself(f->pf)) {
        return;
    }
    pci_default_write_config(dev, addr, val, len);
    switch (hisi_acc_power_written(f, before)) {
    case HISI_ACC_RESET_ALL:
        pci_device_reset(dev);
        break;
    case HISI_ACC_RESET_REGISTERS:
        reset_function(f);
        break;
    case HISI_ACC_RESET_NONE:
        hisi_acc_go_on(f);
        break;
    }
    pcie_cap_flr_write_config(dev, addr, val, len);
}

/* The PF and all VFs at once, but not their configuration space */
static void reset_controller(HisiAccPf *pf)
{
    for (unsigned n = 0; n <= pf->cfg.vfs; n++) {
        reset_function(pf->funcs[n]);
    }
}

static void pf_write_config(PCIDevice *dev, uint32_t addr, uint32_t val,
                            int len)
{
    if (hisi_acc_dma_to_itself(HISI_ACC_PF(dev))) {
        return;
    }
    function_write_config(dev, addr, val, len);
    hisi_acc_aer_written(HISI_ACC_PF(dev));
    if (ranges_overlap(addr, len, HISI_ACC_CAP_RESET, 1) &&
        val >> (HISI_ACC_CAP_RESET - addr) * 8 & 1) {
        reset_controller(HISI_ACC_PF(dev));
    }
}

/*
 * After anything that the engine may have waited for: PF and VFs in turn. The
 * next one that is left begins the next time, so that none waits for ever.
 */
static void work_run(void *opaque)
{
    HisiAccPf *pf = opaque;
    unsigned first = pf->work_next, count = pf->cfg.vfs + 1;
    int64_t end = get_clock() + BURST;

    for (unsigned i = 0; i < count; i++) {
        HisiAccFunc *f = pf->funcs[(first + i) % count];

        if (!f || !f->awake) {
            continue;
        }
        if (get_clock() > end) {
            qemu_bh_schedule(pf->work_bh);
            return;
        }
        f->awake = false;
        pf->work_next = (first + i + 1) % count;
        hisi_acc_work(f, end);
        hisi_acc_cache_make_room(f);
        hisi_acc_mailbox_drained(f);
    }
}

static void engine_wake(void *opaque)
{
    hisi_acc_wake(opaque);
}

/* A bottom half is guarded against the device's DMA to itself, a timer not */
static void schedule_bh(void *opaque)
{
    qemu_bh_schedule(opaque);
}

static void work_init(HisiAccFunc *f, QEMUBHFunc *run, QEMUBH **bh,
                      QEMUTimer **timer)
{
    *bh = qemu_bh_new_guarded(run, f, &DEVICE(f)->mem_reentrancy_guard);
    *timer = timer_new_us(QEMU_CLOCK_VIRTUAL, schedule_bh, *bh);
}

static void work_exit(QEMUBH *bh, QEMUTimer *timer)
{
    timer_free(timer);
    qemu_bh_delete(bh);
}

static bool function_realize(HisiAccFunc *f, uint64_t bar_size, Error **errp)
{
    PCIDevice *dev = PCI_DEVICE(f);

    if (f->number) {
        snprintf(f->name, sizeof(f->name), "VF %u", f->number);
    } else {
        snprintf(f->name, sizeof(f->name), "PF");
    }
    memory_region_init_io(&f->bar, OBJECT(f), &hisi_acc_bar_ops, f,
                          "hisi-acc-bar2", bar_size);
    pci_register_bar(dev, HISI_ACC_BAR, BAR_TYPE, &f->bar);
    if (f->pf->cfg.isolation == HISI_ACC_ON) {
        memory_region_init_io(&f->db_bar, OBJECT(f), &hisi_acc_db_bar_ops, f,
                              "hisi-acc-bar4", hisi_acc_db_bar_size(f->pf));
        pci_register_bar(dev, HISI_ACC_DB_BAR, BAR_TYPE, &f->db_bar);
    }

    if (msi_init(dev, CAP_MSI, HISI_ACC_MSI_COUNT, true, true, errp) < 0) {
        return false;
    }
    if (pcie_endpoint_cap_init(dev, CAP_EXP) < 0) {
        error_setg(errp, "no space for the PCI Express capability");
        msi_uninit(dev);
        return false;
    }
    if (!hisi_acc_power_init(f, errp)) {
        pcie_cap_exit(dev);
        msi_uninit(dev);
        return false;
    }
    pcie_cap_flr_init(dev);
    pcie_ari_init(dev, CAP_ARI);
    if (!hisi_acc_aer_init(f, errp)) {
        pcie_cap_exit(dev);
        msi_uninit(dev);
        return false;
    }

    f->pf->funcs[f->number] = f;
    f->queues = g_new0(HisiAccQueue, f->pf->cfg.queues);
    f->engine_timer = timer_new_us(QEMU_CLOCK_VIRTUAL, engine_wake, f);
    work_init(f, hisi_acc_mailbox_run, &f->mailbox_bh, &f->mailbox_timer);
    work_init(f, hisi_acc_writeback_run, &f->writeback_bh,
              &f->writeback_timer);
    return true;
}

static void function_exit(HisiAccFunc *f)
{
    hisi_acc_work_reset(f);
    timer_free(f->engine_timer);
    work_exit(f->mailbox_bh, f->mailbox_timer);
    work_exit(f->writeback_bh, f->writeback_timer);
    g_free(f->queues);
    f->pf->funcs[f->number] = NULL;
    hisi_acc_aer_exit(f);
    pcie_cap_exit(PCI_DEVICE(f));
    msi_uninit(PCI_DEVICE(f));
}

/*
 * A VF decodes memory whenever its PF says so and has no enable bit of its own:
 * it reads 0. QEMU looks at the VF's bit, which is therefore set for good.
 */
static uint32_t vf_read_config(PCIDevice *dev, uint32_t addr, int len)
{
    uint32_t value = pci_default_read_config(dev, addr, len);

    value = hisi_acc_aer_shown(HISI_ACC_FUNC(dev), addr, value);
    return addr == PCI_COMMAND ? value & ~PCI_COMMAND_MEMORY : value;
}

static void vf_realize(PCIDevice *dev, Error **errp)
{
    HisiAccFunc *f = HISI_ACC_FUNC(dev);

    f->pf = HISI_ACC_PF(pcie_sriov_get_pf(dev));
    f->number = pcie_sriov_vf_number(dev) + 1;

    pci_word_test_and_set_mask(dev->config + PCI_COMMAND, PCI_COMMAND_MEMORY);
    pci_word_test_and_clear_mask(dev->wmask + PCI_COMMAND,
                                 PCI_COMMAND_IO | PCI_COMMAND_MEMORY);

    function_realize(f, HISI_ACC_VF_BAR_SIZE, errp);
}

static void vf_exit(PCIDevice *dev)
{
    function_exit(HISI_ACC_FUNC(dev));
}

static void pf_realize(PCIDevice *dev, Error **errp)
{
    HisiAccPf *pf = HISI_ACC_PF(dev);
    HisiAccFunc *f = HISI_ACC_FUNC(dev);
    const HisiAccEngine *engine = hisi_acc_engine(f);
    unsigned vfs = pf->cfg.vfs;

    if (!hisi_acc_config_check(pf, errp)) {
        return;
    }
    pf->work_bh = qemu_bh_new_guarded(work_run, pf,
                                      &DEVICE(dev)->mem_reentrancy_guard);
    if (!function_realize(f, HISI_ACC_PF_BAR_SIZE, errp)) {
        qemu_bh_delete(pf->work_bh);
        return;
    }
    if (!pcie_sriov_pf_init(dev, CAP_SRIOV, engine->vf_type,
                            engine->device_id + 1, vfs, vfs, 1, 1, errp)) {
        function_exit(f);
        qemu_bh_delete(pf->work_bh);
        return;
    }
    pcie_sriov_pf_init_vf_bar(dev, HISI_ACC_BAR, BAR_TYPE,
                              HISI_ACC_VF_BAR_SIZE);
    if (pf->cfg.isolation == HISI_ACC_ON) {
        pcie_sriov_pf_init_vf_bar(dev, HISI_ACC_DB_BAR, BAR_TYPE,
                                  hisi_acc_db_bar_size(pf));
    }
    for (unsigned n = 1; n <= vfs; n++) {
        g_autofree char *name = g_strdup_printf("vf%u", n);

        object_property_add_const_link(OBJECT(pf), name, OBJECT(pf->funcs[n]));
    }
}

static void pf_exit(PCIDevice *dev)
{
    HisiAccPf *pf = HISI_ACC_PF(dev);

    for (unsigned n = 1; n <= pf->cfg.vfs; n++) {
        g_autofree char *name = g_strdup_printf("vf%u", n);

        object_property_del(OBJECT(pf), name);
    }
    pcie_sriov_pf_exit(dev);
    function_exit(HISI_ACC_FUNC(dev));
    qemu_bh_delete(pf->work_bh);
}

static void pf_instance_init(Object *obj)
{
    HisiAccPf *pf = HISI_ACC_PF(obj);

    HISI_ACC_FUNC(obj)->pf = pf;
    hisi_acc_config_default(pf);
}

/* The user may have set a file for a device that then could not be realized */
static void pf_instance_finalize(Object *obj)
{
    hisi_acc_trace_exit(HISI_ACC_PF(obj));
}

static const VMStateDescription function_vmstate = {
    .name = "hisi-acc",
    .unmigratable = 1,
};

static void function_class_init(ObjectClass *class, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(class);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(class);
    ResettableClass *rc = RESETTABLE_CLASS(class);

    pc->config_write = function_write_config;
    pc->vendor_id = 0x19e5;             /* Huawei */
    pc->revision = 0x30;                /* hardware version V3 */
    rc->phases.hold = function_reset_hold;
    dc->vmsd = &function_vmstate;
    dc->hotpluggable = false;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
    hisi_acc_stats_class(class);
}

static void pf_class_init(ObjectClass *class, void *data)
{
    PCI_DEVICE_CLASS(class)->realize = pf_realize;
    PCI_DEVICE_CLASS(class)->exit = pf_exit;
    PCI_DEVICE_CLASS(class)->config_write = pf_write_config;
    hisi_acc_acpi_class(class);
    hisi_acc_config_class(class);
    hisi_acc_faults_class(class);
    hisi_acc_trace_class(class);
}

static void vf_class_init(ObjectClass *class, void *data)
{
    PCI_DEVICE_CLASS(class)->realize = vf_realize;
    PCI_DEVICE_CLASS(class)->exit = vf_exit;
    PCI_DEVICE_CLASS(class)->config_read = vf_read_config;
    DEVICE_CLASS(class)->user_creatable = false;
}

static void engine_class_init(ObjectClass *class, void *data)
{
    const HisiAccEngine *engine = data;
    bool vf = object_class_dynamic_cast(class, TYPE_HISI_ACC_VF);
    g_autofree char *desc = g_strdup_printf("HiSilicon %s accelerator (%s)",
                                            engine->title, vf ? "VF" : "PF");

    HISI_ACC_FUNC_CLASS(class)->engine = engine;
    PCI_DEVICE_CLASS(class)->device_id = engine->device_id + vf;
    PCI_DEVICE_CLASS(class)->class_id = engine->class_id;
    /* classes live as long as QEMU does */
    DEVICE_CLASS(class)->desc = g_intern_string(desc);
}

static void engine_type(const HisiAccEngine *engine, const char *name,
                        const char *parent)
{
    const TypeInfo type = {
        .name = name,
        .parent = parent,
        .class_init = engine_class_init,
        .class_data = (void *)engine,
    };

    type_register_static(&type);
}

void hisi_acc_engine_register(const HisiAccEngine *engine)
{
    engine_type(engine, engine->name, TYPE_HISI_ACC_PF);
    engine_type(engine, engine->vf_type, TYPE_HISI_ACC_VF);
}

static const TypeInfo function_types[] = {
    {
        .name = TYPE_HISI_ACC_FUNC,
        .parent = TYPE_PCI_DEVICE,
        .abstract = true,
        .instance_size = sizeof(HisiAccFunc),
        .class_size = sizeof(HisiAccFuncClass),
        .class_init = function_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { }
        },
    },
    {
        .name = TYPE_HISI_ACC_PF,
        .parent = TYPE_HISI_ACC_FUNC,
        .abstract = true,
        .instance_size = sizeof(HisiAccPf),
        .instance_init = pf_instance_init,
        .instance_finalize = pf_instance_finalize,
        .class_init = pf_class_init,
        .interfaces = (InterfaceInfo[]) {
            { TYPE_ACPI_DEV_AML_IF },
            { }
        },
    },
    {
        .name = TYPE_HISI_ACC_VF,
        .parent = TYPE_HISI_ACC_FUNC,
        .abstract = true,
        .class_init = vf_class_init,
    },
};

DEFINE_TYPES(function_types)
