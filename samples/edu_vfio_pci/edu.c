// SPDX-License-Identifier: GPL-2.0-only
/*
 * A sample of a VFIO driver with live migration, for QEMU's edu device.
 *
 * Of the factorial the operand is saved. The buffer, which only the device's DMA reaches, is
 * moved by the device, with a page table of this driver. The last DMA command is lost.
 */
#include <linux/iommu.h>
#include <linux/iopoll.h>
#include <linux/module.h>
#include <linux/vfio_pci_core.h>

#include "edu.h"
#include "migf.h"

#define EDU_IOVA	0x10000			/* of the page; the engine has 28 bits */
#define EDU_WAIT_US	(5 * USEC_PER_SEC)	/* a transfer takes 100 ms */

struct edu {	/* locks in order: dev_set->lock, memory_lock, state_mutex, a file's */
	struct vfio_pci_core_device core;
	void __iomem *regs;
	void *page;
	u32 pt_id;		/* the user's page table; under dev_set->lock */
	struct mutex state_mutex;	/* protects all below */
	enum vfio_device_mig_state state;
	u32 irq_pending;	/* loaded, and not yet raised */
	struct edu_migf *migf;
	struct edu_data data;	/* its match part is constant while it is open */
};

static struct edu *to_edu(struct vfio_device *vdev)
{
	return container_of(vdev, struct edu, core.vdev);
}

static int edu_wait(struct edu *edu, unsigned int reg, u32 busy)
{
	u32 value;

	return readl_poll_timeout(edu->regs + reg, value, !(value & busy), 1000, EDU_WAIT_US);
}

/* No transfer begins afterwards: vCPUs are stopped, and peers are in P2P states, too */
static int edu_stop_dma(struct edu *edu)
{
	return edu_wait(edu, EDU_DMA_CMD, EDU_DMA_RUN);
}

static int edu_stop(struct edu *edu)
{
	return edu_stop_dma(edu) ?: edu_wait(edu, EDU_STATUS, EDU_STATUS_COMPUTING);
}

static int edu_start(struct edu *edu)
{
	if (edu->irq_pending)
		writel(edu->irq_pending, edu->regs + EDU_IRQ_RAISE);
	edu->irq_pending = 0;
	return 0;
}

/*
 * Have the device copy its buffer to the page, or back. If that does not end, the user's
 * page table stays off: the device would still write.
 */
static int edu_move_buffer(struct edu *edu, u32 direction)
{
	struct vfio_device *vdev = &edu->core.vdev;
	struct iommu_domain *domain = iommu_paging_domain_alloc(vdev->dev);
	bool attached = vdev->iommufd_attached;
	u32 pt_id = edu->pt_id;
	int err;

	if (IS_ERR(domain))
		return PTR_ERR(domain);
	err = iommu_map(domain, EDU_IOVA, virt_to_phys(edu->page), PAGE_SIZE,
			IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE, GFP_KERNEL_ACCOUNT);
	if (err)
		goto free;
	vfio_iommufd_physical_detach_ioas(vdev);
	err = iommu_attach_device(domain, vdev->dev);
	if (!err) {
		writeq(direction ? EDU_BUFFER : EDU_IOVA, edu->regs + EDU_DMA(0));
		writeq(direction ? EDU_IOVA : EDU_BUFFER, edu->regs + EDU_DMA(1));
		writeq(EDU_BUFFER_SIZE, edu->regs + EDU_DMA(2));
		writeq(EDU_DMA_RUN | direction, edu->regs + EDU_DMA_CMD);
		err = edu_stop_dma(edu);
		iommu_detach_device(domain, vdev->dev);
	}
	if (attached && err != -ETIMEDOUT && vfio_iommufd_physical_attach_ioas(vdev, &pt_id))
		err = -EIO;
	if (attached && !vdev->iommufd_attached)
		edu->state = VFIO_DEVICE_STATE_ERROR;
free:
	iommu_domain_free(domain);
	return err;
}

static int edu_start_saving(struct edu *edu)
{
	return edu_migf_open(&edu->core.vdev, O_RDONLY, &edu->data, EDU_MATCH_SIZE,
			     sizeof(edu->data), &edu->migf);
}

static int edu_start_resuming(struct edu *edu)
{
	return edu_migf_open(&edu->core.vdev, O_WRONLY, &edu->data, EDU_MATCH_SIZE,
			     sizeof(edu->data), &edu->migf);
}

static int edu_end_session(struct edu *edu)
{
	edu_migf_close(edu->migf);
	edu->migf = NULL;
	return 0;
}

static int edu_save(struct edu *edu)
{
	struct edu_data *data = &edu->data;
	u32 product = 1, operand = 0;
	int err = edu_stop(edu);

	if (err)
		return err;
	while (product != readl(edu->regs + EDU_FACTORIAL) && operand < EDU_LAST_OPERAND)
		product *= ++operand;
	data->liveness = cpu_to_le32(readl(edu->regs + EDU_LIVENESS));
	data->operand = cpu_to_le32(operand);
	data->status = cpu_to_le32(readl(edu->regs + EDU_STATUS) & EDU_STATUS_IRQ);
	data->irq_status = cpu_to_le32(readl(edu->regs + EDU_IRQ_STATUS) | edu->irq_pending);
	for (int i = 0; i < EDU_DMA_ADDRESSES; i++)
		data->dma[i] = cpu_to_le64(readq(edu->regs + EDU_DMA(i)));
	err = edu_move_buffer(edu, EDU_DMA_TO_MEMORY);
	/* the guest may go on here */
	for (int i = 0; i < EDU_DMA_ADDRESSES; i++)
		writeq(le64_to_cpu(data->dma[i]), edu->regs + EDU_DMA(i));
	memcpy(data->buffer, edu->page, EDU_BUFFER_SIZE);
	if (!err)
		edu_migf_fill(edu->migf, data);
	return err;
}

static int edu_open_and_save(struct edu *edu)
{
	int err = edu_start_saving(edu) ?: edu_save(edu);

	if (err)
		edu_end_session(edu);
	return err;
}

static int edu_load_data(struct edu *edu, const struct edu_data *data)
{
	int err;

	memcpy(edu->page, data->buffer, EDU_BUFFER_SIZE);
	writel(0, edu->regs + EDU_STATUS);	/* the factorial raises no interrupt here */
	writel(le32_to_cpu(data->operand), edu->regs + EDU_FACTORIAL);
	err = edu_stop(edu) ?: edu_move_buffer(edu, 0);
	if (err)
		return err;
	writel(~le32_to_cpu(data->liveness), edu->regs + EDU_LIVENESS);
	writel(le32_to_cpu(data->status), edu->regs + EDU_STATUS);
	for (int i = 0; i < EDU_DMA_ADDRESSES; i++)
		writeq(le64_to_cpu(data->dma[i]), edu->regs + EDU_DMA(i));
	writel(~0, edu->regs + EDU_IRQ_ACK);
	edu->irq_pending = le32_to_cpu(data->irq_status);
	return 0;
}

/* Nothing reaches the device before all of it is valid */
static int edu_load(struct edu *edu)
{
	struct edu_data *data = &edu->data;
	int err = edu_migf_read_all(edu->migf, data);

	if (err)
		return err;
	if (data->status & ~cpu_to_le32(EDU_STATUS_IRQ) ||
	    le32_to_cpu(data->operand) > EDU_LAST_OPERAND)
		return -EINVAL;
	err = edu_load_data(edu, data);
	edu_end_session(edu);
	if (err)
		edu->state = VFIO_DEVICE_STATE_ERROR;
	return err;
}

#define STATE(name) VFIO_DEVICE_STATE_##name

/* After an error the old state is in force, or it is ERROR; other arcs change but the name */
static int (*const edu_arcs[VFIO_DEVICE_STATE_NR][VFIO_DEVICE_STATE_NR])(struct edu *edu) = {
	[STATE(RUNNING)][STATE(RUNNING_P2P)] = edu_stop_dma,
	[STATE(PRE_COPY)][STATE(PRE_COPY_P2P)] = edu_stop_dma,
	[STATE(RUNNING_P2P)][STATE(STOP)] = edu_stop,
	[STATE(STOP)][STATE(RUNNING_P2P)] = edu_start,
	[STATE(RUNNING)][STATE(PRE_COPY)] = edu_start_saving,
	[STATE(RUNNING_P2P)][STATE(PRE_COPY_P2P)] = edu_start_saving,
	[STATE(PRE_COPY_P2P)][STATE(STOP_COPY)] = edu_save,
	[STATE(STOP)][STATE(STOP_COPY)] = edu_open_and_save,
	[STATE(PRE_COPY)][STATE(RUNNING)] = edu_end_session,
	[STATE(PRE_COPY_P2P)][STATE(RUNNING_P2P)] = edu_end_session,
	[STATE(STOP_COPY)][STATE(STOP)] = edu_end_session,
	[STATE(STOP)][STATE(RESUMING)] = edu_start_resuming,
	[STATE(RESUMING)][STATE(STOP)] = edu_load,
};

/* The user may have turned off the registers, or the device's access to memory */
static u16 edu_enable(struct edu *edu)
{
	u16 command;

	pci_read_config_word(edu->core.pdev, PCI_COMMAND, &command);
	pci_write_config_word(edu->core.pdev, PCI_COMMAND,
			      command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return command;
}

static int edu_step(struct edu *edu, enum vfio_device_mig_state target)
{
	enum vfio_device_mig_state next;
	int err;

	if (edu->state == VFIO_DEVICE_STATE_ERROR)
		return -EIO;
	err = vfio_mig_get_next_state(&edu->core.vdev, edu->state, target, &next);
	if (!err && edu_arcs[edu->state][next])
		err = edu_arcs[edu->state][next](edu);
	if (!err)
		edu->state = next;
	return err;
}

static struct file *edu_set_state(struct vfio_device *vdev, enum vfio_device_mig_state target)
{
	struct edu *edu = to_edu(vdev);
	struct edu_migf *before;
	u16 command;
	int err = 0;

	guard(mutex)(&vdev->dev_set->lock);
	guard(rwsem_read)(&edu->core.memory_lock);
	guard(mutex)(&edu->state_mutex);
	before = edu->migf;
	command = edu_enable(edu);
	while (!err && edu->state != target)
		err = edu_step(edu, target);
	pci_write_config_word(edu->core.pdev, PCI_COMMAND, command);
	if (err)
		return ERR_PTR(err);
	return edu->migf && edu->migf != before ? edu_migf_file(edu->migf) : NULL;
}

static int edu_get_state(struct vfio_device *vdev, enum vfio_device_mig_state *state)
{
	guard(mutex)(&to_edu(vdev)->state_mutex);
	*state = to_edu(vdev)->state;
	return 0;
}

static int edu_get_data_size(struct vfio_device *vdev, unsigned long *size)
{
	*size = sizeof(struct edu_data);
	return 0;
}

static const struct vfio_migration_ops edu_migration_ops = {
	.migration_set_state = edu_set_state,
	.migration_get_state = edu_get_state,
	.migration_get_data_size = edu_get_data_size,
};

/* QEMU's device keeps its registers and its buffer in a reset */
static void edu_reset_done(struct pci_dev *pdev)
{
	struct edu *edu = container_of(dev_get_drvdata(&pdev->dev), struct edu, core);

	guard(mutex)(&edu->state_mutex);
	edu_end_session(edu);
	edu->irq_pending = 0;
	edu->state = VFIO_DEVICE_STATE_RUNNING;
}

/* Nothing of the last user's is left */
static int edu_open(struct vfio_device *vdev)
{
	static const struct edu_data power_on = { .operand = cpu_to_le32(EDU_LAST_OPERAND) };
	struct edu *edu = to_edu(vdev);
	u16 command;
	int err;

	if (!vfio_iommufd_device_ictx(vdev))
		return -EOPNOTSUPP;
	err = vfio_pci_core_enable(&edu->core);
	if (err)
		return err;
	scoped_guard(mutex, &edu->state_mutex) {
		command = edu_enable(edu);
		edu->data.magic = cpu_to_le32(EDU_MAGIC);
		edu->data.id = cpu_to_le32(readl(edu->regs + EDU_ID));
		err = edu_stop(edu) ?: edu_load_data(edu, &power_on);
		pci_write_config_word(edu->core.pdev, PCI_COMMAND, command);
		edu->state = VFIO_DEVICE_STATE_RUNNING;
	}
	if (err)
		vfio_pci_core_disable(&edu->core);
	else
		vfio_pci_core_finish_enable(&edu->core);
	return err;
}

static void edu_close(struct vfio_device *vdev)
{
	scoped_guard(mutex, &to_edu(vdev)->state_mutex)
		edu_end_session(to_edu(vdev));
	vfio_pci_core_close_device(vdev);
}

static int edu_attach_ioas(struct vfio_device *vdev, u32 *pt_id)
{
	u32 wanted = *pt_id;
	int err = vfio_iommufd_physical_attach_ioas(vdev, pt_id);

	if (!err)
		to_edu(vdev)->pt_id = wanted;
	return err;
}

static const struct vfio_device_ops edu_ops = {
	.name = "edu-vfio-pci",
	.init = vfio_pci_core_init_dev,
	.release = vfio_pci_core_release_dev,
	.open_device = edu_open,
	.close_device = edu_close,
	.ioctl = vfio_pci_core_ioctl,
	.get_region_info_caps = vfio_pci_ioctl_get_region_info,
	.device_feature = vfio_pci_core_ioctl_feature,
	.read = vfio_pci_core_read,
	.write = vfio_pci_core_write,
	.mmap = vfio_pci_core_mmap,
	.request = vfio_pci_core_request,
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = edu_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
};

static int edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct edu *edu = vfio_alloc_device(edu, core.vdev, &pdev->dev, &edu_ops);
	int err = -ENOMEM;

	if (IS_ERR(edu))
		return PTR_ERR(edu);
	mutex_init(&edu->state_mutex);
	edu->regs = pcim_iomap(pdev, 0, 0);
	edu->page = (void *)devm_get_free_pages(&pdev->dev, GFP_KERNEL, 0);
	edu->core.vdev.migration_flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
					 VFIO_MIGRATION_PRE_COPY;
	edu->core.vdev.mig_ops = &edu_migration_ops;
	dev_set_drvdata(&pdev->dev, &edu->core);
	if (edu->regs && edu->page)
		err = vfio_pci_core_register_device(&edu->core);
	if (err)
		vfio_put_device(&edu->core.vdev);
	return err;
}

static void edu_remove(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);

	vfio_pci_core_unregister_device(core);
	vfio_put_device(&core->vdev);
}

static const struct pci_error_handlers edu_err_handlers = {
	.reset_done = edu_reset_done,
};

static const struct pci_device_id edu_ids[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(EDU_VENDOR, EDU_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, edu_ids);

static struct pci_driver edu_driver = {
	.name = KBUILD_MODNAME,
	.id_table = edu_ids,
	.probe = edu_probe,
	.remove = edu_remove,
	.err_handler = &edu_err_handlers,
	.driver_managed_dma = true,
};
module_pci_driver(edu_driver);

MODULE_IMPORT_NS("IOMMUFD");
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Sample of a VFIO PCI driver with live migration, for QEMU's edu device");
