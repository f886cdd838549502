# SPDX-License-Identifier: GPL-2.0
# The test of an IOMMU's dirty bitmap, by plain ioctls: its devices are none that
# libvfio knows. migration.mk includes this.

DIRTY_TEST := $(OUTPUT)/vfio_iommu_dirty_test
DIRTY_O := $(addprefix $(OUTPUT)/vfio_iommu_dirty_, test.o space.o device.o kinds.o)

TEST_CUSTOM_PROGS += $(DIRTY_TEST)

$(DIRTY_O): $(OUTPUT)/%.o: %.c vfio_iommu_dirty.h
	$(CC) $(CFLAGS) $(CPPFLAGS) $(TARGET_ARCH) -c $< -o $@

$(DIRTY_TEST): $(DIRTY_O) $(OUTPUT)/vfio_open.o
	$(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) $(filter %.o,$^) -pthread $(LDLIBS) -o $@

all: $(DIRTY_TEST)

EXTRA_CLEAN += $(DIRTY_TEST) $(DIRTY_O)
