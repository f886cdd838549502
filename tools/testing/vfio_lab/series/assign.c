// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO driver for the VFs of HiSilicon's SEC, HPRE and ZIP accelerators: vfio-pci.
 */
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

static int hisi_acc_vf_open(struct vfio_device *vdev)
{
	struct vfio_pci_core_device *core =
		container_of(vdev, struct vfio_pci_core_device, vdev);
	int err;

	err = vfio_pci_core_enable(core);
	if (!err)
		vfio_pci_core_finish_enable(core);
	return err;
}

@hisi_acc_vf_ops@
static int hisi_acc_vf_probe(struct pci_dev *pdev,
			     const struct pci_device_id *id)
{
	struct vfio_pci_core_device *core;
	int err;

	core = vfio_alloc_device(vfio_pci_core_device, vdev, &pdev->dev,
				 &hisi_acc_vf_ops);
	if (IS_ERR(core))
		return PTR_ERR(core);
	dev_set_drvdata(&pdev->dev, core);
	err = vfio_pci_core_register_device(core);
	if (err)
		vfio_put_device(&core->vdev);
	return err;
}

static void hisi_acc_vf_remove(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);

	vfio_pci_core_unregister_device(core);
	vfio_put_device(&core->vdev);
}

static const struct pci_error_handlers err_handlers = {
	.error_detected = vfio_pci_core_aer_err_detected,
};

@ids to end@
