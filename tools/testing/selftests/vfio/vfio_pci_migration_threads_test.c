// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of a VFIO device: two threads that use it at once.
 *
 * A call of either thread may fail. The device must work afterwards.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>

#include "migration_fixture.h"

#define ROUNDS	60

struct racer {
	struct migration_device *device;
	u64 flags;
	pthread_barrier_t *start;
	int data_fd;
	int memory_fd;		/* has the data */
	struct migration_data *data;
	unsigned int seed;
	bool *stop;
	int incomplete;		/* error of leaving RESUMING without data */
	long wrong;		/* results that are not allowed */
	size_t done;		/* bytes */
};

static unsigned int next_random(struct racer *racer)
{
	racer->seed = racer->seed * 1103515245 + 12345;
	return racer->seed >> 16;
}

static void race(struct __test_metadata *_metadata, void *(*one)(void *),
		 struct racer *a, void *(*two)(void *), struct racer *b)
{
	pthread_barrier_t start;
	pthread_t threads[2];

	pthread_barrier_init(&start, NULL, 2);
	a->start = &start;
	b->start = &start;
	ASSERT_EQ(pthread_create(&threads[0], NULL, one, a), 0);
	ASSERT_EQ(pthread_create(&threads[1], NULL, two, b), 0);
	ASSERT_EQ(pthread_join(threads[0], NULL), 0);
	ASSERT_EQ(pthread_join(threads[1], NULL), 0);
	pthread_barrier_destroy(&start);
}

static void *read_by_bytes(void *arg)
{
	struct racer *racer = arg;
	ssize_t got;

	pthread_barrier_wait(racer->start);
	do {
		got = read(racer->data_fd, racer->data->bytes + racer->done, 1);
		if (got > 0)
			racer->done += got;
	} while (got > 0);
	racer->wrong += got < 0;
	return NULL;
}

static void count_bytes(const u8 *data, size_t len, long *count, int sign)
{
	while (len--)
		count[*data++] += sign;
}

/* Each byte goes to exactly one reader */
TEST_F(migration, two_readers)
{
	struct migration_data data, parts[2];
	struct racer racers[2] = {};
	long count[256] = {};

	ASSERT_EQ(device_save(self->fd, &data), 0);
	for (int round = 0; round < 5; round++) {
		int data_fd = device_enter(self->fd, STOP_COPY);

		ASSERT_GE(data_fd, 0);
		for (int i = 0; i < 2; i++) {
			parts[i].bytes = malloc(data.len + 1);
			racers[i] = (struct racer) { .data_fd = data_fd,
						     .data = &parts[i] };
		}
		race(_metadata, read_by_bytes, &racers[0], read_by_bytes,
		     &racers[1]);
		EXPECT_EQ(racers[0].wrong + racers[1].wrong, 0);
		EXPECT_EQ(racers[0].done + racers[1].done, data.len);
		close(data_fd);
		ASSERT_EQ(device_set_state(self->fd, STOP, NULL), 0);
	}
	if (device_data_is_constant(self->fd, &data)) {
		count_bytes(data.bytes, data.len, count, -1);
		for (int i = 0; i < 2; i++)
			count_bytes(parts[i].bytes, racers[i].done, count, 1);
		for (int i = 0; i < 256; i++)
			EXPECT_EQ(count[i], 0);
	}
	migration_data_free(&data);
	migration_data_free(&parts[0]);
	migration_data_free(&parts[1]);
}

/*
 * From memory that is not faulted in, so that the copy takes long: a driver that
 * checks the length before it waits for the other writer must check it again
 */
static void *write_all_at_once(void *arg)
{
	struct racer *racer = arg;
	ssize_t put;
	u8 *fresh;

	fresh = mmap(NULL, racer->data->len, PROT_READ, MAP_PRIVATE,
		     racer->memory_fd, 0);
	pthread_barrier_wait(racer->start);
	put = write(racer->data_fd, fresh, racer->data->len);
	if (put > 0)
		racer->done += put;
	munmap(fresh, racer->data->len);
	return NULL;
}

/* Two writers together cannot exceed the size, or mix their data */
TEST_F(migration, two_writers)
{
	int memory_fd = memfd_create("data", MFD_CLOEXEC);
	struct migration_data data;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	ASSERT_EQ(write(memory_fd, data.bytes, data.len), data.len);
	for (int round = 0; round < 20; round++) {
		struct racer racers[2];
		int ret;

		racers[0] = (struct racer) {
			.data_fd = device_enter(self->fd, RESUMING),
			.data = &data,
			.memory_fd = memory_fd,
		};
		racers[1] = racers[0];
		ASSERT_GE(racers[0].data_fd, 0);
		race(_metadata, write_all_at_once, &racers[0],
		     write_all_at_once, &racers[1]);
		ret = device_set_state(self->fd, STOP, NULL);
		if (!ret)
			EXPECT_EQ(racers[0].done + racers[1].done, data.len);
		close(racers[0].data_fd);
		if (ret)
			ASSERT_EQ(device_reset(self->fd), 0);
	}
	ASSERT_EQ(device_set_running(self->fd), 0);
	check_migration(_metadata, self->fd);
	close(memory_fd);
	migration_data_free(&data);
}

static void *set_any_state(void *arg)
{
	struct racer *racer = arg;

	pthread_barrier_wait(racer->start);
	for (int i = 0; i < ROUNDS; i++) {
		int to = device_states[next_random(racer) % ARRAY_SIZE(device_states)];
		int ret, state;

		ret = device_set_state(racer->device->fd, to, NULL);
		/* no such arc, or no data to leave RESUMING with */
		if (ret && ret != -EINVAL &&
		    (!state_exists(racer->flags, to) || ret != racer->incomplete))
			racer->wrong++;
		state = device_get_state(racer->device->fd);
		if (state < 0 || state > PRE_COPY_P2P ||
		    !state_exists(racer->flags, state))
			racer->wrong++;
	}
	return NULL;
}

static void *reset_often(void *arg)
{
	struct racer *racer = arg;

	pthread_barrier_wait(racer->start);
	for (int i = 0; i < ROUNDS / 10; i++)
		racer->wrong += device_reset(racer->device->fd) != 0;
	return NULL;
}

/* The error of leaving RESUMING without data */
static int leave_without_data(int fd)
{
	int ret, data_fd = device_enter(fd, RESUMING);

	ret = device_set_state(fd, STOP, NULL);
	if (data_fd >= 0)
		close(data_fd);
	return device_reset(fd) ?: ret;
}

/* Arcs exclude each other, and each state is valid */
TEST_F(migration, two_set_states)
{
	struct racer a = { .device = self->device, .flags = self->flags, .seed = 1 };
	struct racer b = { .device = self->device, .flags = self->flags, .seed = 2 };

	a.incomplete = leave_without_data(self->fd);
	b.incomplete = a.incomplete;
	race(_metadata, set_any_state, &a, set_any_state, &b);
	EXPECT_EQ(a.wrong + b.wrong, 0);
	ASSERT_EQ(device_reset(self->fd), 0);
	check_migration(_metadata, self->fd);
}

/* A reset during an arc takes effect, and does not deadlock */
TEST_F(migration, set_state_and_reset)
{
	struct racer a = { .device = self->device, .flags = self->flags, .seed = 3 };
	struct racer b = { .device = self->device, .flags = self->flags };

	a.incomplete = leave_without_data(self->fd);
	race(_metadata, set_any_state, &a, reset_often, &b);
	EXPECT_EQ(a.wrong + b.wrong, 0);
	ASSERT_EQ(device_reset(self->fd), 0);
	check_migration(_metadata, self->fd);
}

static void *use_migf(void *arg)
{
	struct racer *racer = arg;
	struct vfio_precopy_info info;
	u8 byte = 0;
	u64 size;

	pthread_barrier_wait(racer->start);
	while (!__atomic_load_n(racer->stop, __ATOMIC_ACQUIRE)) {
		if (racer->data)
			write(racer->data_fd, racer->data->bytes, 1);
		else
			read(racer->data_fd, &byte, 1);
		migf_precopy_info(racer->data_fd, &info);
		poll_now(racer->data_fd, POLLIN | POLLOUT);
		racer->wrong += device_data_size(racer->device->fd, &size) != 0;
	}
	return NULL;
}

static void *leave_and_reset(void *arg)
{
	struct racer *racer = arg;

	pthread_barrier_wait(racer->start);
	if (next_random(racer) % 2)
		device_set_state(racer->device->fd, STOP, NULL);
	racer->wrong += device_reset(racer->device->fd) != 0;
	__atomic_store_n(racer->stop, true, __ATOMIC_RELEASE);
	return NULL;
}

/* A migration file can be used while its session ends */
TEST_F(migration, migration_file_while_the_session_ends)
{
	static const int states[] = { STOP_COPY, RESUMING, PRE_COPY, PRE_COPY_P2P };
	struct migration_data data;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	ASSERT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
	for (unsigned int i = 0; i < 4 * ARRAY_SIZE(states); i++) {
		int state = states[i % ARRAY_SIZE(states)];
		struct racer user = { .device = self->device };
		struct racer other = { .device = self->device, .seed = i };
		bool stop = false;

		if (!state_exists(self->flags, state))
			continue;
		user.data_fd = device_enter(self->fd, state);
		ASSERT_GE(user.data_fd, 0);
		user.data = state == RESUMING ? &data : NULL;
		user.stop = &stop;
		other.stop = &stop;
		race(_metadata, use_migf, &user, leave_and_reset, &other);
		EXPECT_EQ(user.wrong + other.wrong, 0);
		close(user.data_fd);
	}
	check_migration(_metadata, self->fd);
	migration_data_free(&data);
}

/* Map the first region that can be mapped; NULL if there is none */
static void *map_some_region(int fd, size_t size)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	if (ioctl(fd, VFIO_DEVICE_GET_INFO, &info))
		return NULL;
	for (u32 i = 0; i < info.num_regions; i++) {
		struct vfio_region_info region = {
			.argsz = sizeof(region),
			.index = i,
		};
		void *map;

		if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region) ||
		    !(region.flags & VFIO_REGION_INFO_FLAG_MMAP) ||
		    region.size < size)
			continue;
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			   region.offset);
		if (map != MAP_FAILED)
			return map;
	}
	return NULL;
}

/*
 * No lock that a reset takes is held while user memory is accessed: a fault on a
 * region of the device waits for the reset, which would deadlock. The data itself
 * does not matter.
 */
TEST_F(migration, migration_file_with_device_memory)
{
	static const int states[] = { STOP_COPY, RESUMING };
	size_t page = getpagesize();
	u8 *map;

	map = map_some_region(self->fd, page);
	if (!map)
		SKIP(return, "the device has nothing to map");
	for (unsigned int i = 0; i < 6 * ARRAY_SIZE(states); i++) {
		int state = states[i % ARRAY_SIZE(states)];
		struct racer user = { .device = self->device };
		struct racer other = { .device = self->device, .seed = i };
		struct migration_data in_region = { map, 1 };
		bool stop = false;

		user.data_fd = device_enter(self->fd, state);
		ASSERT_GE(user.data_fd, 0);
		user.data = state == RESUMING ? &in_region : NULL;
		user.stop = &stop;
		other.stop = &stop;
		race(_metadata, use_migf, &user, leave_and_reset, &other);
		close(user.data_fd);
	}
	munmap(map, page);
	check_migration(_metadata, self->fd);
}

int main(int argc, char *argv[])
{
	return migration_test_run(argc, argv);
}
