/* SPDX-License-Identifier: GPL-2.0 */
/* Part of vfio_pci_migration_test.c: reset, close and open at any moment. */

/* The device can do all that it could */
static void works(struct __test_metadata *_metadata, int fd)
{
	struct image image;

	EXPECT_EQ(device_get_state(fd), RUNNING);
	ASSERT_EQ(take_image(fd, &image), 0);
	EXPECT_GT(image.len, 0);
	EXPECT_EQ(give_image(fd, &image, 0), 0);
	EXPECT_EQ(device_set_state(fd, RUNNING, NULL), 0);
	image_free(&image);
}

/* Catches a reset that leaves a state, or a session, behind */
TEST_F(migration, reset_in_each_state)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(all_states); i++) {
		u8 byte = 0;
		int data_fd;

		if (!state_exists(self->flags, all_states[i]))
			continue;
		ASSERT_EQ(device_set_state(self->fd, all_states[i], &data_fd), 0);
		EXPECT_EQ(device_reset(self->fd), 0);
		EXPECT_EQ(device_get_state(self->fd), RUNNING) {
			TH_LOG("after a reset in %s", state_name(all_states[i]));
		}
		if (data_fd >= 0) {
			EXPECT_EQ(all_states[i] == RESUMING ?
				  write(data_fd, &byte, 1) :
				  read(data_fd, &byte, 1), -1) {
				TH_LOG("file of %s", state_name(all_states[i]));
			}
			close(data_fd);
		}
		works(_metadata, self->fd);
	}
}

/* Catches a session half read or half written that hinders the next */
TEST_F(migration, reset_within_a_session)
{
	struct image image;
	int data_fd;
	u8 byte;

	ASSERT_EQ(take_image(self->fd, &image), 0);
	data_fd = enter(self->fd, STOP_COPY);
	ASSERT_GE(data_fd, 0);
	EXPECT_EQ(read(data_fd, &byte, 1), 1);
	EXPECT_EQ(device_reset(self->fd), 0);
	close(data_fd);
	works(_metadata, self->fd);
	data_fd = enter(self->fd, RESUMING);
	ASSERT_GE(data_fd, 0);
	EXPECT_EQ(write(data_fd, image.data, 1), 1);
	EXPECT_EQ(device_reset(self->fd), 0);
	close(data_fd);
	works(_metadata, self->fd);
	image_free(&image);
}

/* Catches a device that the next user gets as the last one left it. With and
 * without the data file closed first
 */
TEST_F(migration, close_and_open_in_each_state)
{
	for (unsigned int i = 0; i < 2 * ARRAY_SIZE(all_states); i++) {
		int state = all_states[i / 2], data_fd;

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
		works(_metadata, self->device->fd);
	}
}

/* Catches a data file that reaches a device which is not its user's any more */
TEST_F(migration, data_file_outlives_the_device)
{
	static const int states[] = { STOP_COPY, RESUMING, PRE_COPY };

	for (unsigned int i = 0; i < ARRAY_SIZE(states); i++) {
		u8 byte = 0;
		int data_fd;

		if (!state_exists(self->flags, states[i]))
			continue;
		data_fd = enter(self->device->fd, states[i]);
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

/* Catches an image that is good for one open only: it is of the device's state,
 * which a reset takes away and the image brings back
 */
TEST_F(migration, image_of_an_open_before)
{
	struct image image;

	ASSERT_EQ(take_image(self->fd, &image), 0);
	migration_device_reopen(self->device);
	ASSERT_EQ(device_reset(self->device->fd), 0);
	EXPECT_EQ(give_image(self->device->fd, &image, 0), 0);
	EXPECT_EQ(device_set_state(self->device->fd, RUNNING, NULL), 0);
	image_free(&image);
}
