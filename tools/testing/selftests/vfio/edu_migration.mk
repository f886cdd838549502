# SPDX-License-Identifier: GPL-2.0
# The test of samples/edu_vfio_pci. migration.mk includes this.

EDU_TEST := $(OUTPUT)/edu_migration_test

TEST_CUSTOM_PROGS += $(EDU_TEST)

$(EDU_TEST).o: $(OUTPUT)/%.o: %.c
	$(CC) $(CFLAGS) $(CPPFLAGS) $(TARGET_ARCH) -c $< -o $@

$(EDU_TEST): %: %.o $(LIBMIGRATION_O) $(LIBVFIO_O)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

all: $(EDU_TEST)

-include $(EDU_TEST).d

EXTRA_CLEAN += $(EDU_TEST) $(EDU_TEST).o $(EDU_TEST).d
