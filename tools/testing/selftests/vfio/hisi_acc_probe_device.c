// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/io.h>
#include <linux/limits.h>
#include <linux/pci_ids.h>
#include <linux/pci_regs.h>

#include "hisi_acc_probe.h"
#include "lib/drivers/hisi_acc/mailbox.h"
#include "migration.h"
#include "vfio_open.h"

/* Of any command or write-back; the drivers wait for as long at most */
#define MAILBOX_TIME	(5 * PROBE_SECOND)
#define IOVA		0x10000000ull
#define IOVA_PITCH	0x10000000ull

static char *path_of(const char *bdf, const char *file)
{
	char *path;

	if (asprintf(&path, "/sys/bus/pci/devices/%s%s", bdf, file) < 0)
		exit(KSFT_FAIL);
	return path;
}

/* The last part of what a link in the device's directory points to; empty without */
static void read_link(const char *bdf, const char *file, char *target, size_t size)
{
	char *path = path_of(bdf, file), whole[PATH_MAX];
	ssize_t len = readlink(path, whole, sizeof(whole) - 1);

	free(path);
	whole[len > 0 ? len : 0] = 0;
	snprintf(target, size, "%s", len > 0 ? basename(whole) : "");
}

static u32 read_attribute(const char *bdf, const char *name)
{
	char *path = path_of(bdf, "");
	u32 value = migration_device_attribute(path, name);

	free(path);
	return value;
}

/* Its group cannot be opened then, whatever the device was opened with */
static bool in_use(const char *path)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	int fd = open_group(path, "");
	bool used = fd == -EBUSY;

	if (fd >= 0)
		close(fd);
	if (fd != -ENOENT)
		return used;
	fd = open_cdev(path);
	bind.iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	used = fd >= 0 && bind.iommufd >= 0 &&
	       ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind);
	close(bind.iommufd);
	close(fd);
	return used;
}

static const char *mode_for(const char *path)
{
	static const char *const modes[] = { MODE_IOMMUFD, MODE_VFIO_TYPE1V2_IOMMU };

	for (unsigned int i = 0; i < ARRAY_SIZE(modes); i++)
		if (migration_mode_works(path, modes[i]))
			return modes[i];
	return NULL;
}

const char *probe_refusal(const char *bdf)
{
	char *path = path_of(bdf, "");
	const char *reason = NULL;
	char driver[32];

	if (access(path, F_OK))
		reason = "there is no such PCI device";
	else if (read_attribute(bdf, "vendor") != PCI_VENDOR_ID_HUAWEI ||
		 !probe_engine_of(read_attribute(bdf, "device")))
		reason = "no VF of a HiSilicon accelerator";
	else if (read_link(bdf, "/driver", driver, sizeof(driver)), !strstr(driver, "vfio"))
		reason = "not bound to a VFIO driver";
	else if (in_use(path))
		reason = "in use";
	else if (!mode_for(path))
		reason = "VFIO cannot open it: no permission, or no IOMMU backend";
	free(path);
	return reason;
}

static void *reg(struct probe_vf *vf, unsigned int offset)
{
	return vf->device->bars[2].vaddr + offset;
}

void probe_open(struct probe_vf *vf, const char *bdf, unsigned int number)
{
	char *path = path_of(bdf, "");
	u64 vft = 0;

	*vf = (struct probe_vf) { .bdf = bdf };
	vf->engine = probe_engine_of(read_attribute(bdf, "device"));
	vf->revision = read_attribute(bdf, "revision");
	read_link(bdf, "/driver", vf->driver, sizeof(vf->driver));
	vf->device = vfio_pci_device_init(bdf, iommu_init(mode_for(path)));
	free(path);
	VFIO_ASSERT_NOT_NULL(vf->device->bars[2].vaddr, "BAR2 of %s\n", bdf);

	vf->region.size = sizeof(*vf->ram);
	vf->region.iova = IOVA + number * IOVA_PITCH;
	vf->region.vaddr = mmap(NULL, vf->region.size, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	VFIO_ASSERT_NE(vf->region.vaddr, MAP_FAILED);
	vf->ram = vf->region.vaddr;
	iommu_map(vf->device->iommu, &vf->region);

	probe_reset(vf);
	vf->version = probe_read(vf, QM_HW_VERSION);
	if (!probe_mailbox(vf, MB_VFT | MB_GET, 0, &vft))
		vf->queues = (vft >> 45 & 0x3ff) + 1;
}

void probe_close(struct probe_vf *vf)
{
	struct iommu *iommu = vf->device->iommu;

	probe_reset(vf);
	vfio_pci_device_cleanup(vf->device);
	iommu_cleanup(iommu);
	munmap(vf->region.vaddr, vf->region.size);
}

/* Linux turns bus mastering off for a reset: no request may be in the engine then */
void probe_reset(struct probe_vf *vf)
{
	if (vf->used)
		probe_mailbox(vf, MB_PAUSE, 0, NULL);
	vf->used = false;
	vfio_pci_device_reset(vf->device);
	probe_master(vf, true);
}

void probe_master(struct probe_vf *vf, bool on)
{
	u16 command = vfio_pci_config_readw(vf->device, PCI_COMMAND);

	command = on ? command | PCI_COMMAND_MASTER : command & ~PCI_COMMAND_MASTER;
	vfio_pci_config_writew(vf->device, PCI_COMMAND, command | PCI_COMMAND_MEMORY);
}

u32 probe_read(struct probe_vf *vf, unsigned int offset)
{
	return readl(reg(vf, offset));
}

void probe_write(struct probe_vf *vf, unsigned int offset, u32 value)
{
	writel(value, reg(vf, offset));
}

void probe_narrow_store(struct probe_vf *vf, unsigned int offset, const u32 *words,
			unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		writel(words[i], reg(vf, offset + 4 * i));
}

volatile void *probe_map_sysfs(const char *bdf, size_t size)
{
	char *path = path_of(bdf, "/resource2");
	int fd = open(path, O_RDONLY | O_SYNC | O_CLOEXEC);
	void *map = MAP_FAILED;

	free(path);
	if (fd >= 0) {
		map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
		close(fd);
	}
	return map == MAP_FAILED ? NULL : map;
}

iova_t probe_iova(struct probe_vf *vf, const void *address)
{
	return vf->region.iova + (address - vf->region.vaddr);
}

u64 probe_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * PROBE_SECOND + now.tv_nsec;
}

void probe_mailbox_start(struct probe_vf *vf, u32 command, u32 queue, u64 data)
{
	mailbox_store(reg(vf, QM_MAILBOX), command | MB_BUSY | (u64)queue << 16 | data << 32,
		      data >> 32);
}

int probe_mailbox_end(struct probe_vf *vf, u64 *data)
{
	u64 end = probe_now() + MAILBOX_TIME, low, high;

	do {
		mailbox_load(reg(vf, QM_MAILBOX), &low, &high);
		if (!(low & MB_BUSY)) {
			if (data)
				*data = low >> 32 | high << 32;
			return (low & MB_STATUS) >> 9;
		}
	} while (probe_now() < end);
	return -ETIMEDOUT;
}

int probe_mailbox(struct probe_vf *vf, u32 command, u32 queue, u64 *data)
{
	probe_mailbox_start(vf, command, queue, data ? *data : 0);
	return probe_mailbox_end(vf, data);
}

int probe_write_back(struct probe_vf *vf)
{
	u64 end = probe_now() + MAILBOX_TIME;

	probe_write(vf, QM_CACHE_WB_START, 1);
	while (!(probe_read(vf, QM_CACHE_WB_DONE) & 1))
		if (probe_now() > end)
			return -ETIMEDOUT;
	return 0;
}
