// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of a VFIO device: what VFIO_DEVICE_FEATURE offers, and its arguments.
 */
#include <sys/mman.h>

#include "migration_fixture.h"

/* A device that migrates can be reset: only a reset leaves ERROR */
TEST_F(migration, device_supports_reset)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	ASSERT_EQ(ioctl(self->fd, VFIO_DEVICE_GET_INFO, &info), 0);
	EXPECT_TRUE(info.flags & VFIO_DEVICE_FLAGS_RESET);
}

/* STOP_COPY is always offered, and no flag whose states are unknown */
TEST_F(migration, flags)
{
	EXPECT_TRUE(self->flags & VFIO_MIGRATION_STOP_COPY);
	EXPECT_EQ(self->flags & ~(VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
				  VFIO_MIGRATION_PRE_COPY), 0);
}

static const struct {
	u32 number;
	u32 methods;
	size_t size;
} features[] = {
	{ VFIO_DEVICE_FEATURE_MIGRATION, VFIO_DEVICE_FEATURE_GET, 8 },
	{ VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
	  VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET, 8 },
	{ VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, VFIO_DEVICE_FEATURE_GET, 8 },
};

/* PROBE needs no data, changes nothing, and fails for what is not supported */
TEST_F(migration, probes)
{
	static const u32 methods[] = {
		0, VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_SET,
		VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(features); i++) {
		for (unsigned int m = 0; m < ARRAY_SIZE(methods); m++) {
			bool has = !(methods[m] & ~features[i].methods);

			EXPECT_EQ(device_feature(self->fd, features[i].number |
						 VFIO_DEVICE_FEATURE_PROBE |
						 methods[m], NULL, 0, FEATURE_HEADER),
				  has ? 0 : -EINVAL) {
				TH_LOG("feature %u, methods %x",
				       features[i].number, methods[m]);
			}
		}
	}
	EXPECT_EQ(device_feature(self->fd, VFIO_DEVICE_FEATURE_PROBE |
				 VFIO_DEVICE_FEATURE_MASK, NULL, 0, FEATURE_HEADER),
		  -ENOTTY);
	EXPECT_EQ(device_get_state(self->fd), RUNNING);
}

/* PROBE of any other feature changes nothing either */
TEST_F(migration, probes_of_other_features)
{
	for (u32 number = 0; number < 32; number++) {
		for (u32 method = 0; method < 4; method++) {
			u32 flags = number | VFIO_DEVICE_FEATURE_PROBE;
			int err;

			if (method & 1)
				flags |= VFIO_DEVICE_FEATURE_GET;
			if (method & 2)
				flags |= VFIO_DEVICE_FEATURE_SET;
			err = device_feature(self->fd, flags, NULL, 0, FEATURE_HEADER);
			EXPECT_TRUE(!err || err == -EINVAL || err == -ENOTTY) {
				TH_LOG("feature %u, method %u: %d", number, method, err);
			}
		}
	}
	check_migration(_metadata, self->fd);
}

/* argsz and methods are checked */
TEST_F(migration, feature_arguments)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(features); i++) {
		u32 number = features[i].number;
		u64 data = RUNNING;

		EXPECT_EQ(device_feature(self->fd, number, &data,
					 features[i].size,
					 FEATURE_HEADER + features[i].size), -EINVAL);
		EXPECT_EQ(device_feature(self->fd, number |
					 VFIO_DEVICE_FEATURE_GET |
					 VFIO_DEVICE_FEATURE_SET, &data,
					 features[i].size,
					 FEATURE_HEADER + features[i].size), -EINVAL);
		EXPECT_EQ(device_feature(self->fd, number |
					 VFIO_DEVICE_FEATURE_GET, &data,
					 features[i].size,
					 FEATURE_HEADER + features[i].size - 1), -EINVAL);
		EXPECT_EQ(device_feature(self->fd, number |
					 VFIO_DEVICE_FEATURE_GET, &data,
					 features[i].size, FEATURE_HEADER - 1), -EINVAL);
		EXPECT_EQ(device_feature(self->fd, number | 1 << 19 |
					 VFIO_DEVICE_FEATURE_GET, &data,
					 features[i].size,
					 FEATURE_HEADER + features[i].size), -EINVAL);
	}
	EXPECT_EQ(ioctl(self->fd, VFIO_DEVICE_FEATURE, NULL), -1);
	EXPECT_EQ(errno, EFAULT);
}

/* No more than argsz bytes are read or written */
TEST_F(migration, feature_at_the_end_of_a_page)
{
	size_t page = getpagesize(), size = FEATURE_HEADER + 8;
	struct vfio_device_feature *feature;
	u8 *pages = lone_page();

	for (unsigned int i = 0; i < ARRAY_SIZE(features); i++) {
		feature = (void *)(pages + page - size);
		feature->argsz = size;
		feature->flags = features[i].number | VFIO_DEVICE_FEATURE_GET;
		EXPECT_EQ(ioctl(self->fd, VFIO_DEVICE_FEATURE, feature), 0);
		feature = (void *)(pages + page - FEATURE_HEADER);
		feature->argsz = size;
		feature->flags = features[i].number | VFIO_DEVICE_FEATURE_GET;
		EXPECT_EQ(ioctl(self->fd, VFIO_DEVICE_FEATURE, feature), -1);
		EXPECT_EQ(errno, EFAULT);
	}
	munmap(pages, page);
}

/* MIG_DATA_SIZE can be read in each state */
TEST_F(migration, data_size_in_each_state)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(device_states); i++) {
		u64 size = 0;
		int data_fd;

		if (!state_exists(self->flags, device_states[i]))
			continue;
		ASSERT_EQ(device_set_state(self->fd, device_states[i], &data_fd), 0);
		EXPECT_EQ(device_data_size(self->fd, &size), 0) {
			TH_LOG("in %s", state_name(device_states[i]));
		}
		EXPECT_GT(size, 0);
		if (data_fd >= 0)
			close(data_fd);
		ASSERT_EQ(device_set_running(self->fd), 0);
	}
}

/* MIG_DATA_SIZE is not less than what is saved */
TEST_F(migration, data_size_is_enough)
{
	struct migration_data data;
	u64 size;

	ASSERT_EQ(device_data_size(self->fd, &size), 0);
	ASSERT_EQ(device_save(self->fd, &data), 0);
	EXPECT_GE(size, data.len);
	ASSERT_EQ(device_data_size(self->fd, &size), 0);
	EXPECT_GE(size, data.len);
	migration_data_free(&data);
}

int main(int argc, char *argv[])
{
	return migration_test_run(argc, argv);
}
