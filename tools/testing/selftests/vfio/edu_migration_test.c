// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of QEMU's edu device by samples/edu_vfio_pci: what its state is made of.
 *
 * usage: edu_migration_test [options of the harness] DEVICE
 *
 * A state is saved, another user opens the device, which then is as at power on, uses it
 * for something else, and loads the state.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/io.h>
#include <linux/pci_regs.h>
#include <linux/sizes.h>

#include <libvfio.h>

#include "../../../../samples/edu_vfio_pci/edu.h"
#include "kselftest_harness.h"
#include "migration.h"

#define BAR_SIZE	SZ_1M
#define IOVA		0x100000
#define POLL_US		1000
#define WAIT_MS		5000
#define OPERAND		10
#define FACTORIAL	3628800u
/* whose computation takes half a second or so */
#define LONG_OPERAND	0x20000000u

static const char *device_path;

FIXTURE(edu) {
	struct migration_device *device;
	struct dma_region memory;
	u8 *regs;
};

static void enable_device(int fd, u64 config)
{
	u16 command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	VFIO_ASSERT_EQ(pwrite(fd, &command, sizeof(command), config + PCI_COMMAND),
		       (ssize_t)sizeof(command));
}

static u64 region_offset(int fd, u32 index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	ioctl_assert(fd, VFIO_DEVICE_GET_REGION_INFO, &info);
	return info.offset;
}

static u8 *map_registers(int fd)
{
	u8 *regs;

	enable_device(fd, region_offset(fd, VFIO_PCI_CONFIG_REGION_INDEX));
	regs = mmap(NULL, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    region_offset(fd, VFIO_PCI_BAR0_REGION_INDEX));
	VFIO_ASSERT_NE(regs, MAP_FAILED);
	return regs;
}

FIXTURE_SETUP(edu)
{
	self->device = migration_device_open(device_path, MODE_IOMMUFD);
	self->regs = map_registers(self->device->fd);
	self->memory.size = 2 * EDU_BUFFER_SIZE;
	self->memory.iova = IOVA;
	self->memory.vaddr = mmap(NULL, self->memory.size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	VFIO_ASSERT_NE(self->memory.vaddr, MAP_FAILED);
	iommu_map(self->device->iommu, &self->memory);
}

FIXTURE_TEARDOWN(edu)
{
	munmap(self->regs, BAR_SIZE);
	iommu_unmap(self->device->iommu, &self->memory);
	munmap(self->memory.vaddr, self->memory.size);
	migration_device_close(self->device);
}

static void start_dma(u8 *regs, u64 src, u64 dst, u32 flags)
{
	const u64 values[] = { src, dst, EDU_BUFFER_SIZE };

	for (unsigned int i = 0; i < EDU_DMA_ADDRESSES; i++)
		writeq(values[i], regs + EDU_DMA(i));
	writeq(EDU_DMA_RUN | flags, regs + EDU_DMA_CMD);
}

static void wait_idle(u8 *regs, unsigned int reg, u32 busy)
{
	while (readl(regs + reg) & busy)
		usleep(POLL_US);
}

static void run_dma(u8 *regs, u64 src, u64 dst, u32 flags)
{
	start_dma(regs, src, dst, flags);
	wait_idle(regs, EDU_DMA_CMD, EDU_DMA_RUN);
}

static int request_interrupts(int fd)
{
	struct {
		struct vfio_irq_set set;
		s32 fd;
	} irqs = {
		.set = {
			.argsz = sizeof(irqs),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_MSI_IRQ_INDEX,
			.count = 1,
		},
		.fd = eventfd(0, EFD_NONBLOCK),
	};

	ioctl_assert(fd, VFIO_DEVICE_SET_IRQS, &irqs);
	return irqs.fd;
}

static bool interrupted(int irq_fd, int ms)
{
	struct pollfd p = { .fd = irq_fd, .events = POLLIN };
	u64 count;

	return poll(&p, 1, ms) == 1 && read(irq_fd, &count, sizeof(count)) == sizeof(count);
}

/* Save the device, close it and open it again */
static void leave(struct _test_data_edu *self, struct migration_data *data)
{
	VFIO_ASSERT_EQ(device_save(self->device->fd, data), 0);
	munmap(self->regs, BAR_SIZE);
	migration_device_reopen(self->device);
	self->regs = map_registers(self->device->fd);
}

/* Load it, and let it run */
static void arrive(struct _test_data_edu *self, struct migration_data *data)
{
	VFIO_ASSERT_EQ(device_load(self->device->fd, data, 0), 0);
	VFIO_ASSERT_EQ(device_set_state(self->device->fd, RUNNING, NULL), 0);
	migration_data_free(data);
}

/* What another user leaves in the device */
static void disturb(struct _test_data_edu *self)
{
	writel(0xdeadbeef, self->regs + EDU_LIVENESS);
	writel(3, self->regs + EDU_FACTORIAL);
	wait_idle(self->regs, EDU_STATUS, EDU_STATUS_COMPUTING);
	memset(self->memory.vaddr + EDU_BUFFER_SIZE, 0xff, EDU_BUFFER_SIZE);
	run_dma(self->regs, IOVA + EDU_BUFFER_SIZE, EDU_BUFFER, 0);
}

static void migrate(struct _test_data_edu *self)
{
	struct migration_data data;

	leave(self, &data);
	disturb(self);
	arrive(self, &data);
}

/* A register that reads as the complement of what is written reads the same afterwards */
TEST_F(edu, liveness)
{
	writel(0x12345678, self->regs + EDU_LIVENESS);
	migrate(self);
	EXPECT_EQ(readl(self->regs + EDU_LIVENESS), ~0x12345678u);
}

/* A result that cannot be written is there, and the computation raised no interrupt */
TEST_F(edu, factorial)
{
	writel(OPERAND, self->regs + EDU_FACTORIAL);
	wait_idle(self->regs, EDU_STATUS, EDU_STATUS_COMPUTING);
	writel(EDU_STATUS_IRQ, self->regs + EDU_STATUS);
	migrate(self);
	EXPECT_EQ(readl(self->regs + EDU_FACTORIAL), FACTORIAL);
	EXPECT_EQ(readl(self->regs + EDU_STATUS), EDU_STATUS_IRQ);
	EXPECT_EQ(readl(self->regs + EDU_IRQ_STATUS), 0);
}

/* Registers of the DMA engine are the guest's, on the destination and on the source */
TEST_F(edu, dma_registers)
{
	const u64 want[] = { IOVA, EDU_BUFFER, EDU_BUFFER_SIZE };
	struct migration_data data;

	run_dma(self->regs, IOVA, EDU_BUFFER, 0);
	VFIO_ASSERT_EQ(device_save(self->device->fd, &data), 0);
	migration_data_free(&data);
	VFIO_ASSERT_EQ(device_set_state(self->device->fd, RUNNING, NULL), 0);
	for (unsigned int i = 0; i < EDU_DMA_ADDRESSES; i++)
		EXPECT_EQ(readq(self->regs + EDU_DMA(i)), want[i]);
	migrate(self);
	for (unsigned int i = 0; i < EDU_DMA_ADDRESSES; i++)
		EXPECT_EQ(readq(self->regs + EDU_DMA(i)), want[i]);
}

/* The buffer is migrated, which only DMA reaches */
TEST_F(edu, buffer)
{
	u8 *in = self->memory.vaddr, *out = in + EDU_BUFFER_SIZE;

	for (int i = 0; i < EDU_BUFFER_SIZE; i++)
		in[i] = i * 7 + i / 256;
	run_dma(self->regs, IOVA, EDU_BUFFER, 0);
	migrate(self);
	run_dma(self->regs, EDU_BUFFER, IOVA + EDU_BUFFER_SIZE, EDU_DMA_TO_MEMORY);
	EXPECT_EQ(memcmp(in, out, EDU_BUFFER_SIZE), 0);
}

/* Another user does not find the buffer of the last one */
TEST_F(edu, next_user_gets_an_empty_buffer)
{
	u8 *in = self->memory.vaddr, *out = in + EDU_BUFFER_SIZE;
	struct migration_data data;

	memset(in, 0xa5, EDU_BUFFER_SIZE);
	run_dma(self->regs, IOVA, EDU_BUFFER, 0);
	leave(self, &data);
	migration_data_free(&data);
	run_dma(self->regs, EDU_BUFFER, IOVA + EDU_BUFFER_SIZE, EDU_DMA_TO_MEMORY);
	memset(in, 0, EDU_BUFFER_SIZE);
	EXPECT_EQ(memcmp(in, out, EDU_BUFFER_SIZE), 0);
}

/* In a P2P state no transfer is in progress */
TEST_F(edu, p2p_state_waits_for_dma)
{
	start_dma(self->regs, IOVA, EDU_BUFFER, 0);
	ASSERT_EQ(device_set_state(self->device->fd, RUNNING_P2P, NULL), 0);
	EXPECT_EQ(readl(self->regs + EDU_DMA_CMD) & EDU_DMA_RUN, 0);
}

/* In STOP nothing is computed */
TEST_F(edu, stop_waits_for_a_factorial)
{
	writel(LONG_OPERAND, self->regs + EDU_FACTORIAL);
	ASSERT_EQ(device_set_state(self->device->fd, STOP, NULL), 0);
	EXPECT_EQ(readl(self->regs + EDU_STATUS) & EDU_STATUS_COMPUTING, 0);
}

/* An interrupt that was not acknowledged comes on the destination, once it runs */
TEST_F(edu, interrupt_comes_again)
{
	struct migration_data data;
	int irq_fd;

	writel(EDU_IRQ_FACTORIAL, self->regs + EDU_IRQ_RAISE);
	leave(self, &data);
	EXPECT_EQ(readl(self->regs + EDU_IRQ_STATUS), 0);
	irq_fd = request_interrupts(self->device->fd);
	ASSERT_EQ(device_load(self->device->fd, &data, 0), 0);
	EXPECT_FALSE(interrupted(irq_fd, 0));
	ASSERT_EQ(device_set_state(self->device->fd, RUNNING, NULL), 0);
	EXPECT_TRUE(interrupted(irq_fd, WAIT_MS));
	EXPECT_EQ(readl(self->regs + EDU_IRQ_STATUS), EDU_IRQ_FACTORIAL);
	close(irq_fd);
	migration_data_free(&data);
}

/* Data that begins as that of no edu device is rejected, and so is that of another version of it */
TEST_F(edu, data_of_another_device_is_rejected)
{
	static const size_t words[] = {
		offsetof(struct edu_data, magic), offsetof(struct edu_data, id),
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(words); i++) {
		struct migration_data data;

		VFIO_ASSERT_EQ(device_save(self->device->fd, &data), 0);
		data.bytes[words[i]] ^= 1;
		EXPECT_NE(device_load(self->device->fd, &data, 0), 0);
		ASSERT_EQ(device_reset(self->device->fd), 0);
		migration_data_free(&data);
	}
}

/* DMA of the user works after each save: its page table is in place again */
TEST_F(edu, users_page_table_comes_back)
{
	struct migration_data data;
	u8 *in = self->memory.vaddr, *out = in + EDU_BUFFER_SIZE;

	VFIO_ASSERT_EQ(device_save(self->device->fd, &data), 0);
	migration_data_free(&data);
	VFIO_ASSERT_EQ(device_set_state(self->device->fd, RUNNING, NULL), 0);
	memset(in, 0x5a, EDU_BUFFER_SIZE);
	run_dma(self->regs, IOVA, EDU_BUFFER, 0);
	run_dma(self->regs, EDU_BUFFER, IOVA + EDU_BUFFER_SIZE, EDU_DMA_TO_MEMORY);
	EXPECT_EQ(memcmp(in, out, EDU_BUFFER_SIZE), 0);
}

int main(int argc, char *argv[])
{
	device_path = migration_device_argument(&argc, argv);
	if (migration_device_attribute(device_path, "vendor") != EDU_VENDOR ||
	    migration_device_attribute(device_path, "device") != EDU_DEVICE)
		ksft_exit_skip("%s is not QEMU's edu device\n", device_path);
	migration_device_require(device_path);
	return test_harness_run(argc, argv);
}
