/* SPDX-License-Identifier: GPL-2.0 */
/* Part of vfio_pci_migration_test.c: the states and the ways between them. */

/* Catches a device that does not run for who opens it */
TEST_F(migration, starts_running)
{
	EXPECT_EQ(device_get_state(self->fd), RUNNING);
	migration_device_reopen(self->device);
	EXPECT_EQ(device_get_state(self->device->fd), RUNNING);
}

/* Catches a file number that means something where there is no file */
TEST_F(migration, asking_gives_no_file)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(all_states); i++) {
		struct vfio_device_feature_mig_state mig = { .data_fd = 77 };
		int data_fd;

		if (!state_exists(self->flags, all_states[i]))
			continue;
		ASSERT_EQ(device_set_state(self->fd, all_states[i], &data_fd), 0);
		EXPECT_EQ(device_feature(self->fd, VFIO_DEVICE_FEATURE_GET |
					 VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
					 &mig, sizeof(mig), HEADER + sizeof(mig)), 0);
		EXPECT_EQ(mig.device_state, all_states[i]);
		EXPECT_EQ(mig.data_fd, -1);
		if (data_fd >= 0)
			close(data_fd);
		ASSERT_EQ(back_to_running(self->fd), 0);
	}
}

/* One state from one other: what is left behind is RUNNING */
static void one_way(struct __test_metadata *_metadata, int fd, int from, int to,
		    const struct image *image)
{
	bool refused = state_refused(from, to);
	int first, second;

	ASSERT_EQ(device_set_state(fd, from, &first), 0);
	ASSERT_EQ(device_get_state(fd), from);
	EXPECT_EQ(first >= 0, state_opens_file(RUNNING, from));
	if (from == RESUMING && to != RESUMING)
		ASSERT_EQ(image_write(first, image, 0), 0);
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
		ASSERT_EQ(image_write(second >= 0 ? second : first, image, 0), 0);
	ASSERT_EQ(device_set_state(fd, RUNNING, NULL), 0);
	if (first >= 0)
		close(first);
	if (second >= 0)
		close(second);
}

/* Catches a way that is missing, ends elsewhere, or brings the wrong file */
TEST_F(migration, every_pair_of_states)
{
	struct image image;

	ASSERT_EQ(take_image(self->fd, &image), 0);
	ASSERT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(all_states); i++)
		for (unsigned int j = 0; j < ARRAY_SIZE(all_states); j++)
			if (state_exists(self->flags, all_states[i]) &&
			    state_exists(self->flags, all_states[j]))
				one_way(_metadata, self->fd, all_states[i],
					all_states[j], &image);
	image_free(&image);
}

/* Catches a state that the device does not have, taken for one; ERROR asked for */
TEST_F(migration, states_that_do_not_exist)
{
	static const int bad[] = {
		VFIO_DEVICE_STATE_ERROR, VFIO_DEVICE_STATE_NR, 99, -1,
		INT_MIN, 1 << 16,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(all_states); i++) {
		int data_fd = -1;

		if (!state_exists(self->flags, all_states[i])) {
			EXPECT_EQ(device_set_state(self->fd, all_states[i], NULL),
				  -EINVAL);
			EXPECT_EQ(device_get_state(self->fd), RUNNING);
			continue;
		}
		ASSERT_EQ(device_set_state(self->fd, all_states[i], &data_fd), 0);
		for (unsigned int b = 0; b < ARRAY_SIZE(bad); b++) {
			EXPECT_EQ(device_set_state(self->fd, bad[b], NULL), -EINVAL) {
				TH_LOG("%d in %s", bad[b], state_name(all_states[i]));
			}
			EXPECT_EQ(device_get_state(self->fd), all_states[i]);
		}
		if (data_fd >= 0)
			close(data_fd);
		ASSERT_EQ(back_to_running(self->fd), 0);
	}
}

/* Catches a session begun anew by asking for the state that there is */
TEST_F(migration, same_state_again)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(all_states); i++) {
		struct image image = {};
		int first, second;

		if (!state_exists(self->flags, all_states[i]))
			continue;
		ASSERT_EQ(device_set_state(self->fd, all_states[i], &first), 0);
		EXPECT_EQ(device_set_state(self->fd, all_states[i], &second), 0);
		EXPECT_EQ(second, -1);
		EXPECT_EQ(device_get_state(self->fd), all_states[i]);
		if (all_states[i] == STOP_COPY) {
			EXPECT_EQ(image_read(first, &image, 0), 0);
			EXPECT_GT(image.len, 0);
		}
		image_free(&image);
		if (first >= 0)
			close(first);
		ASSERT_EQ(back_to_running(self->fd), 0);
	}
}

/* Catches what only the second round breaks */
TEST_F(migration, round_and_round)
{
	struct image image, again;

	ASSERT_EQ(take_image(self->fd, &image), 0);
	for (int i = 0; i < 10; i++) {
		ASSERT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
		ASSERT_EQ(take_image(self->fd, &again), 0);
		EXPECT_EQ(again.len, image.len);
		ASSERT_EQ(give_image(self->fd, &again, 0), 0);
		image_free(&again);
	}
	ASSERT_EQ(device_set_state(self->fd, RUNNING, NULL), 0);
	image_free(&image);
}
