// SPDX-License-Identifier: GPL-2.0
/*
 * Does to a PF of SEC what its own driver may do at any time, when and for as long
 * as a test sets: hold it as for a reset, rewrite an entry of the function table
 * slowly, switch the migration registers, send a message, or pass for older
 * hardware. And makes Linux treat a VF as a plain device, as it does in a guest.
 * Everything is a module parameter, in sysfs.
 */
#include <linux/delay.h>
#include <linux/hisi_acc_qm.h>
#include <linux/io.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/workqueue.h>

#define IFC_INT_SET	0x100130
#define IFC_INT_CFG	0x100134
#define VFT_ENABLE	0x100054
#define VFT_READ	0x100058
#define VFT_TYPE	0x10005c
#define VFT_FUNCTION	0x100060
#define VFT_DATA_L	0x100064
#define VFT_DATA_H	0x100068
#define VFT_READY	0x10006c
#define MIG_REGION_SEL	0x100198
#define SHAPER		2
#define RESET_MS	5000
#define MAX_DELAY_MS	400
#define TURN_MS		10

static char *pf = "0000:00:08.0";
module_param(pf, charp, 0444);

static struct pci_dev *pdev;
static struct hisi_qm *qm;

static int hold(void)
{
	for (int ms = 0; test_and_set_bit(QM_RESETTING, &qm->misc_ctl); ms++) {
		if (ms > RESET_MS)
			return -EBUSY;
		usleep_range(1000, 2000);
	}
	return 0;
}

/* An error if the bit was cleared by another user, who had not set it */
static int release(void)
{
	return test_and_clear_bit(QM_RESETTING, &qm->misc_ctl) ? 0 : -EIDRM;
}

static int hold_set(const char *text, const struct kernel_param *param)
{
	return text[0] == '1' ? hold() : release();
}

static int hold_get(char *text, const struct kernel_param *param)
{
	return sysfs_emit(text, "%d\n", test_bit(QM_RESETTING, &qm->misc_ctl));
}

static const struct kernel_param_ops hold_ops = { .set = hold_set, .get = hold_get };
module_param_cb(hold, &hold_ops, NULL, 0600);

static struct {
	unsigned int taken;
	unsigned int longest_ms;
} turns;

/* As the PF's driver waits: polling less often the longer it takes */
static int wait_for_turn(void)
{
	ktime_t start = ktime_get();
	unsigned int pause_ms;

	for (pause_ms = 1; test_and_set_bit(QM_RESETTING, &qm->misc_ctl); pause_ms++) {
		msleep(pause_ms);
		if (pause_ms > MAX_DELAY_MS)
			return -EBUSY;
	}
	turns.taken++;
	turns.longest_ms = max_t(unsigned int, turns.longest_ms,
				 ktime_ms_delta(ktime_get(), start));
	return 0;
}

/*
 * "TIMES": hold the PF so often, and leave it to others for as long as it was
 * held in between. Read it for how often that was, and the longest wait in
 * milliseconds; EBUSY says that the last wait was too long.
 */
static int turns_set(const char *text, const struct kernel_param *param)
{
	unsigned int times;
	int err;

	if (kstrtouint(text, 0, &times))
		return -EINVAL;
	turns.taken = 0;
	turns.longest_ms = 0;
	while (times--) {
		err = wait_for_turn();
		if (err)
			return err;
		msleep(TURN_MS);
		err = release();
		if (err)
			return err;
		msleep(TURN_MS);
	}
	return 0;
}

static int turns_get(char *text, const struct kernel_param *param)
{
	return sysfs_emit(text, "%u %u\n", turns.taken, turns.longest_ms);
}

static const struct kernel_param_ops turns_ops = { .set = turns_set, .get = turns_get };
module_param_cb(turns, &turns_ops, NULL, 0600);

static void table_address(u32 read, u32 type, u32 function, u64 value)
{
	void __iomem *io = qm->io_base;

	writel(read, io + VFT_READ);
	writel(type, io + VFT_TYPE);
	writel(function, io + VFT_FUNCTION);
	if (!read) {
		writel(lower_32_bits(value), io + VFT_DATA_L);
		writel(upper_32_bits(value), io + VFT_DATA_H);
	}
}

static void table_go(void)
{
	void __iomem *io = qm->io_base;

	writel(0, io + VFT_READY);
	writel(1, io + VFT_ENABLE);
	while (!(readl(io + VFT_READY) & 1))
		cpu_relax();
}

static u64 table_read(u32 type, u32 function)
{
	table_address(1, type, function, 0);
	table_go();
	return (u64)readl(qm->io_base + VFT_DATA_H) << 32 |
	       readl(qm->io_base + VFT_DATA_L);
}

static struct {
	unsigned int function;
	u64 value;
	int err;
} shape;

static void shape_end(struct work_struct *work)
{
	table_go();
	shape.err = table_read(SHAPER, shape.function) == shape.value ? 0 : -EIO;
	shape.err = release() ?: shape.err;
}

static DECLARE_DELAYED_WORK(shape_work, shape_end);

/*
 * "VF MS": write a bandwidth limit, as the stock driver does, with a pause before
 * the write is started. Read it to wait for that; EIO says that the write did not
 * arrive.
 */
static int shape_set(const char *text, const struct kernel_param *param)
{
	unsigned int ms;
	int err;

	flush_delayed_work(&shape_work);
	if (sscanf(text, "%u %u", &shape.function, &ms) != 2)
		return -EINVAL;
	err = hold();
	if (err)
		return err;
	shape.value = table_read(SHAPER, shape.function) ^ 1;
	table_address(0, SHAPER, shape.function, shape.value);
	schedule_delayed_work(&shape_work, msecs_to_jiffies(ms));
	return 0;
}

static int shape_get(char *text, const struct kernel_param *param)
{
	flush_delayed_work(&shape_work);
	return shape.err ?: sysfs_emit(text, "done\n");
}

static const struct kernel_param_ops shape_ops = { .set = shape_set, .get = shape_get };
module_param_cb(shape, &shape_ops, NULL, 0600);

/*
 * "VF TIMES": read an entry again and again, as no driver should: without holding
 * the PF.
 */
static int rude_set(const char *text, const struct kernel_param *param)
{
	unsigned int function, times;

	if (sscanf(text, "%u %u", &function, &times) != 2)
		return -EINVAL;
	while (times--) {
		table_read(0, function);
		usleep_range(100, 200);
	}
	return 0;
}

static const struct kernel_param_ops rude_ops = { .set = rude_set };
module_param_cb(rude, &rude_ops, NULL, 0200);

/* "VF": take its queues away */
static int no_queues_set(const char *text, const struct kernel_param *param)
{
	unsigned int function;
	int err;

	if (kstrtouint(text, 0, &function))
		return -EINVAL;
	err = hold();
	if (err)
		return err;
	table_address(0, 0, function, 0);
	table_go();
	return release();
}

static const struct kernel_param_ops no_queues_ops = { .set = no_queues_set };
module_param_cb(no_queues, &no_queues_ops, NULL, 0200);

static int mig_regs_set(const char *text, const struct kernel_param *param)
{
	writel(text[0] == '1', qm->io_base + MIG_REGION_SEL);
	return 0;
}

static const struct kernel_param_ops mig_regs_ops = { .set = mig_regs_set };
module_param_cb(mig_regs, &mig_regs_ops, NULL, 0200);

/* "VF [MESSAGE]": interrupt a VF for a message */
static int message_set(const char *text, const struct kernel_param *param)
{
	unsigned int function, message;
	int given, err;

	given = sscanf(text, "%u %u", &function, &message);
	if (given < 1)
		return -EINVAL;
	if (given == 2) {
		err = hisi_qm_mb(qm, QM_MB_CMD_SRC, message, function, 0);
		if (err)
			return err;
	}
	writel(function, qm->io_base + IFC_INT_CFG);
	writel(1, qm->io_base + IFC_INT_SET);
	return 0;
}

static const struct kernel_param_ops message_ops = { .set = message_set };
module_param_cb(message, &message_ops, NULL, 0200);

static int version_set(const char *text, const struct kernel_param *param)
{
	unsigned int version;

	if (kstrtouint(text, 0, &version))
		return -EINVAL;
	qm->ver = version;
	return 0;
}

static int version_get(char *text, const struct kernel_param *param)
{
	return sysfs_emit(text, "0x%x\n", qm->ver);
}

static const struct kernel_param_ops version_ops = { .set = version_set, .get = version_get };
module_param_cb(version, &version_ops, NULL, 0600);

static struct pci_dev *find(const char *address)
{
	unsigned int domain, bus, slot, function;

	if (sscanf(address, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4)
		return NULL;
	return pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, function));
}

/* "ADDRESS": no longer a VF, or one again */
static int plain_set(const char *text, const struct kernel_param *param)
{
	struct pci_dev *vf = find(text);

	if (!vf)
		return -ENODEV;
	vf->is_virtfn = !vf->is_virtfn;
	pci_dev_put(vf);
	return 0;
}

static const struct kernel_param_ops plain_ops = { .set = plain_set };
module_param_cb(plain, &plain_ops, NULL, 0200);

static int __init rival_init(void)
{
	pdev = find(pf);
	if (!pdev)
		return -ENODEV;
	if (pdev->driver != hisi_sec_get_pf_driver()) {
		pci_dev_put(pdev);
		return -ENXIO;
	}
	qm = pci_get_drvdata(pdev);
	return 0;
}
module_init(rival_init);

static void __exit rival_exit(void)
{
	cancel_delayed_work_sync(&shape_work);
	pci_dev_put(pdev);
}
module_exit(rival_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Stands in for what else uses a PF of SEC");
