// SPDX-License-Identifier: GPL-2.0
/*
 * A libvfio driver of a VF of the HiSilicon cipher engine.
 *
 * The engine has no request that copies. A copy is AES in counter mode into a
 * bounce buffer, and the same again from there to the destination. The requests of
 * the second half are submitted when all of the first have completed, as the engine
 * may complete requests out of order.
 *
 * A process with driver.region mapped at the same addresses can continue on another
 * VF that has loaded the state of this one.
 */
#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <linux/io.h>
#include <linux/pci_ids.h>
#include <linux/pci_regs.h>
#include <linux/sizes.h>

#include <libvfio.h>

#include "hisi_acc.h"
#include "mailbox.h"

#define SECONDS		30

static struct hisi_acc_state *state_of(struct vfio_pci_device *device)
{
	return device->driver.region.vaddr;
}

static iova_t iova_of(struct vfio_pci_device *device, void *address)
{
	return device->driver.region.iova +
	       (address - device->driver.region.vaddr);
}

static void *reg(struct vfio_pci_device *device, unsigned int offset)
{
	return device->bars[2].vaddr + offset;
}

static bool in_time(time_t *end)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!*end)
		*end = now.tv_sec + SECONDS;
	return now.tv_sec <= *end;
}

static void mailbox(struct vfio_pci_device *device, u32 command, u32 queue,
		    iova_t address)
{
	u64 low = command | MB_BUSY | (u64)queue << 16 | address << 32;
	u64 high = address >> 32;
	time_t end = 0;

	mailbox_store(reg(device, QM_MAILBOX), low, high);
	do {
		VFIO_ASSERT_TRUE(in_time(&end), "mailbox is stuck\n");
		mailbox_load(reg(device, QM_MAILBOX), &low, &high);
	} while (low & MB_BUSY);
	VFIO_ASSERT_EQ(low & MB_STATUS, 0, "mailbox refuses %x\n", command);
}

static void doorbell(struct vfio_pci_device *device, u64 command, u64 index,
		     u64 priority)
{
	unsigned int offset = command == DB_EQ ? QM_DOORBELL_EQ_AEQ :
			      QM_DOORBELL_SQ_CQ;

	writeq(command << 12 | index << 32 | priority << 48, reg(device, offset));
}

/* Give the device a context with a ring */
static void set_ring(struct vfio_pci_device *device, u32 command, void *ring,
		     struct xqc context)
{
	struct hisi_acc_state *state = state_of(device);
	iova_t base = iova_of(device, ring);

	context.base_l = htole32((u32)base);
	context.base_h = htole32(base >> 32);
	state->context = context;
	mailbox(device, command, 0, iova_of(device, &state->context));
}

static int hisi_acc_probe(struct vfio_pci_device *device)
{
	if (!vfio_pci_device_match(device, PCI_VENDOR_ID_HUAWEI, PCI_DEVICE_ID_HUAWEI_SEC_VF))
		return -EINVAL;
	return device->bars[2].vaddr ? 0 : -EINVAL;
}

static void hisi_acc_init(struct vfio_pci_device *device)
{
	struct xqc events = { .dw6 = htole32((HISI_ACC_DEPTH - 1) | EQE_PHASE) };
	struct xqc sqc = {
		.dw3 = htole32((HISI_ACC_DEPTH - 1) | 7 << 12),
		.sqc.w13 = htole16(1 << 4),
	};
	struct xqc cqc = {
		.dw3 = htole32((HISI_ACC_DEPTH - 1) | 4 << 12),
		.dw6 = htole32(1),
	};
	struct hisi_acc_state *state = state_of(device);
	u16 command;

	VFIO_ASSERT_GE(device->driver.region.size, sizeof(*state));
	vfio_pci_device_reset(device);
	command = vfio_pci_config_readw(device, PCI_COMMAND);
	vfio_pci_config_writew(device, PCI_COMMAND, command |
			       PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	memset(state, 0, sizeof(*state));

	set_ring(device, MB_EQC, state->eq, events);
	set_ring(device, MB_AEQC, state->aeq, events);
	mailbox(device, MB_SQC_BT, 0, iova_of(device, state->sqc));
	mailbox(device, MB_CQC_BT, 0, iova_of(device, state->cqc));
	set_ring(device, MB_SQC, state->sq, sqc);
	set_ring(device, MB_CQC, state->cq, cqc);

	vfio_pci_msi_enable(device, 0, 1);
	writel(1, reg(device, QM_AEQ_INT_MASK));
	writel(0, reg(device, QM_EQ_INT_MASK));
	writel(0, reg(device, QM_VF_STATE));

	device->driver.max_memcpy_size = HISI_ACC_COPY;
	device->driver.max_memcpy_count = HISI_ACC_COPIES;
	device->driver.msi = 0;
}

static void hisi_acc_remove(struct vfio_pci_device *device)
{
	vfio_pci_msi_disable(device);
	vfio_pci_device_reset(device);
}

static void send(struct vfio_pci_device *device, u16 direction, iova_t src,
		 iova_t dst, u64 size, u64 count)
{
	struct hisi_acc_state *state = state_of(device);
	struct sec_bd bd = {
		.param = htole32(SEC_BD_TYPE3 | SEC_OWN_DST),
		.cipher = htole16(direction),
		.mode_alg = SEC_MODE_CTR | SEC_ALG_AES,
		.src = htole64(src),
		.key = htole64(iova_of(device, state->key)),
		.auth = htole32(SEC_CTR_128_BIT),
		.len = htole32(size),
		.dst = htole64(dst),
		.iv = htole64(iova_of(device, state->iv)),
	};

	while (count--) {
		bd.tag = htole64(state->sent);
		state->sq[state->sent++ % HISI_ACC_DEPTH] = bd;
	}
	doorbell(device, DB_SQ, state->sent % HISI_ACC_DEPTH, 0);
}

/* Wait for all completions */
static int collect(struct vfio_pci_device *device)
{
	struct hisi_acc_state *state = state_of(device);
	bool failed = false;
	time_t end = 0;

	while (state->done != state->sent) {
		struct cqe *cqe = &state->cq[state->done % HISI_ACC_DEPTH];
		struct sec_bd *bd;

		if (!hisi_acc_is_done(state, state->done)) {
			if (!in_time(&end))
				return -ETIMEDOUT;
			continue;
		}
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		bd = &state->sq[le16toh(cqe->sq_head) % HISI_ACC_DEPTH];
		failed |= !(le16toh(bd->done) & SEC_DONE) || bd->error;
		state->done++;
	}
	doorbell(device, DB_CQ, state->done % HISI_ACC_DEPTH, 0);
	return failed ? -EIO : 0;
}

static void hisi_acc_memcpy_start(struct vfio_pci_device *device, iova_t src,
				  iova_t dst, u64 size, u64 count)
{
	struct hisi_acc_state *state = state_of(device);

	state->copies = count;
	state->size = size;
	state->dst = dst;
	send(device, SEC_ENCRYPT, src, iova_of(device, state->buffer), size,
	     count);
}

static int hisi_acc_memcpy_wait(struct vfio_pci_device *device)
{
	struct hisi_acc_state *state = state_of(device);
	int first, second;

	first = collect(device);
	if (first == -ETIMEDOUT)
		return first;
	send(device, SEC_DECRYPT, iova_of(device, state->buffer), state->dst,
	     state->size, state->copies);
	second = collect(device);
	return first ?: second;
}

/* A request whose completion raises an event, and so the interrupt */
static void hisi_acc_send_msi(struct vfio_pci_device *device)
{
	struct hisi_acc_state *state = state_of(device);
	u32 phase = state->events / HISI_ACC_DEPTH % 2 ? 0 : EQE_PHASE;
	__le32 *eqe = &state->eq[state->events % HISI_ACC_DEPTH];
	time_t end = 0;

	doorbell(device, DB_CQ, state->done % HISI_ACC_DEPTH, DB_ARM);
	send(device, SEC_ENCRYPT, iova_of(device, state->iv),
	     iova_of(device, state->buffer), sizeof(state->iv), 1);
	VFIO_ASSERT_EQ(collect(device), 0);
	while ((le32toh(READ_ONCE(*eqe)) & EQE_PHASE) != phase)
		VFIO_ASSERT_TRUE(in_time(&end), "no event\n");
	state->events++;
	doorbell(device, DB_EQ, state->events % HISI_ACC_DEPTH, 0);
}

struct vfio_pci_driver_ops hisi_acc_ops = {
	.name = "hisi_acc",
	.probe = hisi_acc_probe,
	.init = hisi_acc_init,
	.remove = hisi_acc_remove,
	.memcpy_start = hisi_acc_memcpy_start,
	.memcpy_wait = hisi_acc_memcpy_wait,
	.send_msi = hisi_acc_send_msi,
};
