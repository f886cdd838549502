# SPDX-License-Identifier: GPL-2.0
# Short names for commands of tools/testing/vfio_lab/vlab.

VLAB	:= tools/testing/vfio_lab/vlab
SUDO	:= $(if $(filter 0,$(shell id -u)),,sudo)
OUT	:= build/module

.PHONY: help
help:	## show this
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: python	## live-migrate a VM with an accelerator between two emulated hosts
	@$(VLAB) demo

.PHONY: check
check: python	## run the tests of ten minutes; the last line says how many passed and failed
	@$(VLAB) check --quick

.PHONY: ci
ci: python	## run the tests of an hour, before a change is sent
	@$(VLAB) check

.PHONY: check-all
check-all: python	## run every test, also those that take long; continues where it was interrupted
	@$(VLAB) check --all

.PHONY: bench
bench: python	## compare this driver with the in-tree driver
	@$(VLAB) bench

.PHONY: check-asan
check-asan: python	## run the tests on an outer QEMU that ends at its first memory error, leak or undefined result
	@$(VLAB) check --asan

.PHONY: static
static: python	## static checks and builds by other compilers
	@$(VLAB) check -- test_static.py test_driver_build.py test_kunit.py

.PHONY: sanitize
sanitize: python	## test the driver with KASAN, lockdep and KCSAN, and with 64K pages
	@$(VLAB) check -- --long test_sanitize.py

.PHONY: coverage
coverage: python	## line coverage of the driver by its tests, into build/check/coverage.txt
	@$(VLAB) check -- --long test_coverage.py

.PHONY: mutants
mutants: python	## mutation tests: drivers with one part missing or wrong must fail a test
	@$(VLAB) check -- --long test_mutants.py test_lab_mutants.py test_migration.py -k 'fail or caught'

.PHONY: fuzz
fuzz: python	## fuzz migration data and the device API
	@$(VLAB) fuzz

.PHONY: module
module:	## build the driver for a kernel: make module KDIR=/lib/modules/.../build
	@dkms/build.sh "$(KDIR)" "$(OUT)"

.PHONY: docs
docs: python	## build the documentation as HTML, into build/docs
	@$(VLAB) docs

.PHONY: deb
deb: python	## build the driver's DKMS package and the lab's, into build/deb
	@$(VLAB) deb

.PHONY: series
series: python	## make patches for a tree: make series BASE=.../linux-7.3 [WHAT=selftests|fixes|smmu|qemu-httu]
	@[ -n "$(BASE)" ] || { echo "BASE is not set: it must be a kernel tree, such as linux-7.3 or linux-7.2" >&2; exit 2; }
	@$(VLAB) series $(if $(WHAT),--what "$(WHAT)") "$(BASE)"

.PHONY: clean
clean:	## remove what was built here; "vlab clean" empties the lab's cache
	rm -rf build

# The lab is written in Python and installs everything else itself
.PHONY: python
python:
	@[ -x /usr/bin/python3 ] || { $(SUDO) apt-get update && \
		$(SUDO) apt-get install -y --no-remove --no-install-recommends python3; } || \
		{ echo "vlab needs Debian's python3, and it could not be installed" >&2; exit 1; }
