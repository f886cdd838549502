// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of a VFIO device: its states and the arcs between them.
 */
#include <limits.h>

#include "migration_fixture.h"

/* A device that was just opened is in RUNNING */
TEST_F(migration, starts_running)
{
	EXPECT_EQ(device_get_state(self->fd), RUNNING);
	migration_device_reopen(self->device);
	EXPECT_EQ(device_get_state(self->device->fd), RUNNING);
}

/* GET of the state returns no file descriptor */
TEST_F(migration, get_state_returns_no_file)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(device_states); i++) {
		struct vfio_device_feature_mig_state mig = { .data_fd = 77 };
		int data_fd;

		if (!state_exists(self->flags, device_states[i]))
			continue;
		ASSERT_EQ(device_set_state(self->fd, device_states[i], &data_fd), 0);
		EXPECT_EQ(device_feature(self->fd, VFIO_DEVICE_FEATURE_GET |
					 VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
					 &mig, sizeof(mig), FEATURE_HEADER + sizeof(mig)), 0);
		EXPECT_EQ(mig.device_state, device_states[i]);
		EXPECT_EQ(mig.data_fd, -1);
		if (data_fd >= 0)
			close(data_fd);
		ASSERT_EQ(device_set_running(self->fd), 0);
	}
}

/* One arc; the device is in RUNNING afterwards */
static void check_arc(struct __test_metadata *_metadata, int fd, int from, int to,
		      const struct migration_data *data)
{
	bool refused = state_refused(from, to);
	int first, second;

	ASSERT_EQ(device_set_state(fd, from, &first), 0);
	ASSERT_EQ(device_get_state(fd), from);
	EXPECT_EQ(first >= 0, state_opens_file(RUNNING, from));
	if (from == RESUMING && to != RESUMING)
		ASSERT_EQ(migration_data_write(first, data, 0), 0);
	EXPECT_EQ(device_set_state(fd, to, &second), refused ? -EINVAL : 0) {
		TH_LOG("%s -> %s", state_name(from), state_name(to));
	}
	EXPECT_EQ(device_get_state(fd), refused ? from : to) {
		TH_LOG("%s -> %s", state_name(from), state_name(to));
	}
	EXPECT_EQ(second >= 0, state_opens_file(from, to)) {
		TH_LOG("%s -> %s", state_name(from), state_name(to));
	}
	if (to == RESUMING)
		ASSERT_EQ(migration_data_write(second >= 0 ? second : first, data, 0), 0);
	ASSERT_EQ(device_set_state(fd, RUNNING, NULL), 0);
	if (first >= 0)
		close(first);
	if (second >= 0)
		close(second);
}

/* Each arc ends in its state, and returns a file where a session begins */
TEST_F(migration, every_pair_of_states)
{
	struct migration_data data;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	ASSERT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(device_states); i++)
		for (unsigned int j = 0; j < ARRAY_SIZE(device_states); j++)
			if (state_exists(self->flags, device_states[i]) &&
			    state_exists(self->flags, device_states[j]))
				check_arc(_metadata, self->fd, device_states[i],
					  device_states[j], &data);
	migration_data_free(&data);
}

/* A state that the device does not have, and ERROR, cannot be set */
TEST_F(migration, invalid_states)
{
	static const int bad[] = {
		VFIO_DEVICE_STATE_ERROR, VFIO_DEVICE_STATE_NR, 99, -1,
		INT_MIN, 1 << 16,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(device_states); i++) {
		int data_fd = -1;

		if (!state_exists(self->flags, device_states[i])) {
			EXPECT_EQ(device_set_state(self->fd, device_states[i], NULL),
				  -EINVAL);
			EXPECT_EQ(device_get_state(self->fd), RUNNING);
			continue;
		}
		ASSERT_EQ(device_set_state(self->fd, device_states[i], &data_fd), 0);
		for (unsigned int b = 0; b < ARRAY_SIZE(bad); b++) {
			EXPECT_EQ(device_set_state(self->fd, bad[b], NULL), -EINVAL) {
				TH_LOG("%d in %s", bad[b], state_name(device_states[i]));
			}
			EXPECT_EQ(device_get_state(self->fd), device_states[i]);
		}
		if (data_fd >= 0)
			close(data_fd);
		ASSERT_EQ(device_set_running(self->fd), 0);
	}
}

/* Setting the current state begins no session */
TEST_F(migration, set_the_current_state)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(device_states); i++) {
		struct migration_data data = {};
		int first, second;

		if (!state_exists(self->flags, device_states[i]))
			continue;
		ASSERT_EQ(device_set_state(self->fd, device_states[i], &first), 0);
		EXPECT_EQ(device_set_state(self->fd, device_states[i], &second), 0);
		EXPECT_EQ(second, -1);
		EXPECT_EQ(device_get_state(self->fd), device_states[i]);
		if (device_states[i] == STOP_COPY) {
			EXPECT_EQ(migration_data_read(first, &data, 0), 0);
			EXPECT_GT(data.len, 0);
		}
		migration_data_free(&data);
		if (first >= 0)
			close(first);
		ASSERT_EQ(device_set_running(self->fd), 0);
	}
}

/* A device can be saved and loaded many times */
TEST_F(migration, repeated_migrations)
{
	struct migration_data data, again;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	for (int i = 0; i < 10; i++) {
		ASSERT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
		ASSERT_EQ(device_save(self->fd, &again), 0);
		EXPECT_EQ(again.len, data.len);
		ASSERT_EQ(device_load(self->fd, &again, 0), 0);
		migration_data_free(&again);
	}
	ASSERT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
	migration_data_free(&data);
}

int main(int argc, char *argv[])
{
	return migration_test_run(argc, argv);
}
