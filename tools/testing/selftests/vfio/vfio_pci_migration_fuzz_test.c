// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of a VFIO device: random operations, in several threads.
 *
 * VFIO_SELFTESTS_SEED in the environment has the seed, and VFIO_SELFTESTS_OPERATIONS how
 * many operations there are.
 */
#include "migration_fixture.h"
#include "migration_fuzz.h"

static unsigned long setting(const char *name, unsigned long usual)
{
	const char *value = getenv(name);

	return value ? strtoul(value, NULL, 0) : usual;
}

/* No result is one that the uAPI has no place for, nothing hangs, and a reset ends it all */
TEST_F_TIMEOUT(migration, random_operations, 600)
{
	struct migration_data data;
	struct migration_fuzz fuzz = {
		.fd = self->fd,
		.data = &data,
		.operations = setting("VFIO_SELFTESTS_OPERATIONS", 5000),
		.seed = setting("VFIO_SELFTESTS_SEED", 1),
	};

	ASSERT_EQ(device_save(self->fd, &data), 0);
	ASSERT_EQ(device_set_running(self->fd), 0);
	migration_fuzz_run(&fuzz);
	EXPECT_STREQ(fuzz.wrong, "");
	TH_LOG("seed %lu, %lu resets", fuzz.seed, fuzz.resets);
	ASSERT_EQ(device_reset(self->fd), 0);
	EXPECT_EQ(device_get_state(self->fd), RUNNING);
	check_migration(_metadata, self->fd);
	migration_data_free(&data);
}

int main(int argc, char *argv[])
{
	return migration_test_run(argc, argv);
}
