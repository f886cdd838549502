# SPDX-License-Identifier: GPL-2.0
"""The kernel's selftests of VFIO with ours, on our driver, on mainline's, and on
the kernel's sample mtty, which keeps the generic test honest."""

import re
import subprocess

import pytest

from lab import accelerator, kernel, kselftest, mtty
from lab.session import Choice

MODES = ("iommufd", "vfio_type1_iommu", "vfio_type1v2_iommu", "iommufd_compat_type1", "iommufd_compat_type1v2")
GENERIC = "vfio_pci_migration_test"
SECONDS = 500


def host_with(boot, context, driver: str, version: str = "7.2", vfs: int = 2, engine: str = "sec", more=None):
    """A host with the installed selftests, and its functions, bound."""
    push = kselftest.files(kselftest.installed(context)) | (more or {})
    host = boot(Choice(kernel=version, driver=driver, engines=(engine,), vfs=vfs, push=push))
    functions = accelerator.functions(host.ssh, accelerator.ENGINES[engine])
    accelerator.bind(host.ssh, functions, accelerator.VARIANT_DRIVER)
    return host, functions


def only(mode: str) -> str:
    """Options of the harness that leave one mode."""
    return " ".join(f"-V {other}" for other in MODES if other != mode)


def side_by_side(host, commands: dict[str, str]) -> dict[str, str]:
    """Run lines of shell at once; what each said."""
    started = {name: host.ssh.popen(f"cd {kselftest.REMOTE}/vfio; {line} 2>&1", stdout=subprocess.PIPE)
               for name, line in commands.items()}
    return {name: process.communicate(timeout=SECONDS)[0].decode(errors="replace")
            for name, process in started.items()}


def verdicts(text: str) -> dict[str, str]:
    """Of each test of a harness: ok, not ok or SKIP.  All that were planned are there."""
    found = {name: "SKIP" if "# SKIP" in rest else verdict for verdict, name, rest in
             re.findall(r"^(?:# )*((?:not )?ok) \d+ (?:\w+\.)+(\w+)(.*)$", text, re.M)}
    planned = re.search(r"^(?:# )*1\.\.(\d+)$(?!\n(?:# )*timeout set)", text, re.M)
    assert planned and len(found) == int(planned[1]) > 0, text
    return found


def expected(name: str) -> dict[str, str]:
    """The list beside the test of what a driver fails, with why."""
    text = (kselftest.OURS / f"{GENERIC}.{name}").read_text(encoding="utf-8")
    return dict(re.findall(r"^(!?\w+): (.+)$", text, re.M))


def failed(text: str) -> set[str]:
    """What a run of the generic test found."""
    return {name for name, verdict in verdicts(text).items() if verdict == "not ok"}


def test_our_driver_passes(boot, context):
    """In every mode of libvfio at once, each on a function of its own; one of them
    started by the kernel's own script.  Beside them requests that travel from one
    function to another, and the kernel's own test of drivers: it finds the
    accelerator's, and the device copies and interrupts for it."""
    host, functions = host_with(boot, context, "ours", vfs=len(MODES) + 3)
    lines = {mode: f"./{GENERIC} {only(mode)} {function}" for mode, function in zip(MODES, functions)}
    lines["iommufd"] = (f"KSELFTEST_VFIO_PCI_MIGRATION_TEST_ARGS='{only('iommufd')} {functions[0]}' "
                        f"../run_kselftest.sh -t vfio:{GENERIC}")
    lines["driver"] = f"./vfio_pci_driver_test {only('iommufd')} -t memcpy_success -t mix_and_match {functions[-1]}"
    lines["requests"] = f"./vfio_pci_hisi_acc_test {only('iommufd')} {functions[-3]} {functions[-2]}"
    said = side_by_side(host, lines)
    assert re.search(rf"^ok 1 selftests: vfio: {GENERIC}$", said["iommufd"], re.M), said["iommufd"]
    for name, text in said.items():
        found = verdicts(text.split("timeout set to")[-1])
        assert set(found.values()) == {"ok"}, f"{name}: {text}"
        assert len(found) >= {"driver": 2, "requests": 5}.get(name, 50)
    assert host.trouble() == []


@pytest.mark.parametrize("version", kernel.VERSIONS)
def test_mtty_fails_what_its_list_says(boot, context, request, version):
    """And nothing else: a check that is wrong would fail on it, too."""
    if version != "7.2" and not request.config.getoption("--long"):
        pytest.skip("--long runs it on the older kernel, too")
    wanted = expected("mtty")
    host = boot(Choice(kernel=version, driver="none", vfs=0,
                       push=kselftest.files(kselftest.installed(context))
                       | mtty.files(kernel.kernel(version, context), context)))
    devices = mtty.create(host.ssh, len(MODES))
    apart = [name[1:] for name in wanted if name.startswith("!")]
    skip = " ".join(f"-T {name}" for name in apart)
    said = side_by_side(host, {mode: f"./{GENERIC} {skip} {only(mode)} {device}"
                               for mode, device in zip(MODES, devices)})
    for mode, text in said.items():
        assert failed(text) == {name for name in wanted if not name.startswith("!")}, f"{mode}: {text}"
    assert host.trouble() == []


def test_mainline_fails_what_its_list_says(boot, context):
    """What the kernel's own driver gets wrong, seen by a test that knows nothing of
    the device."""
    host, functions = host_with(boot, context, "mainline")
    wanted = expected("hisi_acc_mainline")
    skip = " ".join(f"-T {name[1:]}" for name in wanted if name.startswith("!"))
    text = side_by_side(host, {"it": f"./{GENERIC} {skip} {only('iommufd')} {functions[0]}"})["it"]
    assert failed(text) == {name for name in wanted if not name.startswith("!")}, text


def test_what_is_missing_skips_the_test(boot, context):
    """No device, no driver, no migration: each said in a line, and exit status 4."""
    host = boot(Choice(driver="none", push=kselftest.files(kselftest.installed(context))))
    function = accelerator.functions(host.ssh, accelerator.ENGINES["sec"])[0]

    def said(arguments: str) -> str:
        done = host.ssh.run(f"{kselftest.REMOTE}/vfio/{GENERIC} {arguments} 2>&1", check=False)
        assert done.returncode == 4, done.stdout
        return done.stdout

    assert "Unable to determine which device" in said("")
    assert "there is no device /nowhere" in said("/nowhere")
    assert "is not bound to a VFIO driver" in said(function)
    accelerator.bind(host.ssh, [function], "vfio-pci")
    assert "its driver offers no migration" in said(function)
