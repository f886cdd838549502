// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of HiSilicon accelerators: resets, and threads. The last test may break
 * the kernel with a driver that fails it.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include "hisi_acc_fixture.h"

#define WRITERS_S	8

/* Whether the migration file fails, a read or a write with ENODEV */
static bool is_dead(int data_fd, int state)
{
	struct vfio_precopy_info info;
	u8 byte = 0;

	/* EINVAL: the device is not in PRE_COPY */
	if (state_precopy(state) && !migf_precopy_info(data_fd, &info))
		return false;
	return (state == RESUMING ? data_send(data_fd, &byte, 1) :
		data_receive(data_fd, &byte, 1)) == -ENODEV;
}

/*
 * R10: A reset leads to RUNNING, clears the registers, and ends the session: reads
 * and writes of the migration file fail with ENODEV
 */
TEST(reset_everywhere)
{
	struct hisi_acc_vf vf;
	int data_fd;

	hisi_acc_vf_open(&vf, source_bdf);
	for (unsigned int i = 0; i < ARRAY_SIZE(device_states); i++) {
		int state = device_states[i];

		hisi_acc_guest_up(&vf.guest);
		if (device_set_state(vf.fd, state, &data_fd) == -EINVAL)
			continue;
		EXPECT_EQ(device_get_state(vf.fd), state);
		EXPECT_EQ(device_reset(vf.fd), 0);
		EXPECT_EQ(device_get_state(vf.fd), RUNNING);
		EXPECT_EQ(hisi_acc_guest_read(&vf.guest, QM_VF_STATE), 1);
		if (data_fd < 0)
			continue;
		EXPECT_TRUE(is_dead(data_fd, state)) {
			TH_LOG("after a reset in %s", state_name(state));
		}
		close(data_fd);
	}
	hisi_acc_vf_close(&vf);
}

/* D12: poll() reports the end of a session */
TEST(poll_of_a_dead_file)
{
	static const int states[] = { STOP_COPY, RESUMING };
	struct pollfd poll_fd = {};
	struct hisi_acc_vf vf;

	hisi_acc_vf_open(&vf, source_bdf);
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(device_set_state(vf.fd, states[i], &poll_fd.fd), 0);
		poll_fd.events = states[i] == RESUMING ? POLLOUT : POLLIN;
		EXPECT_EQ(poll(&poll_fd, 1, 0), 1);
		EXPECT_EQ(poll_fd.revents, poll_fd.events);
		EXPECT_EQ(device_reset(vf.fd), 0);
		EXPECT_EQ(poll(&poll_fd, 1, 0), 1);
		EXPECT_EQ(poll_fd.revents & POLLERR, POLLERR);
		close(poll_fd.fd);
	}
	hisi_acc_vf_close(&vf);
}

struct reader {
	int data_fd;
	bool stopped;		/* the VF: what can be read now is all */
	size_t bytes;
	pthread_t thread;
};

static void *read_to_the_end(void *arg)
{
	struct reader *r = arg;
	u8 bytes[7];
	ssize_t n;

	while ((n = data_receive(r->data_fd, bytes, sizeof(bytes))) > 0)
		r->bytes += n;
	return NULL;
}

static void *read_all_the_time(void *arg)
{
	struct reader *r = arg;
	bool last;

	do {
		last = __atomic_load_n(&r->stopped, __ATOMIC_ACQUIRE);
		read_to_the_end(r);
	} while (!last);
	return NULL;
}

/*
 * D13: A reader in PRE_COPY sees all of what a stop adds, or none of it. KCSAN
 * reports the data race even if the reader sees nothing of it.
 */
TEST(read_during_stop)
{
	struct hisi_acc_vf vf;

	hisi_acc_vf_open(&vf, source_bdf);
	if (!has_pre_copy(&vf))
		SKIP(return, "no PRE_COPY");
	hisi_acc_guest_up(&vf.guest);
	for (int round = 0; round < 100; round++) {
		struct reader r = { 0 };

		EXPECT_EQ(device_set_state(vf.fd, PRE_COPY, &r.data_fd), 0);
		pthread_create(&r.thread, NULL, read_all_the_time, &r);
		EXPECT_EQ(device_set_state(vf.fd, STOP_COPY, NULL), 0);
		__atomic_store_n(&r.stopped, true, __ATOMIC_RELEASE);
		pthread_join(r.thread, NULL);
		EXPECT_EQ(r.bytes, DATA_SIZE);
		close(r.data_fd);
		EXPECT_EQ(device_set_state(vf.fd, RUNNING, NULL), 0);
	}
	hisi_acc_vf_close(&vf);
}

struct starter {
	struct hisi_acc_vf vf;
	u64 queues, base;	/* in its first match data */
	unsigned int wrong;
	pthread_t thread;
};

static void *start_again_and_again(void *arg)
{
	struct starter *a = arg;
	u8 data[DATA_SIZE];
	int data_fd;

	for (int i = 0; i < 300; i++) {
		if (device_set_state(a->vf.fd, PRE_COPY, &data_fd)) {
			a->wrong++;
			continue;
		}
		a->wrong += data_receive(data_fd, data, MATCH_SIZE) != MATCH_SIZE ||
			    data_get(data, QUEUES, 4) != a->queues ||
			    data_get(data, FIRST_QUEUE, 4) != a->base;
		close(data_fd);
		device_set_state(a->vf.fd, RUNNING, NULL);
	}
	return NULL;
}

/* D5: The match data of a VF is not that of another one */
TEST(two_at_once)
{
	struct starter both[2] = {};
	u8 data[DATA_SIZE];
	int data_fd;

	for (int i = 0; i < 2; i++) {
		hisi_acc_vf_open(&both[i].vf, i ? destination_bdf : source_bdf);
		if (!has_pre_copy(&both[i].vf))
			SKIP(return, "no PRE_COPY");
		EXPECT_EQ(device_set_state(both[i].vf.fd, PRE_COPY, &data_fd), 0);
		EXPECT_EQ(data_receive(data_fd, data, MATCH_SIZE), MATCH_SIZE);
		both[i].queues = data_get(data, QUEUES, 4);
		both[i].base = data_get(data, FIRST_QUEUE, 4);
		close(data_fd);
		EXPECT_EQ(device_set_state(both[i].vf.fd, RUNNING, NULL), 0);
	}
	EXPECT_NE(both[0].base, both[1].base);
	for (int i = 0; i < 2; i++)
		pthread_create(&both[i].thread, NULL, start_again_and_again,
			       &both[i]);
	for (int i = 0; i < 2; i++) {
		pthread_join(both[i].thread, NULL);
		EXPECT_EQ(both[i].wrong, 0);
		hisi_acc_vf_close(&both[i].vf);
	}
}

struct writer {
	int data_fd;
	const u8 *data;
	int *others;		/* that have not started yet */
	ssize_t result;
	pthread_t thread;
};

static void *write_all(void *arg)
{
	struct writer *w = arg;

	__atomic_sub_fetch(w->others, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(w->others, __ATOMIC_ACQUIRE))
		;
	w->result = data_send(w->data_fd, w->data, DATA_SIZE);
	return NULL;
}

/* The number of writers whose data was taken */
static unsigned int taken(const struct writer *writers, unsigned int count)
{
	unsigned int sum = 0;

	for (unsigned int i = 0; i < count; i++)
		sum += writers[i].result == DATA_SIZE;
	return sum;
}

/*
 * D1: Of several threads that write all of the data at once, one succeeds. What they
 * write is not faulted in, so that the copy under the lock is slow. It is tried for
 * some seconds. The first failure ends the test, as it overwrites kernel memory.
 */
TEST(two_writers)
{
	struct writer writers[4];
	time_t end = time(NULL) + WRITERS_S;
	u8 data[DATA_SIZE];
	unsigned int passed = 1;
	struct hisi_acc_vf vf;
	int memory;

	save_data(_metadata, data, true);
	memory = memfd_create("data", MFD_CLOEXEC);
	ASSERT_EQ(write(memory, data, DATA_SIZE), DATA_SIZE);
	hisi_acc_vf_open(&vf, source_bdf);
	while (passed == 1 && time(NULL) < end) {
		int data_fd, others = ARRAY_SIZE(writers);

		EXPECT_EQ(device_set_state(vf.fd, RESUMING, &data_fd), 0);
		for (unsigned int i = 0; i < ARRAY_SIZE(writers); i++) {
			writers[i] = (struct writer) {
				.data_fd = data_fd,
				.data = mmap(NULL, DATA_SIZE, PROT_READ,
					     MAP_PRIVATE, memory, 0),
				.others = &others,
			};
			pthread_create(&writers[i].thread, NULL, write_all,
				       &writers[i]);
		}
		for (unsigned int i = 0; i < ARRAY_SIZE(writers); i++) {
			pthread_join(writers[i].thread, NULL);
			munmap((void *)writers[i].data, DATA_SIZE);
		}
		passed = taken(writers, ARRAY_SIZE(writers));
		/* after a rejected write() only a reset ends the session */
		if (device_set_state(vf.fd, STOP, NULL))
			EXPECT_EQ(device_reset(vf.fd), 0);
		close(data_fd);
	}
	EXPECT_EQ(passed, 1);
	hisi_acc_vf_close(&vf);
}

int main(int argc, char *argv[])
{
	return hisi_acc_test_run(argc, argv);
}
