# SPDX-License-Identifier: GPL-2.0
"""Classic bugs of migration drivers, as patches on the sample for QEMU's edu device: the test that each
patch of tests/mutants/edu names must fail."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.core import hardware, paths, versions
from lab.build import kernel, kselftest, sources
from lab.probe.conformance import OWN, PROGRAMS, only
from lab.scenario import watch
from lab.scenario.config import HostConfig

MUTANTS = sorted((paths.LAB / "tests/mutants/edu").glob("*.patch"))
EDU = hardware.OTHERS["edu"]
SWITCH = """
if [ -d /sys/module/{driver} ]; then rmmod {driver}; else modprobe vfio-pci && modprobe iommufd; fi
insmod /lab/{name}.ko && echo {driver} > /sys/bus/pci/devices/{pf}/driver_override && echo {pf} > /sys/bus/pci/drivers_probe
"""


def named(patch: Path) -> tuple[str, str]:
    """The test that must fail on a mutant, and its program."""
    (test,) = re.findall(r"^Test: (\w+)$", patch.read_text(encoding="utf-8"), re.M)
    (program,) = [name for name in (*PROGRAMS, *OWN.values())
                  if re.search(rf"^TEST_F\(\w+, {test}\)$", (kselftest.TREE / f"{name}.c").read_text(encoding="utf-8"), re.M)]
    return test, program


@pytest.mark.parametrize("patch", MUTANTS, ids=lambda patch: patch.stem)
def test_bugs_name_a_test(patch):
    """Each patch must say in a sentence what is wrong, and name a test that there is."""
    sentence = patch.read_text(encoding="utf-8").split("\n\n")[1]
    assert sentence.endswith(".") and "\n" not in sentence
    assert named(patch)[1]


@pytest.mark.long("builds a driver for each bug")
def test_each_bug_fails_its_test(new_session, context):
    """Each bug must fail the test that its patch names, which the sample itself passes."""
    built = kernel.kernel(versions.DEFAULT, context)
    modules = {patch.stem: sources.built(sources.EDU, built, context, [patch]) for patch in MUTANTS}
    modules["none"] = sources.built(sources.EDU, built, context)
    push = kselftest.files(kselftest.installed(context)) | {f"/lab/{name}.ko": module for name, module in modules.items()}
    session = new_session()
    # it is bound to each of them in turn
    (host,) = session.boot([session.spec("host", HostConfig(driver="in-tree", engines=("edu",), push=push))])

    def verdicts(name: str, test: str, program: str) -> list[str]:
        host.ssh.run(SWITCH.format(driver=EDU.variant, name=name, pf=EDU.pf))
        mode = only("iommufd") if program in PROGRAMS else ""
        text = host.ssh.run(f"{kselftest.REMOTE}/vfio/{program} {mode} -t {test} {EDU.pf} 2>&1", timeout=400, check=False).stdout
        return re.findall(rf"^((?:not )?ok) \d+ \S+\.{test}\b", text, re.M)

    tests = {patch.stem: named(patch) for patch in MUTANTS}
    wrong = {f"none: {test}" for test, program in sorted(set(tests.values())) if verdicts("none", test, program) != ["ok"]}
    assert host.unexpected() == []
    wrong |= {name for name, (test, program) in tests.items() if verdicts(name, test, program) != ["not ok"]}
    assert wrong == set()
    watch.expect(".", maybe=True)       # bugs may also cause messages
