# SPDX-License-Identifier: GPL-2.0
"""The VFIO selftests on this driver, on the in-tree driver, and on the sample driver mtty, which
verifies the generic tests."""

import re
import subprocess

import pytest

from lab.core import hardware, versions
from lab.build import kernel, kselftest, mtty_modules
from lab.probe import fuzz
from lab.probe.conformance import MODES, PROGRAMS as GENERIC, only
from lab.scenario import accelerator, mtty, watch
from lab.scenario import expected as lists
from lab.scenario.config import HostConfig

#: programs for two VFs of an accelerator, without arguments the fuzzers and the benchmark are short
OF_PAIRS = ["vfio_pci_hisi_acc_test", "hisi_acc_migration_states_test", "acc_ops_fuzz", "acc_data_fuzz",
            "acc_migration_bench"]
SECONDS = 500


def host_with(boot, context, driver: str, version: str = versions.DEFAULT, vfs: int = 2, engine: str = "sec", more=None):
    """A host with the installed selftests and its VFs, bound."""
    push = kselftest.files(kselftest.installed(context)) | (more or {})
    host = boot(HostConfig(kernel=version, driver=driver, engines=(engine,), vfs=vfs, push=push))
    addresses = accelerator.vfs(host.ssh, hardware.ENGINES[engine])
    accelerator.bind(host.ssh, addresses, hardware.VARIANT_DRIVER)
    return host, addresses


def side_by_side(host, commands: dict[str, str]) -> dict[str, str]:
    """Run shell commands in parallel; returns each one's output."""
    started = {name: host.ssh.popen(f"cd {kselftest.REMOTE}/vfio; {line} 2>&1", stdout=subprocess.PIPE)
               for name, line in commands.items()}
    return {name: process.communicate(timeout=SECONDS)[0].decode(errors="replace")
            for name, process in started.items()}


def verdicts(text: str) -> dict[str, str]:
    """Result of each test of one or more programs: ok, not ok or SKIP. All planned tests must be there."""
    found = {name: "SKIP" if "# SKIP" in rest else verdict for verdict, name, rest in
             re.findall(r"^(?:# )*((?:not )?ok) \d+ (?:\w+\.)+(\w+)(.*)$", text, re.M)}
    planned = re.findall(r"^(?:# )*1\.\.(\d+)$(?!\n(?:# )*timeout set)", text, re.M)
    assert len(found) == sum(map(int, planned)) > 0, text
    return found


def expected(name: str) -> dict[str, str]:
    """The tests that a driver is expected to fail, from its list, and how."""
    return lists.failed(lists.EXPECTED / f"vfio_pci_migration_tests.{name}")


def failed(text: str) -> set[str]:
    """The failed tests of a run."""
    return {name for name, verdict in verdicts(text).items() if verdict == "not ok"}


def test_this_driver_passes(boot, context, request):
    """This driver must pass every test in every mode of libvfio, in parallel, each on a VF of its
    own, one started by the kernel's own script. At the same time: migrations from one VF to
    another, and the kernel's test of drivers, where the accelerator copies memory and raises
    interrupts."""
    host, vfs = host_with(boot, context, "tree", vfs=len(MODES) + 3)
    lines = {mode: generic(f"{only(mode)} {vf}") for mode, vf in zip(MODES, vfs)}
    lines["iommufd"] = (" ".join(f"KSELFTEST_{test.upper()}_ARGS='{only('iommufd')} {vfs[0]}'" for test in GENERIC)
                        + " ../run_kselftest.sh " + " ".join(f"-t vfio:{test}" for test in GENERIC))
    # Not the last VF: it may have the remaining queues
    lines["pair"] = (f"VFIO_SELFTESTS_BDF={vfs[-3]} VFIO_SELFTESTS_DESTINATION={vfs[-2]} "
                     f"KSELFTEST_VFIO_PCI_HISI_ACC_TEST_ARGS='{only('iommufd')}' "
                     "../run_kselftest.sh " + " ".join(f"-t vfio:{program}" for program in OF_PAIRS))
    said = side_by_side(host, lines)
    watch.expect(fuzz.PROVOKED)
    assert host.unexpected() == []
    # and the device reads unmapped memory, which the SMMU reports; otherwise the PF's driver would
    # reset the device for it
    host.set_model("sec", "ras", "off")
    watch.expect(r"arm-smmu-v3 ", r"counted \d+ times: dma-fault")
    # It maps 1 GiB for each test, which uses CPU time: alone, and one of seven
    more = "" if request.config.getoption("--long") else "-t mix_and_match"
    said |= side_by_side(host, {"driver": f"./vfio_pci_driver_test {only('iommufd')} {more} {vfs[-1]}"})
    for name, programs in ("iommufd", [*GENERIC]), ("pair", OF_PAIRS):
        assert sorted(re.findall(r"^ok \d+ selftests: vfio: (\w+)$", said[name], re.M)) == sorted(programs), said[name]
    for name, text in said.items():
        found = verdicts(text)
        assert set(found.values()) == {"ok"}, f"{name}: {text}"
        assert len(found) >= {"driver": 1, "pair": 11}.get(name, 50)


def generic(arguments: str) -> str:
    """The command that runs the tests for any device."""
    return f"for test in {' '.join(GENERIC)}; do ./$test {arguments}; done"


def survivable(driver: str, mode: str, device: str) -> str:
    """The same for another driver, without the tests that its list marks as hanging or crashing the kernel."""
    skip = " ".join(f"-T {name}" for name, how in expected(driver).items() if how == "hangs")
    return generic(f"{skip} {only(mode)} {device}")


def judge(driver: str, mode: str, text: str) -> None:
    """Exactly the tests of the list must fail."""
    assert failed(text) == {name for name, how in expected(driver).items() if how == "fails"}, f"{driver}, {mode}: {text}"


def skips(host, vf: str) -> None:
    """No device, no driver, no migration, or another device: each must give one line and exit status 4."""
    for arguments, why in (("", "Unable to determine which device"), ("/nowhere", "there is no device /nowhere"),
                           (vf, "is not bound to a VFIO driver")):
        done = host.ssh.run(f"{kselftest.REMOTE}/vfio/{GENERIC[0]} {arguments} 2>&1", check=False)
        assert done.returncode == 4 and why in done.stdout, done.stdout
    accelerator.bind(host.ssh, [vf], "vfio-pci")
    done = host.ssh.run(f"{kselftest.REMOTE}/vfio/{GENERIC[0]} {vf} 2>&1", check=False)
    assert done.returncode == 4 and "its driver offers no migration" in done.stdout, done.stdout
    # of the sample: it writes to registers of one device
    done = host.ssh.run(f"{kselftest.REMOTE}/vfio/edu_migration_test {vf} 2>&1", check=False)
    assert done.returncode == 4 and "is not QEMU's edu device" in done.stdout, done.stdout


# the in-tree driver logs some of the migration data that it rejects
@pytest.mark.slow("other drivers")
@pytest.mark.expect(r"hisi_acc_vfio_pci \S+ ")
def test_other_drivers_fail_what_their_lists_have(boot, context):
    """mtty in each mode, and the in-tree driver, must fail exactly what their lists say. A wrong
    check fails on mtty."""
    built = kernel.kernel(versions.DEFAULT, context)
    host, vfs = host_with(boot, context, "in-tree", more=mtty_modules.files(built, context))
    devices = dict(zip(MODES, mtty.create(host.ssh, len(MODES))))
    lines = {mode: survivable("mtty", mode, device) for mode, device in devices.items()}
    said = side_by_side(host, lines | {"in-tree": survivable("in-tree", "iommufd", vfs[0])})
    judge("in-tree", "iommufd", said.pop("in-tree"))
    for mode, text in said.items():
        judge("mtty", mode, text)
    host.ssh.run(f"echo {vfs[1]} > /sys/bus/pci/drivers/hisi_acc_vfio_pci/unbind")
    skips(host, vfs[1])


@pytest.mark.long("the same on the older kernel")
def test_the_older_kernel(boot, context):
    """This driver and mtty on the oldest series, which has no VFIO_MIGRATION_PRECOPY_INFO v2."""
    built = kernel.kernel(versions.LTS, context)
    host, vfs = host_with(boot, context, "tree", version=versions.LTS, more=mtty_modules.files(built, context))
    device = mtty.create(host.ssh, 1)[0]
    said = side_by_side(host, {"tree": generic(f"{only('iommufd')} {vfs[0]}"),
                               "mtty": survivable("mtty", "vfio_type1_iommu", device)})
    assert failed(said["tree"]) == set(), said["tree"]
    judge("mtty", versions.LTS, said["mtty"])


@pytest.mark.long("builds the kernel that it needs")
# an injected failure logs a stack trace, too
@pytest.mark.expect("Call trace")
def test_calls_in_which_something_fails(boot, context):
    """On a debug kernel with fault injection, each allocation and each copy failing once must not
    cause a report."""
    host, vfs = host_with(boot, context, "tree", version=kernel.flavoured("debug"))
    text = side_by_side(host, {"it": f"./vfio_pci_migration_fail_nth {only('iommufd')} {vfs[0]}"})["it"]
    assert set(verdicts(text).values()) == {"ok"}, text
