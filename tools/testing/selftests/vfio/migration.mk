# SPDX-License-Identifier: GPL-2.0
# Tests of migration. The Makefile includes this after lib/libvfio.mk, see
# hook.patch.

MIGRATION_TESTS := vfio_pci_migration_features_test
MIGRATION_TESTS += vfio_pci_migration_states_test
MIGRATION_TESTS += vfio_pci_migration_save_test
MIGRATION_TESTS += vfio_pci_migration_resume_test
MIGRATION_TESTS += vfio_pci_migration_precopy_test
MIGRATION_TESTS += vfio_pci_migration_reset_test
MIGRATION_TESTS += vfio_pci_migration_threads_test
MIGRATION_TESTS += vfio_pci_migration_fuzz_test
MIGRATION_TESTS += vfio_pci_migration_fail_nth

ifeq ($(shell grep -rl calloc_assert $(LIBVFIO_SRCDIR)/include),)
CFLAGS += -include $(selfdir)/vfio/libvfio_compat.h
endif

# Not TEST_GEN_PROGS: the rule of lib.mk for these links no further objects
TEST_CUSTOM_PROGS := $(addprefix $(OUTPUT)/, $(MIGRATION_TESTS))

MIGRATION_O := $(addsuffix .o, $(TEST_CUSTOM_PROGS))
LIBMIGRATION_O := $(addprefix $(OUTPUT)/, migration.o migration_fuzz.o migration_ioctl.o vfio_open.o)
MIGRATION_O += $(LIBMIGRATION_O)

$(MIGRATION_O): $(OUTPUT)/%.o: %.c
	$(CC) $(CFLAGS) $(CPPFLAGS) $(TARGET_ARCH) -c $< -o $@

$(TEST_CUSTOM_PROGS): %: %.o $(LIBMIGRATION_O) $(LIBVFIO_O)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

all: $(TEST_CUSTOM_PROGS)

-include $(MIGRATION_O:.o=.d)

EXTRA_CLEAN += $(TEST_CUSTOM_PROGS) $(MIGRATION_O) $(MIGRATION_O:.o=.d)

include hisi_acc.mk
include edu_migration.mk
include vfio_iommu_dirty.mk
