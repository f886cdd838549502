// SPDX-License-Identifier: GPL-2.0
/*
 * HiSilicon's accelerators at work while they migrate: requests made on one
 * function finish on another.
 *
 * usage: vfio_pci_hisi_acc_test [options of the harness] SOURCE DESTINATION
 *
 * Two virtual functions of the cipher engine share their mappings, so what one
 * left behind is where the other looks for it. The driver is that of libvfio.
 */
#include <poll.h>
#include <sys/mman.h>

#include <libvfio.h>

#include "kselftest_harness.h"
#include "lib/drivers/hisi_acc/hisi_acc.h"
#include "migration.h"

#define BUFFERS	SZ_64K

static char **bdfs;

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

/* Requests that the device has yet to answer */
static u32 in_flight(struct vfio_pci_device *device)
{
	struct hisi_acc_state *state = device->driver.region.vaddr;
	u32 count = 0;

	for (u32 number = state->done; number != state->sent; number++)
		count += !hisi_acc_is_done(state, number);
	return count;
}

/*
 * Into STOP with requests that are yet to be answered; returns how many. A device
 * that had answered all before it was stopped gets new ones: how fast it is against
 * the processors is not ours to say.
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

static int save(struct vfio_pci_device *device, struct image *image, bool precopy)
{
	int data_fd, ret;

	*image = (struct image) {};
	ret = device_set_state(device->fd, precopy ? PRE_COPY : STOP_COPY, &data_fd);
	if (ret)
		return ret;
	if (precopy) {
		ret = image_read(data_fd, image, 0);
		ret = ret == -ENOMSG ? 0 : ret;
		ret = ret ?: device_set_state(device->fd, STOP_COPY, NULL);
	}
	ret = ret ?: image_read(data_fd, image, 0);
	close(data_fd);
	return ret;
}

/* As QEMU does it: the state first, then what is in configuration space */
static int load(struct vfio_pci_device *device, const struct image *image)
{
	int data_fd, ret;

	ret = device_set_state(device->fd, RESUMING, &data_fd);
	if (ret)
		return ret;
	ret = image_write(data_fd, image, 0);
	close(data_fd);
	if (ret)
		return ret;
	vfio_pci_config_writew(device, PCI_COMMAND, PCI_COMMAND_MEMORY |
			       PCI_COMMAND_MASTER);
	vfio_pci_msi_enable(device, 0, 1);
	return device_set_state(device->fd, RUNNING, NULL);
}

/* The driver goes on with the other function; the first is as after its remove() */
static void move_driver(struct vfio_pci_device *from, struct vfio_pci_device *to)
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
	struct image image;

	ASSERT_EQ(save(from, &image, precopy), 0);
	ASSERT_EQ(load(to, &image), 0);
	move_driver(from, to);
	image_free(&image);
}

/* Catches requests lost, and contexts that are not what they were */
TEST_F(requests, finish_on_the_destination)
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

/* Catches a test of requests in flight in which none was, and a device that goes
 * on in STOP
 */
TEST_F(requests, stand_still_while_stopped)
{
	u32 left = stop_in_flight(_metadata, self->source, self->src, self->dst);

	ASSERT_GT(left, 0);
	for (int i = 0; i < 3; i++) {
		struct image image;

		ASSERT_EQ(save(self->source, &image, false), 0);
		ASSERT_EQ(device_set_state(self->source->fd, STOP, NULL), 0);
		image_free(&image);
		EXPECT_EQ(in_flight(self->source), left);
	}
	ASSERT_EQ(device_set_state(self->source->fd, RUNNING, NULL), 0);
	ASSERT_EQ(vfio_pci_driver_memcpy_wait(self->source), 0);
	EXPECT_EQ(memcmp(self->src, self->dst, HISI_ACC_COPY), 0);
}

/* Catches a source that does not go on when migration is given up */
TEST_F(requests, finish_on_the_source_after_all)
{
	struct image image;

	for (int precopy = 0; precopy < 2; precopy++) {
		start_copies(self->source, self->src, self->dst);
		ASSERT_EQ(save(self->source, &image, precopy), 0);
		image_free(&image);
		ASSERT_EQ(device_set_state(self->source->fd, RUNNING, NULL), 0);
		ASSERT_EQ(vfio_pci_driver_memcpy_wait(self->source), 0);
		EXPECT_EQ(memcmp(self->src, self->dst, HISI_ACC_COPY), 0);
	}
}

/* Catches what only the way back breaks */
TEST_F(requests, travel_there_and_back)
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

/* Catches an event queue that has another place or phase on the destination */
TEST_F(requests, interrupt_on_the_destination)
{
	u64 value;

	for (int i = 0; i < 3; i++)
		vfio_pci_driver_send_msi(self->source);
	migrate(_metadata, self->source, self->destination, false);
	fcntl_set_nonblock(self->destination->msi_eventfds[0]);
	/* what a restart may send besides is not ours */
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
	int count;
	u64 flags;

	bdfs = vfio_selftests_get_bdfs(&argc, argv, &count);
	if (count < 2)
		ksft_exit_skip("needs a source and a destination\n");
	iommu = iommu_init(default_iommu_mode);
	device = vfio_pci_device_init(bdfs[0], iommu);
	if (!device->driver.ops || strcmp(device->driver.ops->name, "hisi_acc"))
		ksft_exit_skip("%s is no cipher engine of HiSilicon's\n", bdfs[0]);
	if (device_migration_flags(device->fd, &flags))
		ksft_exit_skip("%s: its driver offers no migration\n", bdfs[0]);
	vfio_pci_device_cleanup(device);
	iommu_cleanup(iommu);
	return test_harness_run(argc, argv);
}
