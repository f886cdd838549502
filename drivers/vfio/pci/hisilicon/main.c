// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO driver for the VFs of HiSilicon's SEC, HPRE and ZIP accelerators: vfio-pci,
 * and live migration where the device supports it.
 */
#include <linux/hisi_acc_qm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "hisi_acc_vfio_pci.h"

static struct hisi_acc_vf *hisi_acc_vf_from_pci(struct pci_dev *pdev)
{
	return container_of(dev_get_drvdata(&pdev->dev), struct hisi_acc_vf,
			    core);
}

static int hisi_acc_vf_init(struct vfio_device *vdev)
{
	mutex_init(&hisi_acc_vf(vdev)->state_mutex);
	return vfio_pci_core_init_dev(vdev);
}

static void hisi_acc_vf_release(struct vfio_device *vdev)
{
	mutex_destroy(&hisi_acc_vf(vdev)->state_mutex);
	vfio_pci_core_release_dev(vdev);
}

static int hisi_acc_vf_open(struct vfio_device *vdev)
{
	struct hisi_acc_vf *vf = hisi_acc_vf(vdev);
	int err;

	err = vf->pf_qm ? hisi_acc_access_open(vf, hisi_acc_qm_open) :
		       vfio_pci_core_enable(&vf->core);
	if (err)
		return err;
	if (vf->pf_qm)
		hisi_acc_migrate_open(vf);
	vfio_pci_core_finish_enable(&vf->core);
	return 0;
}

static void hisi_acc_vf_close(struct vfio_device *vdev)
{
	struct hisi_acc_vf *vf = hisi_acc_vf(vdev);

	if (!vf->pf_qm) {
		vfio_pci_core_close_device(vdev);
		return;
	}
	hisi_acc_migrate_close(vf);
	hisi_acc_qm_close(vf);
	hisi_acc_access_close(vf);
}

static const struct vfio_device_ops hisi_acc_vf_ops = {
	.name = "hisi-acc-vfio-pci",
	.init = hisi_acc_vf_init,
	.release = hisi_acc_vf_release,
	.open_device = hisi_acc_vf_open,
	.close_device = hisi_acc_vf_close,
	.ioctl = hisi_acc_bar_ioctl,
	.get_region_info_caps = hisi_acc_bar_region_info,
	.device_feature = vfio_pci_core_ioctl_feature,
	.read = hisi_acc_bar_read,
	.write = hisi_acc_bar_write,
	.mmap = hisi_acc_bar_mmap,
	.request = vfio_pci_core_request,
	.match = vfio_pci_core_match,
	.match_token_uuid = vfio_pci_core_match_token_uuid,
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
};

/*
 * The PF's queue manager when @pdev can be migrated, otherwise
 * NULL, and the reason is logged. Both are constant while @pdev is bound: its PF's
 * driver is unbound only after this one.
 */
static struct hisi_qm *
hisi_acc_vf_find_pf_qm(struct pci_dev *pdev,
		       const struct hisi_acc_engine *engine)
{
	struct hisi_qm *qm;

	if (!engine || !pdev->is_virtfn || pci_iov_vf_id(pdev) < 0) {
		pci_info(pdev, "no migration: not an SR-IOV VF\n");
		return NULL;
	}
	qm = pci_iov_get_pf_drvdata(pdev, engine->pf_driver());
	if (IS_ERR_OR_NULL(qm)) {
		pci_info(pdev, "no migration: %s is not bound to its %s driver\n",
			 pci_name(pci_physfn(pdev)), engine->name);
		return NULL;
	}
	if (!hisi_acc_qm_can_migrate(qm)) {
		pci_info(pdev, "no migration: hardware version 0x%x does not support it\n",
			 qm->ver);
		return NULL;
	}
	if (!hisi_acc_qm_has_registers(pdev, qm, pci_iov_vf_id(pdev) + 1)) {
		pci_info(pdev, "no migration: its BAR is too small\n");
		return NULL;
	}
	/* what hisi_acc_qm_open() finds, unless a reset of the device changes it */
	if (!hisi_acc_qm_regs_in_pf(qm) &&
	    pci_resource_len(pdev, HISI_ACC_BAR) / 2 < PAGE_SIZE) {
		pci_info(pdev, "no migration: its registers share a page of %lu KiB with the guest's\n",
			 PAGE_SIZE / SZ_1K);
		return NULL;
	}
	return qm;
}

static int hisi_acc_vf_probe(struct pci_dev *pdev,
			     const struct pci_device_id *id)
{
	const struct hisi_acc_engine *engine = hisi_acc_qm_engine(pdev);
	struct hisi_acc_vf *vf;
	int err;

	vf = vfio_alloc_device(hisi_acc_vf, core.vdev, &pdev->dev, &hisi_acc_vf_ops);
	if (IS_ERR(vf))
		return PTR_ERR(vf);
	vf->pf_qm = hisi_acc_vf_find_pf_qm(pdev, engine);
	vf->engine = engine;
	vf->number = vf->pf_qm ? pci_iov_vf_id(pdev) + 1 : 0;
	vf->guest_bar_len = pci_resource_len(pdev, HISI_ACC_BAR);
	if (vf->pf_qm) {
		vf->sriov_cap = pci_find_ext_capability(pci_physfn(pdev),
							PCI_EXT_CAP_ID_SRIOV);
		vf->core.vdev.migration_flags = VFIO_MIGRATION_STOP_COPY |
						VFIO_MIGRATION_P2P |
						VFIO_MIGRATION_PRE_COPY;
		vf->core.vdev.mig_ops = &hisi_acc_migration_ops;
	}
	dev_set_drvdata(&pdev->dev, &vf->core);
	err = vfio_pci_core_register_device(&vf->core);
	if (err)
		vfio_put_device(&vf->core.vdev);
	else if (vf->pf_qm)
		hisi_acc_debugfs_init(vf);
	return err;
}

static void hisi_acc_vf_remove(struct pci_dev *pdev)
{
	struct hisi_acc_vf *vf = hisi_acc_vf_from_pci(pdev);

	vfio_pci_core_unregister_device(&vf->core);
	vfio_put_device(&vf->core.vdev);
}

static void hisi_acc_vf_reset_prepare(struct pci_dev *pdev)
{
	struct hisi_acc_vf *vf = hisi_acc_vf_from_pci(pdev);

	if (vf->pf_qm)
		hisi_acc_access_reset_prepare(vf);
}

static void hisi_acc_vf_reset_done(struct pci_dev *pdev)
{
	struct hisi_acc_vf *vf = hisi_acc_vf_from_pci(pdev);

	if (vf->pf_qm)
		hisi_acc_access_reset_done(vf);
}

static const struct pci_error_handlers err_handlers = {
	.reset_prepare = hisi_acc_vf_reset_prepare,
	.reset_done = hisi_acc_vf_reset_done,
	.error_detected = vfio_pci_core_aer_err_detected,
};

static const struct pci_device_id ids[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_VENDOR_ID_HUAWEI,
					  PCI_DEVICE_ID_HUAWEI_SEC_VF) },
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_VENDOR_ID_HUAWEI,
					  PCI_DEVICE_ID_HUAWEI_HPRE_VF) },
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_VENDOR_ID_HUAWEI,
					  PCI_DEVICE_ID_HUAWEI_ZIP_VF) },
	{ }
};
MODULE_DEVICE_TABLE(pci, ids);

static struct pci_driver hisi_acc_vfio_pci_driver = {
	.name = KBUILD_MODNAME,
	.id_table = ids,
	.probe = hisi_acc_vf_probe,
	.remove = hisi_acc_vf_remove,
	.err_handler = &err_handlers,
	.driver_managed_dma = true,
};
module_pci_driver(hisi_acc_vfio_pci_driver);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VFIO PCI driver with live migration for HiSilicon SEC, HPRE and ZIP VFs");
