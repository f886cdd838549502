# SPDX-License-Identifier: GPL-2.0
# Devices of the outer QEMU, for --with-devices-aarch64=vfio-lab together with
# --without-default-devices: nothing is built that is not named here or
# selected by what is.

# The board brings GICv3 with its ITS, SMMUv3, PL011, PL031, flash, ACPI tables
# and the generic PCIe host bridge
CONFIG_ARM_VIRT=y
# The model's own option depends on it
CONFIG_PCI_DEVICES=y
CONFIG_PCIE_PORT=y

CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_NET=y
CONFIG_VIRTIO_BLK=y
CONFIG_VIRTIO_SERIAL=y
CONFIG_VIRTIO_RNG=y

# What the generic VFIO tests and other migration drivers are tried on
CONFIG_EDU=y
CONFIG_IGB_PCI_EXPRESS=y

CONFIG_HISI_ACC=y
