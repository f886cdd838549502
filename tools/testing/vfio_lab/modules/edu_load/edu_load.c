// SPDX-License-Identifier: GPL-2.0
/*
 * A driver of QEMU's edu device for a guest, and its load: requests of a program, each
 * compared with the processor's own result. A program uses it as it uses accel_load.
 *
 * "factorial" computes one with an interrupt. "dma" copies the device's buffer to a page, compares
 * it with what the last request of this kind left there, and copies another page into it: a state
 * that does not migrate is noticed whenever the guest stops. The device is used by one request at a
 * time.
 * Registers that keep a value are compared in each request with what was written last.
 */
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "accel_load.h"
#include "edu.h"

#define WAIT_SECONDS	20
#define DMA_BITS	48

enum { IN, OUT, PAGES };

/**
 * struct edu_load - the one device
 * @regs: BAR0
 * @page: what it reads, and what it writes
 * @addr: where it finds them
 * @liveness: written last to EDU_LIVENESS
 * @lock: held for the request that the device is doing
 * @wait: for @irqs
 * @irqs: bits of EDU_IRQ_STATUS since the beginning of a step
 */
struct edu_load {
	void __iomem *regs;
	u8 *page[PAGES];
	dma_addr_t addr[PAGES];
	u32 liveness;
	struct mutex lock;	/* see above */
	wait_queue_head_t wait;
	atomic_t irqs;
};

struct lane {
	bool dma;
	struct rnd_state random;
	u32 operand;
	bool wrong;
};

static struct edu_load device;

static irqreturn_t edu_load_irq(int irq, void *arg)
{
	u32 status = readl(device.regs + EDU_IRQ_STATUS);

	/* an interrupt may come again after a migration */
	writel(status, device.regs + EDU_IRQ_ACK);
	atomic_or(status, &device.irqs);
	wake_up(&device.wait);
	return IRQ_HANDLED;
}

static int wait_for(u32 irq)
{
	if (!wait_event_timeout(device.wait, atomic_read(&device.irqs) & irq, WAIT_SECONDS * HZ))
		return -ETIMEDOUT;
	return 0;
}

static int transfer(struct lane *lane, u64 src, u64 dst, u32 direction)
{
	const u64 want[EDU_DMA_ADDRESSES] = { src, dst, EDU_BUFFER_SIZE };
	int err;

	atomic_andnot(EDU_IRQ_DMA, &device.irqs);
	for (int i = 0; i < EDU_DMA_ADDRESSES; i++)
		writeq(want[i], device.regs + EDU_DMA(i));
	writeq(EDU_DMA_RUN | EDU_DMA_IRQ | direction, device.regs + EDU_DMA_CMD);
	err = wait_for(EDU_IRQ_DMA);
	for (int i = 0; i < EDU_DMA_ADDRESSES; i++)
		lane->wrong |= readq(device.regs + EDU_DMA(i)) != want[i];
	return err;
}

static int copy_page_by_dma(struct lane *lane)
{
	int err;

	memset(device.page[OUT], ~0, EDU_BUFFER_SIZE);
	err = transfer(lane, EDU_BUFFER, device.addr[OUT], EDU_DMA_TO_MEMORY);
	if (err)
		return err;
	lane->wrong |= !!memcmp(device.page[IN], device.page[OUT], EDU_BUFFER_SIZE);
	prandom_bytes_state(&lane->random, device.page[IN], EDU_BUFFER_SIZE);
	return transfer(lane, device.addr[IN], EDU_BUFFER, 0);
}

static int compute(struct lane *lane)
{
	u32 want = 1;
	int err;

	for (u32 n = 2; n <= lane->operand; n++)
		want *= n;
	atomic_andnot(EDU_IRQ_FACTORIAL, &device.irqs);
	writel(lane->operand, device.regs + EDU_FACTORIAL);
	err = wait_for(EDU_IRQ_FACTORIAL);
	lane->wrong |= !err && readl(device.regs + EDU_FACTORIAL) != want;
	return err;
}

static int run(struct lane *lane)
{
	int err;

	mutex_lock(&device.lock);
	lane->wrong = readl(device.regs + EDU_LIVENESS) != ~device.liveness ||
		      !(readl(device.regs + EDU_STATUS) & EDU_STATUS_IRQ);
	device.liveness = prandom_u32_state(&lane->random);
	writel(device.liveness, device.regs + EDU_LIVENESS);
	err = lane->dma ? copy_page_by_dma(lane) : compute(lane);
	mutex_unlock(&device.lock);
	return err;
}

static int open_kind(struct lane *lane, const char __user *name)
{
	char wanted[ACCEL_LOAD_NAME];
	long len = strncpy_from_user(wanted, name, sizeof(wanted));

	if (len < 0)
		return len;
	if (len == sizeof(wanted) || (strcmp(wanted, "dma") && strcmp(wanted, "factorial")))
		return -EINVAL;
	lane->dma = !strcmp(wanted, "dma");
	return 0;
}

static long edu_load_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct lane *lane = file->private_data;

	switch (cmd) {
	case ACCEL_LOAD_OPEN:
		return open_kind(lane, (const char __user *)arg);
	case ACCEL_LOAD_PREPARE:
		prandom_seed_state(&lane->random, arg);
		lane->operand = prandom_u32_state(&lane->random) % (EDU_LAST_OPERAND + 1);
		return 0;
	case ACCEL_LOAD_RUN:
		return run(lane);
	case ACCEL_LOAD_CHECK:
		return lane->wrong;
	}
	return -ENOTTY;
}

static int edu_load_open(struct inode *inode, struct file *file)
{
	struct lane *lane = kzalloc(sizeof(*lane), GFP_KERNEL);

	file->private_data = lane;
	return lane ? 0 : -ENOMEM;
}

static int edu_load_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

static const struct file_operations edu_load_fops = {
	.owner = THIS_MODULE,
	.open = edu_load_open,
	.release = edu_load_release,
	.unlocked_ioctl = edu_load_ioctl,
};

static struct miscdevice edu_load_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = ACCEL_LOAD_DEVICE,
	.fops = &edu_load_fops,
};

static int edu_load_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	int err;

	if (device.regs)
		return -EBUSY;
	err = pcim_enable_device(pdev) ?:
	      dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(DMA_BITS));
	if (err)
		return err;
	pci_set_master(pdev);
	device.regs = pcim_iomap(pdev, 0, 0);
	for (int i = 0; i < PAGES; i++)
		device.page[i] = dmam_alloc_coherent(&pdev->dev, EDU_BUFFER_SIZE, &device.addr[i],
						     GFP_KERNEL);
	if (!device.regs || !device.page[IN] || !device.page[OUT])
		return -ENOMEM;
	err = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSI);
	if (err < 0)
		return err;
	err = devm_request_irq(&pdev->dev, pci_irq_vector(pdev, 0), edu_load_irq, 0, KBUILD_MODNAME,
			       &device);
	if (err)
		return err;
	writel(device.liveness, device.regs + EDU_LIVENESS);
	writel(EDU_STATUS_IRQ, device.regs + EDU_STATUS);
	return misc_register(&edu_load_misc);
}

static void edu_load_remove(struct pci_dev *pdev)
{
	misc_deregister(&edu_load_misc);
	device.regs = NULL;
}

static const struct pci_device_id edu_load_ids[] = {
	{ PCI_DEVICE(EDU_VENDOR, EDU_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, edu_load_ids);

static struct pci_driver edu_load_driver = {
	.name = KBUILD_MODNAME,
	.id_table = edu_load_ids,
	.probe = edu_load_probe,
	.remove = edu_load_remove,
};

static int __init edu_load_init(void)
{
	mutex_init(&device.lock);
	init_waitqueue_head(&device.wait);
	return pci_register_driver(&edu_load_driver);
}
module_init(edu_load_init);

static void __exit edu_load_exit(void)
{
	pci_unregister_driver(&edu_load_driver);
}
module_exit(edu_load_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Load for QEMU's edu device");
