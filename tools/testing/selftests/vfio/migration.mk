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
MIGRATION_TESTS += vfio_pci_migration_fail_nth
# The mailbox of the device takes one store of 16 bytes
ifeq ($(ARCH:aarch64=arm64),arm64)
MIGRATION_TESTS += vfio_pci_hisi_acc_test
endif

ifeq ($(shell grep -rl calloc_assert $(LIBVFIO_SRCDIR)/include),)
CFLAGS += -include $(selfdir)/vfio/libvfio_compat.h
endif

# Not TEST_GEN_PROGS: the rule of lib.mk for these links no further objects
TEST_CUSTOM_PROGS := $(addprefix $(OUTPUT)/, $(MIGRATION_TESTS))

MIGRATION_O := $(addsuffix .o, $(TEST_CUSTOM_PROGS)) $(OUTPUT)/migration.o

$(TEST_CUSTOM_PROGS): %: %.o $(OUTPUT)/migration.o $(LIBVFIO_O)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) $(filter %.o,$^) $(LDLIBS) -o $@

ifeq ($(ARCH:aarch64=arm64),arm64)
# Without libvfio
HISI_ACC_DEVICE_O := $(OUTPUT)/hisi_acc_test_device.o
HISI_ACC_TEST := $(OUTPUT)/hisi_acc_migration_test
HISI_ACC_TEST_O := $(patsubst %.c, $(OUTPUT)/%.o, $(notdir $(wildcard $(selfdir)/vfio/hisi_acc_*.c)))
TEST_CUSTOM_PROGS += $(HISI_ACC_TEST)

$(HISI_ACC_TEST): $(HISI_ACC_TEST_O)

# Installed, and not run by run_kselftest.sh: these say how often and on which VFs
HISI_ACC_TOOLS := $(addprefix $(OUTPUT)/, acc_migration_bench acc_ops_fuzz acc_stream_fuzz)
TEST_GEN_PROGS_EXTENDED += $(HISI_ACC_TOOLS)

$(HISI_ACC_TOOLS): %: %.o $(HISI_ACC_DEVICE_O)

$(HISI_ACC_TEST) $(HISI_ACC_TOOLS):
	$(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) $^ -o $@

MIGRATION_O += $(HISI_ACC_TEST_O) $(addsuffix .o, $(HISI_ACC_TOOLS))
endif

$(MIGRATION_O): $(OUTPUT)/%.o: %.c
	$(CC) $(CFLAGS) $(CPPFLAGS) $(TARGET_ARCH) -c $< -o $@

all: $(TEST_CUSTOM_PROGS) $(HISI_ACC_TOOLS)

-include $(MIGRATION_O:.o=.d)

EXTRA_CLEAN += $(TEST_CUSTOM_PROGS) $(MIGRATION_O) $(MIGRATION_O:.o=.d)

include vfio_iommu_dirty.mk
