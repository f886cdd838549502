#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Builds hisi_acc_vfio_pci.ko out of tree, in a directory of its own.
#
#   build.sh KDIR OUT [MAKE-ARGUMENT...]
#
# KDIR is where a kernel was configured and built (or its installed headers).
# The sources are copied to OUT and built there: OUT/hisi_acc_vfio_pci.ko.
set -eu

fail() {
	echo "hisi_acc_vfio_pci: $*" >&2
	exit 1
}

[ $# -ge 2 ] || fail "usage: build.sh KDIR OUT [MAKE-ARGUMENT...]"
kdir=$1 out=$2
shift 2

[ -n "$kdir" ] || fail "KDIR is not set: it must be a kernel's build directory"
[ -d "$kdir" ] || fail "there is no directory $kdir to build for"
conf=$kdir/include/config/auto.conf
if [ ! -f "$conf" ]; then
	[ -e "$kdir/source" ] || grep -qs '^VERSION = ' "$kdir/Makefile" ||
		fail "$kdir is neither a kernel's source nor a kernel's build directory"
	[ -f "$kdir/.config" ] || fail "the kernel in $kdir is not configured"
	fail "the kernel in $kdir is configured but not built"
fi
[ -f "$kdir/Module.symvers" ] || fail "the kernel in $kdir is not built: no Module.symvers in it"

lacking=
for option in MODULES PCI_IOV CRYPTO_DEV_HISI_QM CRYPTO_DEV_HISI_SEC2 \
	      CRYPTO_DEV_HISI_HPRE CRYPTO_DEV_HISI_ZIP VFIO_PCI_CORE CRC32; do
	grep -q "^CONFIG_$option=[ym]" "$conf" || lacking="$lacking CONFIG_$option"
done
[ -z "$lacking" ] || fail "the kernel in $kdir was built without$lacking"

# a kernel for another machine than this one
if grep -q '^CONFIG_ARM64=y' "$conf" && [ "$(uname -m)" != aarch64 ]; then
	: "${CROSS_COMPILE:=aarch64-linux-gnu-}"
	command -v "${CROSS_COMPILE}gcc" >/dev/null ||
		fail "${CROSS_COMPILE}gcc is missing: the kernel in $kdir is for arm64"
	set -- ARCH=arm64 "CROSS_COMPILE=$CROSS_COMPILE" "$@"
fi

here=$(cd "$(dirname "$0")" && pwd)
# a package has the driver's files beside this one
driver=$here/../drivers/vfio/pci/hisilicon
[ -d "$driver" ] || driver=$here
mkdir -p "$out" && [ -w "$out" ] || fail "$out is not writable: set OUT to another directory"
out=$(cd "$out" && pwd)
[ "$here" != "$out" ] || exec make -C "$kdir" "M=$out" "$@" modules

copy() {
	cp "$driver"/*.c "$driver"/*.h "$driver"/Makefile "$here"/*.c "$here"/*.h "$here"/Kbuild "$1"
}

copy "$out"
case $out in
*[[:space:]:]*)
	# the kernel's build does not support such a path
	work=$(mktemp -d /tmp/hisi_acc_vfio_pci.XXXXXX)
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' HUP INT TERM
	copy "$work"
	make -C "$kdir" "M=$work" "$@" modules
	cp "$work"/hisi_acc_vfio_pci.ko "$out"
	;;
*)
	exec make -C "$kdir" "M=$out" "$@" modules
	;;
esac
