# SPDX-License-Identifier: GPL-2.0
# Tests, fuzzers and tools for HiSilicon accelerators. migration.mk includes this.

# arm64 has the store of 16 bytes that the mailbox takes
ifeq ($(ARCH:aarch64=arm64),arm64)
HISI_ACC_TESTS := vfio_pci_hisi_acc_test
HISI_ACC_TESTS += hisi_acc_migration_bar_test
HISI_ACC_TESTS += hisi_acc_migration_states_test
HISI_ACC_TESTS += hisi_acc_migration_data_test
HISI_ACC_TESTS += hisi_acc_migration_reject_test
HISI_ACC_TESTS += hisi_acc_migration_reset_test
HISI_ACC_TESTS += acc_ops_fuzz
HISI_ACC_TESTS += acc_data_fuzz
HISI_ACC_TESTS += acc_migration_bench
# Installed, and not run by run_kselftest.sh
HISI_ACC_TOOLS := hisi_acc_migration_pf_reset hisi-acc-probe
PROBE_PARTS := device engine queue report pause context registers doorbell events power times errors

HISI_ACC_PROGS := $(addprefix $(OUTPUT)/, $(HISI_ACC_TESTS) $(HISI_ACC_TOOLS))
HISI_ACC_O := $(addprefix $(OUTPUT)/, hisi_acc_guest.o hisi_acc_vf.o)
PROBE_O := $(patsubst %, $(OUTPUT)/hisi_acc_probe_%.o, $(PROBE_PARTS))
HISI_ACC_ALL_O := $(addsuffix .o, $(HISI_ACC_PROGS)) $(HISI_ACC_O) $(PROBE_O)

TEST_CUSTOM_PROGS += $(addprefix $(OUTPUT)/, $(HISI_ACC_TESTS))
TEST_GEN_PROGS_EXTENDED += $(addprefix $(OUTPUT)/, $(HISI_ACC_TOOLS))

$(HISI_ACC_ALL_O): $(OUTPUT)/%.o: %.c
	$(CC) $(CFLAGS) $(CPPFLAGS) $(TARGET_ARCH) -c $< -o $@

$(OUTPUT)/hisi-acc-probe: $(PROBE_O)

$(HISI_ACC_PROGS): %: %.o $(HISI_ACC_O) $(LIBMIGRATION_O) $(LIBVFIO_O)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) $(filter %.o,$^) $(LDLIBS) -o $@

all: $(HISI_ACC_PROGS)

-include $(HISI_ACC_ALL_O:.o=.d)

EXTRA_CLEAN += $(HISI_ACC_PROGS) $(HISI_ACC_ALL_O) $(HISI_ACC_ALL_O:.o=.d)
endif
