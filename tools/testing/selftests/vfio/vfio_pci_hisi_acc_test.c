// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of HiSilicon accelerators with requests in flight: what is submitted on
 * one VF completes on another.
 *
 * usage: vfio_pci_hisi_acc_test [options of the harness] SOURCE DESTINATION
 *
 * SOURCE and DESTINATION are two VFs of the cipher engine. They share their DMA
 * mappings. The driver is that of libvfio.
 */
#include <poll.h>
#include <sys/mman.h>

#include <libvfio.h>

#include "kselftest_harness.h"
#include "lib/drivers/hisi_acc/hisi_acc.h"
#include "migration.h"

#define BUFFERS	SZ_64K

static const char *bdfs[2];

FIXTURE(requests) {
	struct iommu *iommu;
	struct iova_allocator *iovas;
	struct vfio_pci_device *source;
	struct vfio_pci_device *destination;
	struct dma_region buffers;
	void *src;
	void *dst;
};

FIXTURE_VARIANT(requests) {
	const char *iommu_mode;
};

#define FIXTURE_VARIANT_ADD_IOMMU_MODE(_iommu_mode) \
FIXTURE_VARIANT_ADD(requests, _iommu_mode) { \
	.iommu_mode = #_iommu_mode, \
}

FIXTURE_VARIANT_ADD_ALL_IOMMU_MODES();

static void map_region(struct iommu *iommu, struct iova_allocator *iovas,
		       struct dma_region *region, u64 size)
{
	region->vaddr = mmap(NULL, size, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	VFIO_ASSERT_NE(region->vaddr, MAP_FAILED);
	region->size = size;
	region->iova = iova_allocator_alloc(iovas, size);
	iommu_map(iommu, region);
}

FIXTURE_SETUP(requests)
{
	struct dma_region *region;

	self->iommu = iommu_init(variant->iommu_mode);
	self->source = vfio_pci_device_init(bdfs[0], self->iommu);
	self->destination = vfio_pci_device_init(bdfs[1], self->iommu);
	self->iovas = iova_allocator_init(self->iommu);
	region = &self->source->driver.region;
	map_region(self->iommu, self->iovas, region, SZ_2M);
	map_region(self->iommu, self->iovas, &self->buffers, BUFFERS);
	self->src = self->buffers.vaddr;
	self->dst = self->src + BUFFERS / 2;
	vfio_pci_driver_init(self->source);
	for (unsigned int i = 0; i < HISI_ACC_COPY; i++)
		((u8 *)self->src)[i] = i * 7 + i / 256;
}

FIXTURE_TEARDOWN(requests)
{
	vfio_pci_device_cleanup(self->source);
	vfio_pci_device_cleanup(self->destination);
	iova_allocator_cleanup(self->iovas);
	iommu_cleanup(self->iommu);
}

static void start_copies(struct vfio_pci_device *device, void *src, void *dst)
{
	memset(dst, 0, HISI_ACC_COPY);
	vfio_pci_driver_memcpy_start(device, to_iova(device, src),
				     to_iova(device, dst), HISI_ACC_COPY,
				     device->driver.max_memcpy_count);
}

/* Requests that the device has not completed */
static u32 in_flight(struct vfio_pci_device *device)
{
	struct hisi_acc_state *state = device->driver.region.vaddr;
	u32 count = 0;

	for (u32 number = state->done; number != state->sent; number++)
		count += !hisi_acc_is_done(state, number);
	return count;
}

/*
 * Set STOP with requests in flight; returns how many. A device that completed all
 * of them before it was stopped gets new ones: its speed is not known.
 */
static u32 stop_in_flight(struct __test_metadata *_metadata,
			  struct vfio_pci_device *device, void *src, void *dst)
{
	u32 left = 0;

	for (int i = 0; i < 1000 && !left; i++) {
		if (i) {
			ASSERT_EQ(device_set_state(device->fd, RUNNING, NULL), 0);
			ASSERT_EQ(vfio_pci_driver_memcpy_wait(device), 0);
		}
		start_copies(device, src, dst);
		ASSERT_EQ(device_set_state(device->fd, STOP, NULL), 0);
		left = in_flight(device);
	}
	return left;
}

static int save(struct vfio_pci_device *device, struct migration_data *data, bool precopy)
{
	int data_fd, ret;

	*data = (struct migration_data) {};
	ret = device_set_state(device->fd, precopy ? PRE_COPY : STOP_COPY, &data_fd);
	if (ret)
		return ret;
	if (precopy) {
		ret = migration_data_read(data_fd, data, 0);
		ret = ret == -ENOMSG ? 0 : ret;
		ret = ret ?: device_set_state(device->fd, STOP_COPY, NULL);
	}
	ret = ret ?: migration_data_read(data_fd, data, 0);
	close(data_fd);
	return ret;
}

/* As QEMU does it: the state of the device first, then configuration space */
static int load(struct vfio_pci_device *device, const struct migration_data *data)
{
	int data_fd, ret;

	ret = device_set_state(device->fd, RESUMING, &data_fd);
	if (ret)
		return ret;
	ret = migration_data_write(data_fd, data, 0);
	close(data_fd);
	if (ret)
		return ret;
	vfio_pci_config_writew(device, PCI_COMMAND, PCI_COMMAND_MEMORY |
			       PCI_COMMAND_MASTER);
	vfio_pci_msi_enable(device, 0, 1);
	return device_set_state(device->fd, RUNNING, NULL);
}

/* The driver continues on the other VF; the first is as after remove() */
static void migrate_driver(struct vfio_pci_device *from, struct vfio_pci_device *to)
{
	to->driver = from->driver;
	from->driver.initialized = false;
	from->driver.memcpy_in_progress = false;
	vfio_pci_msi_disable(from);
	vfio_pci_device_reset(from);
}

static void migrate(struct __test_metadata *_metadata,
		    struct vfio_pci_device *from, struct vfio_pci_device *to,
		    bool precopy)
{
	struct migration_data data;

	ASSERT_EQ(save(from, &data, precopy), 0);
	ASSERT_EQ(load(to, &data), 0);
	migrate_driver(from, to);
	migration_data_free(&data);
}

/* Requests in flight complete on the destination, before and after pre-copy */
TEST_F(requests, complete_on_the_destination)
{
	for (int precopy = 0; precopy < 2; precopy++) {
		struct vfio_pci_device *from = precopy ? self->destination : self->source;
		struct vfio_pci_device *to = precopy ? self->source : self->destination;

		start_copies(from, self->src, self->dst);
		migrate(_metadata, from, to, precopy);
		ASSERT_EQ(vfio_pci_driver_memcpy_wait(to), 0);
		EXPECT_EQ(memcmp(self->src, self->dst, HISI_ACC_COPY), 0);
		ASSERT_EQ(vfio_pci_driver_memcpy(to, to_iova(to, self->dst),
						 to_iova(to, self->src), 4096), 0);
	}
}

/* A device in STOP completes no request, however often it is saved */
TEST_F(requests, no_completion_in_stop)
{
	u32 left = stop_in_flight(_metadata, self->source, self->src, self->dst);

	ASSERT_GT(left, 0);
	for (int i = 0; i < 3; i++) {
		struct migration_data data;

		ASSERT_EQ(save(self->source, &data, false), 0);
		ASSERT_EQ(device_set_state(self->source->fd, STOP, NULL), 0);
		migration_data_free(&data);
		EXPECT_EQ(in_flight(self->source), left);
	}
	ASSERT_EQ(device_set_state(self->source->fd, RUNNING, NULL), 0);
	ASSERT_EQ(vfio_pci_driver_memcpy_wait(self->source), 0);
	EXPECT_EQ(memcmp(self->src, self->dst, HISI_ACC_COPY), 0);
}

/* Requests complete on the source if migration is cancelled */
TEST_F(requests, complete_on_the_source_after_cancel)
{
	struct migration_data data;

	for (int precopy = 0; precopy < 2; precopy++) {
		start_copies(self->source, self->src, self->dst);
		ASSERT_EQ(save(self->source, &data, precopy), 0);
		migration_data_free(&data);
		ASSERT_EQ(device_set_state(self->source->fd, RUNNING, NULL), 0);
		ASSERT_EQ(vfio_pci_driver_memcpy_wait(self->source), 0);
		EXPECT_EQ(memcmp(self->src, self->dst, HISI_ACC_COPY), 0);
	}
}

/* Requests in flight can migrate back and forth */
TEST_F(requests, complete_after_migrating_back)
{
	struct vfio_pci_device *here = self->source, *there = self->destination;

	for (int i = 0; i < 6; i++) {
		struct vfio_pci_device *next = there;

		start_copies(here, self->src, self->dst);
		migrate(_metadata, here, there, i % 2);
		there = here;
		here = next;
		ASSERT_EQ(vfio_pci_driver_memcpy_wait(here), 0);
		ASSERT_EQ(memcmp(self->src, self->dst, HISI_ACC_COPY), 0);
	}
}

/* The event queue keeps its index and phase on the destination */
TEST_F(requests, interrupt_on_the_destination)
{
	u64 value;

	for (int i = 0; i < 3; i++)
		vfio_pci_driver_send_msi(self->source);
	migrate(_metadata, self->source, self->destination, false);
	fcntl_set_nonblock(self->destination->msi_eventfds[0]);
	/* the restart of the device may raise an interrupt */
	(void)!read(self->destination->msi_eventfds[0], &value, sizeof(value));
	for (int i = 0; i < 3; i++) {
		struct pollfd p = {
			.fd = self->destination->msi_eventfds[0],
			.events = POLLIN,
		};

		vfio_pci_driver_send_msi(self->destination);
		ASSERT_EQ(poll(&p, 1, 10000), 1);
		ASSERT_EQ(read(p.fd, &value, sizeof(value)), sizeof(value));
		EXPECT_EQ(value, 1);
	}
}

int main(int argc, char *argv[])
{
	struct vfio_pci_device *device;
	struct iommu *iommu;
	u64 flags;

	migration_device_pair(&argc, argv, bdfs);
	iommu = iommu_init(default_iommu_mode);
	device = vfio_pci_device_init(bdfs[0], iommu);
	if (!device->driver.ops || strcmp(device->driver.ops->name, "hisi_acc"))
		ksft_exit_skip("%s is not a VF of the HiSilicon cipher engine\n", bdfs[0]);
	if (device_migration_flags(device->fd, &flags))
		ksft_exit_skip("%s: its driver offers no migration\n", bdfs[0]);
	vfio_pci_device_cleanup(device);
	iommu_cleanup(iommu);
	return test_harness_run(argc, argv);
}
