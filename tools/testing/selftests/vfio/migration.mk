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

ifeq ($(ARCH:aarch64=arm64),arm64)
MIGRATION_TESTS += vfio_pci_hisi_acc_test
MIGRATION_TESTS += hisi_acc_migration_bar_test
MIGRATION_TESTS += hisi_acc_migration_states_test
MIGRATION_TESTS += hisi_acc_migration_data_test
MIGRATION_TESTS += hisi_acc_migration_reject_test
MIGRATION_TESTS += hisi_acc_migration_reset_test
MIGRATION_TESTS += acc_ops_fuzz
MIGRATION_TESTS += acc_data_fuzz
MIGRATION_TESTS += acc_migration_bench
# Installed, and not run by run_kselftest.sh
MIGRATION_TOOLS := hisi_acc_migration_pf_reset hisi-acc-probe
# arm64 has the store of 16 bytes that the mailbox takes
HISI_ACC_O := $(addprefix $(OUTPUT)/, hisi_acc_guest.o hisi_acc_vf.o)
PROBE_PARTS := device engine queue report pause context registers doorbell events power times errors
PROBE_O := $(patsubst %, $(OUTPUT)/hisi_acc_probe_%.o, $(PROBE_PARTS))
endif

ifeq ($(shell grep -rl calloc_assert $(LIBVFIO_SRCDIR)/include),)
CFLAGS += -include $(selfdir)/vfio/libvfio_compat.h
endif

# Not TEST_GEN_PROGS: the rule of lib.mk for these links no further objects
TEST_CUSTOM_PROGS := $(addprefix $(OUTPUT)/, $(MIGRATION_TESTS))
TOOL_PROGS := $(addprefix $(OUTPUT)/, $(MIGRATION_TOOLS))
TEST_GEN_PROGS_EXTENDED += $(TOOL_PROGS)

MIGRATION_O := $(addsuffix .o, $(TEST_CUSTOM_PROGS) $(TOOL_PROGS))
LIBMIGRATION_O := $(addprefix $(OUTPUT)/, migration.o migration_ioctl.o vfio_open.o)
MIGRATION_O += $(LIBMIGRATION_O) $(HISI_ACC_O) $(PROBE_O)

$(MIGRATION_O): $(OUTPUT)/%.o: %.c
	$(CC) $(CFLAGS) $(CPPFLAGS) $(TARGET_ARCH) -c $< -o $@

$(filter $(OUTPUT)/hisi_acc_% $(OUTPUT)/acc_%, $(TEST_CUSTOM_PROGS)) $(TOOL_PROGS): $(HISI_ACC_O)

$(filter %/hisi-acc-probe, $(TOOL_PROGS)): $(PROBE_O)

$(TEST_CUSTOM_PROGS) $(TOOL_PROGS): %: %.o $(LIBMIGRATION_O) $(LIBVFIO_O)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) $(filter %.o,$^) $(LDLIBS) -o $@

all: $(TEST_CUSTOM_PROGS) $(TOOL_PROGS)

-include $(MIGRATION_O:.o=.d)

EXTRA_CLEAN += $(TEST_CUSTOM_PROGS) $(MIGRATION_O) $(MIGRATION_O:.o=.d)

include edu_migration.mk
include vfio_iommu_dirty.mk
