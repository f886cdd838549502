/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HiSilicon accelerator model: what the firmware's tables have of a PF
 *
 * On a server the registers that reset the whole device are in none of its
 * BARs: the drivers call a method of the firmware's, SRST, ZRST or HRST after
 * the engine. Here it pokes a register in configuration space.
 */

#include "qemu/osdep.h"
#include "hw/acpi/acpi_aml_interface.h"
#include "hisi_acc.h"

static void build_aml(AcpiDevAmlIf *adev, Aml *scope)
{
    HisiAccFunc *f = HISI_ACC_FUNC(adev);
    const char *engine = strchr(hisi_acc_engine(f)->name, '-') + 1;
    g_autofree char *name = g_strdup_printf("%cRST", g_ascii_toupper(*engine));
    Aml *field = aml_field("CFG", AML_DWORD_ACC, AML_NOLOCK, AML_PRESERVE);
    Aml *method = aml_method(name, 0, AML_SERIALIZED);

    aml_append(scope, aml_operation_region("CFG", AML_PCI_CONFIG,
                                           aml_int(HISI_ACC_CAP_RESET), 4));
    aml_append(field, aml_named_field("RST", 32));
    aml_append(scope, field);
    aml_append(method, aml_store(aml_int(1), aml_name("RST")));
    aml_append(method, aml_return(aml_int(0)));
    aml_append(scope, method);
}

void hisi_acc_acpi_class(ObjectClass *class)
{
    ACPI_DEV_AML_IF_CLASS(class)->build_dev_aml = build_aml;
}
