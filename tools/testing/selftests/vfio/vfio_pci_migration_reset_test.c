// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of a VFIO device: reset, close and open in each state.
 */
#include "migration_fixture.h"

/* A reset leads to RUNNING and ends the session */
TEST_F(migration, reset_in_each_state)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(device_states); i++) {
		u8 byte = 0;
		int data_fd;

		if (!state_exists(self->flags, device_states[i]))
			continue;
		ASSERT_EQ(device_set_state(self->fd, device_states[i], &data_fd), 0);
		EXPECT_EQ(device_reset(self->fd), 0);
		EXPECT_EQ(device_get_state(self->fd), RUNNING) {
			TH_LOG("after a reset in %s", state_name(device_states[i]));
		}
		if (data_fd >= 0) {
			EXPECT_EQ(device_states[i] == RESUMING ?
				  write(data_fd, &byte, 1) :
				  read(data_fd, &byte, 1), -1) {
				TH_LOG("file of %s", state_name(device_states[i]));
			}
			close(data_fd);
		}
		check_migration(_metadata, self->fd);
	}
}

/* A session that a reset ends does not affect the next one */
TEST_F(migration, reset_during_a_session)
{
	struct migration_data data;
	int data_fd;
	u8 byte;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	data_fd = device_enter(self->fd, STOP_COPY);
	ASSERT_GE(data_fd, 0);
	EXPECT_EQ(read(data_fd, &byte, 1), 1);
	EXPECT_EQ(device_reset(self->fd), 0);
	close(data_fd);
	check_migration(_metadata, self->fd);
	data_fd = device_enter(self->fd, RESUMING);
	ASSERT_GE(data_fd, 0);
	EXPECT_EQ(write(data_fd, data.bytes, 1), 1);
	EXPECT_EQ(device_reset(self->fd), 0);
	close(data_fd);
	check_migration(_metadata, self->fd);
	migration_data_free(&data);
}

/*
 * The next user gets the device in RUNNING, whether the last one closed the
 * migration file first or not
 */
TEST_F(migration, close_and_open_in_each_state)
{
	for (unsigned int i = 0; i < 2 * ARRAY_SIZE(device_states); i++) {
		int state = device_states[i / 2], data_fd;

		if (!state_exists(self->flags, state))
			continue;
		ASSERT_EQ(device_set_state(self->device->fd, state, &data_fd), 0);
		if (data_fd >= 0 && i % 2)
			close(data_fd);
		migration_device_reopen(self->device);
		EXPECT_EQ(device_get_state(self->device->fd), RUNNING) {
			TH_LOG("after a close in %s", state_name(state));
		}
		if (data_fd >= 0 && !(i % 2))
			close(data_fd);
		ASSERT_EQ(device_reset(self->device->fd), 0);
		check_migration(_metadata, self->device->fd);
	}
}

/* The migration file of an earlier user fails */
TEST_F(migration, migration_file_outlives_the_device)
{
	static const int states[] = { STOP_COPY, RESUMING, PRE_COPY };

	for (unsigned int i = 0; i < ARRAY_SIZE(states); i++) {
		u8 byte = 0;
		int data_fd;

		if (!state_exists(self->flags, states[i]))
			continue;
		data_fd = device_enter(self->device->fd, states[i]);
		ASSERT_GE(data_fd, 0);
		migration_device_reopen(self->device);
		EXPECT_EQ(states[i] == RESUMING ? write(data_fd, &byte, 1) :
			  read(data_fd, &byte, 1), -1) {
			TH_LOG("file of %s", state_name(states[i]));
		}
		close(data_fd);
		ASSERT_EQ(device_reset(self->device->fd), 0);
	}
}

/* Data is valid across opens and resets of the device */
TEST_F(migration, data_of_an_earlier_open)
{
	struct migration_data data;

	ASSERT_EQ(device_save(self->fd, &data), 0);
	migration_device_reopen(self->device);
	ASSERT_EQ(device_reset(self->device->fd), 0);
	EXPECT_EQ(device_load(self->device->fd, &data, 0), 0);
	EXPECT_EQ(device_set_state(self->device->fd, RUNNING, NULL), 0);
	migration_data_free(&data);
}

int main(int argc, char *argv[])
{
	return migration_test_run(argc, argv);
}
