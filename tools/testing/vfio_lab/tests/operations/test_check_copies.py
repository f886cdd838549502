# SPDX-License-Identifier: GPL-2.0
"""hisi-acc-check on copies of a server's files, compiled with sanitizers for this machine: what no lab host
can be, its JSON and that of another host, wrong arguments. test_check.py runs it on hosts."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import check
from check import CANNOT_TELL, CANNOT, WRONG_USE, Copy
from lab.core import hardware, paths
from lab.core.guide import GUIDE, blocks

VF, PF = hardware.ENGINES["sec"].vf(0), hardware.ENGINES["sec"].pf
OTHER = "0000:00:01.0"
#: documents that a remedy can name
PAGES = {page.name for page in GUIDE.glob("*.rst")}
ABSTRACTION = "etc/apparmor.d/abstractions/libvirt-qemu"
FUZZ_TIMES = 600
#: of a release that JSON has to escape and a terminal must not get
STRANGE = '1"\\\t\x1b[31m'


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    return check.for_this_machine(tmp_path_factory.mktemp("program"))


@pytest.fixture
def copy(tmp_path) -> Copy:
    """Of a server on which nothing is wrong."""
    return Copy(tmp_path / "root")


def test_a_copy_has_nothing_wrong_but_what_only_a_running_host_has(program, copy):
    """For a server on which all is well the report must have no "no", and for its copy it must not be "ok"."""
    report = copy.report(program)
    assert report.exit == CANNOT_TELL and report.noes() == report.noes(VF) == set()
    unknown = {c["check"] for part in (report.json["host"], report.json["vfs"][0]) for c in part["checks"]
               if c["status"] == "unknown"}
    assert unknown == {"qemu", "in-use", "dirty-tracking", "match-data", "qemu-default"}


def group_of_two(copy: Copy) -> None:
    copy.write(f"sys/kernel/iommu_groups/0/devices/{OTHER}", "")


def no_iommu(copy: Copy) -> None:
    copy.remove(f"{copy.place(VF)}/iommu")
    copy.remove(f"{copy.place(VF)}/iommu_group")


def no_sriov(copy: Copy) -> None:
    shutil.rmtree(copy.root / copy.place(VF))
    copy.remove(f"{copy.place(PF)}/sriov_totalvfs")


def no_qemu(copy: Copy) -> None:
    copy.remove("usr/bin/qemu-system-aarch64")


def without_migration(copy: Copy) -> None:
    """As the VFIO core has it of a VF that this driver found not to be one that can be migrated."""
    shutil.rmtree(copy.root / f"sys/kernel/debug/vfio/{VF}/migration")


def no_cdev(copy: Copy) -> None:
    copy.remove(f"{copy.place(VF)}/vfio-dev/vfio0/dev")


def not_loaded(copy: Copy) -> None:
    shutil.rmtree(copy.root / "sys/module/hisi_acc_vfio_pci")
    copy.bind(VF, "")


#: what is wrong with a server: how, the VF or the host that the line is of, its name, words of it
NOES: dict[str, tuple[Callable[[Copy], object], str, str, str]] = {
    "another-machine": (lambda copy: copy.write("proc/sys/kernel/arch", "x86_64"), "", "kernel", "for x86_64"),
    "an-option": (lambda copy: copy.options("CONFIG_IOMMUFD"), "", "options", "configured without CONFIG_IOMMUFD"),
    "no-iommufd": (lambda copy: copy.remove("dev/iommu"), "", "iommufd", "iommufd is not loaded"),
    "no-qemu": (no_qemu, "", "qemu", "no qemu-system-aarch64"),
    "no-sriov": (no_sriov, "", "vfs", "has no SR-IOV"),
    "no-vfs": (lambda copy: shutil.rmtree(copy.root / copy.place(VF)), "", "vfs", "no VF was created"),
    "no-accelerator": (lambda copy: shutil.rmtree(copy.root / "sys/bus/pci/devices"), "", "vfs", "has no accelerator"),
    "no-driver": (not_loaded, VF, "driver", "is not bound to a driver"),
    "vfio-pci": (lambda copy: copy.bind(VF, "vfio-pci"), VF, "driver", "bound to plain vfio-pci"),
    "stock": (lambda copy: copy.bind(VF, "hisi_sec2"), VF, "driver", "bound to hisi_sec2"),
    "in-a-guest": (lambda copy: copy.remove(f"{copy.place(VF)}/physfn"), VF, "pf-driver", "no migration: not an SR-IOV VF"),
    "pf-vfio": (lambda copy: copy.bind(PF, "vfio-pci"), VF, "pf-driver", f"no migration: {PF} is not bound to its SEC driver"),
    "pf-unbound": (lambda copy: copy.bind(PF, ""), VF, "pf-driver", f"no migration: {PF} is not bound to its SEC driver"),
    "version-2": (lambda copy: copy.write(f"{copy.place(PF)}/revision", "0x21"), VF, "hardware",
                  "no migration: hardware version 0x21 does not support it"),
    "no-bar": (lambda copy: copy.write(f"{copy.place(VF)}/resource", "0x0 0x0 0x0\n" * 6), VF, "bar",
               "no migration: its BAR is too small"),
    "no-iommu": (no_iommu, VF, "iommu", "behind no IOMMU"),
    "group-of-two": (group_of_two, VF, "iommu", "group 0 has 2 devices"),
    "no-cdev": (no_cdev, VF, "cdev", "has no character device"),
    "no-migration": (without_migration, VF, "migration", "does not support migration"),
}


@pytest.mark.parametrize("name", NOES)
def test_each_no_has_a_reason_and_a_remedy(program, copy, name):
    """One thing that is wrong must be reported as such, with its reason and what to do, and the result must
    be "no"."""
    change, part, line, words = NOES[name]
    change(copy)
    report = copy.report(program)
    found = report.check(line, part)
    assert report.exit == CANNOT and found["status"] == "no" and words in found["reason"] and found["remedy"], found
    # what follows from it is QEMU's answer
    assert report.noes(part) <= {line, "qemu-default"}
    assert report.noes(VF if not part and report.json["vfs"] else "") <= {line, "qemu-default"}
    text = check.run(program, "--root", copy.root).stdout
    assert f"  no       {line}: {found['reason']}\n             {found['remedy']}\n" in text
    assert text.endswith("no: cannot migrate with QEMU's defaults\n")


def test_pages_of_64_kib_share_registers(program, copy):
    """With pages of 64 KiB, it must be "no" if the driver offers no migration, and not if it does."""
    copy.page_size(64)
    assert copy.report(program).check("bar", VF)["status"] == "ok"
    without_migration(copy)
    found = copy.report(program).check("bar", VF)
    assert found["status"] == "no"
    assert found["reason"] == "no migration: its registers share a page of 64 KiB with the guest's"
    # debugfs is not mounted, or not for this user
    shutil.rmtree(copy.root / "sys/kernel/debug")
    assert copy.report(program).check("bar", VF)["status"] == "unknown"


def test_an_older_kernel_does_not_name_features(program, copy):
    """Linux 6.12 has no file of the features of a VF that can be migrated: then it must be "unknown", and no "no"."""
    copy.remove(f"sys/kernel/debug/vfio/{VF}/migration/features")
    copy.write(f"sys/kernel/debug/vfio/{VF}/migration/state", "RUNNING")
    report = copy.report(program)
    assert report.check("migration", VF)["status"] == "unknown" and report.noes(VF) == set()


def test_the_in_tree_driver_is_recognized(program, copy):
    """The in-tree driver must be named, with its lack of P2P, which is no "no" for a guest with one VF."""
    copy.write("proc/kallsyms", "0000000000000000 t hisi_acc_vf_pci_init\t[hisi_acc_vfio_pci]\n")
    copy.write(f"sys/kernel/debug/vfio/{VF}/migration/features", "stop-copy\npre-copy")
    report = copy.report(program)
    assert "the in-tree driver" in report.check("driver", VF)["reason"]
    assert report.check("p2p", VF)["status"] == "no" and report.noes(VF) == set()
    # the module that is loaded is not the one that was installed
    assert "unload it" in report.check("module")["remedy"]


ALLOWED = blocks("none", "libvirt")["apparmor"].splitlines()


@pytest.mark.parametrize("change, status", [
    (lambda line: line, "ok"), (lambda line: f"# {line}", "no"),
    *((lambda line, missing=missing: "" if line == missing else line, "no") for missing in ALLOWED)],
    ids=["all", "comments", *(f"without {line.partition(' ')[0]}" for line in ALLOWED)])
def test_apparmor(program, copy, change, status):
    """Where AppArmor confines libvirt's QEMUs, its profile must allow what iommufd needs: the guide's lines."""
    copy.write("sys/module/apparmor/parameters/enabled", "Y")
    copy.program("usr/sbin/libvirtd")
    copy.write(ABSTRACTION, "".join(f"  {change(line)}\n" for line in ALLOWED))
    found = copy.report(program).check("apparmor")
    assert found["status"] == status and "/dev/vfio/devices" in found["reason"]


@pytest.mark.parametrize("arguments, words", [
    (["sec"], "sec is not a PCI address"), (["0000:00:08"], "is not a PCI address"), ([VF, "0000:00:08.8"], "is not a PCI address"),
    (["0000:00:08.1x"], "is not a PCI address"), ([""], "is not a PCI address"), (["--peer"], "requires an argument"),
    (["--frobnicate"], "unrecognized option"), (["--peer", "/nonexistent"], "No such file"), (["--peer", "/"], "Is a directory")])
def test_wrong_arguments(program, arguments, words):
    """Wrong arguments must be refused, with one line that names the argument."""
    done = check.run(program, *arguments)
    assert done.returncode == WRONG_USE and words in done.stderr.splitlines()[0] and done.stdout == ""


@pytest.mark.parametrize("address, words", [
    ("0000:00:09.0", "there is no PCI device 0000:00:09.0"), (PF, "not an SR-IOV VF; it is the PF of a SEC"),
    (OTHER, "it is not an accelerator")])
def test_addresses_of_other_devices(program, copy, address, words):
    """An address of no VF must be a "no" of that VF, beside the report of others."""
    copy.write(f"{copy.place(OTHER)}/vendor", "0x1af4")
    copy.write(f"{copy.place(OTHER)}/device", "0x1041")
    report = copy.report(program, VF, address)
    assert report.exit == CANNOT and report.noes(address) == {"device"} and report.noes(VF) == set()
    assert words in report.check("device", address)["reason"]


def test_all_vfs_are_reported_in_order(program, tmp_path):
    """Without arguments all VFs must be in the report, else those that are named."""
    copy = Copy(tmp_path / "root", 5)
    assert [vf["address"] for vf in copy.report(program).json["vfs"]] == copy.vfs
    assert [vf["address"] for vf in copy.report(program, copy.vfs[3], copy.vfs[1]).json["vfs"]] == [copy.vfs[3], copy.vfs[1]]


def test_what_files_have_cannot_break_the_json(program, copy):
    """Names that are not ASCII or have quotes must be in the JSON as strings."""
    copy.write("proc/sys/kernel/osrelease", f"{STRANGE}\u00e9")
    report = copy.report(program)
    assert report.json["host"]["kernel"].startswith(STRANGE)
    # and no control characters on a terminal
    assert "\x1b" not in check.run(program, "--root", copy.root).stdout


# Another host's report


def known(report: dict) -> dict:
    """The report of a host on which all is well."""
    report["result"] = report["host"]["result"] = "ok"
    report["host"]["qemu"] = "10.0.13"
    for vf in report["vfs"]:
        vf["result"], vf["in_use"] = "ok", False
        vf["match"] |= {"queues": 64, "doorbell_isolation": 1, "hw_version": 0x30, "bar_layout": 1}
    return report


def of_peer(program: Path, copy: Copy, tmp_path: Path, report: dict | bytes | str):
    """The run with that report."""
    file = tmp_path / "peer.json"
    file.write_bytes(report if isinstance(report, bytes) else (report if isinstance(report, str) else json.dumps(report)).encode())
    return check.run(program, "--json", "--root", copy.root, "--peer", file)


def test_a_report_is_read_by_another_host(program, copy, tmp_path):
    """The program must read what it writes; what is not known of a VF must be named."""
    file = tmp_path / "here.json"
    file.write_text(check.run(program, "--json", "--root", copy.root).stdout)
    report = copy.report(program, "--peer", file)
    assert report.exit == CANNOT_TELL
    assert report.move(VF)["to"] == VF and "number of queues: not known" in report.move(VF)["reason"]
    assert {c["check"]: c["status"] for c in report.json["peer"]["checks"]} == {
        "kernels": "ok", "qemus": "unknown", "processors": "ok", "host": "unknown"}


@pytest.mark.parametrize("change, words", [
    (lambda r: r["vfs"].clear(), "has no VF of SEC"),
    (lambda r: r["vfs"][0]["match"].update(device_id=0xa259), "has no VF of SEC"),
    (lambda r: r["vfs"][0].update(result="no"), "the VF there: no"),
])
def test_the_other_host_has_no_vf_that_fits(program, copy, tmp_path, change, words):
    """Without a VF of the same kind that can be used there, a guest cannot move."""
    peer = known(copy.report(program).json)
    change(peer)
    report = check.as_report(of_peer(program, copy, tmp_path, peer))
    assert report.exit == CANNOT and words in report.move(VF)["reason"] and report.move(VF)["status"] == "no"


@pytest.mark.parametrize("kernel, to, qemu, status", [
    ("7.3.4", "7.3.9-custom", "10.0.13", "ok"), ("7.2.1", "7.3.4", "10.0.13", "ok"), ("7.3.4", "7.2.1", "10.0.13", "ok"),
    ("6.12.1", "7.3.4", "10.0.13", "no"), ("6.12.1", "7.3.4", "11.1.3", "ok"), ("7.3.4", "6.12.1", "11.1.3", "no"),
    ("6.6.1", "7.3.4", "11.1.3", "unknown"), ("6.12.1", "7.3.4", None, "unknown")])
def test_kernels(program, copy, tmp_path, kernel, to, qemu, status):
    """Between kernels a guest moves as limits.rst has it."""
    peer = known(copy.report(program).json)
    peer["host"] |= {"kernel": to, "qemu": qemu}
    copy.write("proc/sys/kernel/osrelease", kernel)
    report = check.as_report(of_peer(program, copy, tmp_path, peer))
    assert [c["status"] for c in report.json["peer"]["checks"] if c["check"] == "kernels"] == [status]


@pytest.mark.parametrize("there, status, words", [
    (check.PROCESSOR, "ok", f"of both is {check.PROCESSOR}"), ("0x00000000410fd0c0", "unknown", "here and 0x00000000410fd0c0 there"),
    (None, "unknown", "is not known")])
def test_processors(program, copy, tmp_path, there, status, words):
    """With another processor, or if that is not known, the report must be "unknown"."""
    peer = known(copy.report(program).json)
    peer["host"]["processor"] = there
    report = check.as_report(of_peer(program, copy, tmp_path, peer))
    assert [(c["status"], words in c["reason"]) for c in report.json["peer"]["checks"] if c["check"] == "processors"] == [(status, True)]


def text(**changed: object) -> str:
    return json.dumps({"format": "hisi-acc-check", "version": 1, "host": {"kernel": "1", "qemu": None, "processor": None, "result": "ok"},
                       "vfs": [], **changed})


MALFORMED = {
    "empty": ("", "no value"), "text": ("hello\n", "no value"), "array": ("[]", "not a report"), "string": ('"x"', "not a report"),
    "foreign": ('{"format": "lspci"}', "not a report"), "number": ('{"format": 3}', "not a report"),
    "unfinished": ('{"format": "hisi-acc-check", ', "a string is missing"), "trailing": (text() + "{}", "something follows"),
    "nul": (text() + "\0", "something follows"), "nul-inside": ('{"format": "hisi-acc-check\0"}', "not printable"),
    "newer": (text(version=2), "version 2 of the format is not supported, 1 is"), "no-version": (text(version=None), '"version"'),
    "version-as-text": (text(version="1"), '"version"'), "fraction": (text(version=1.0), "not an integer"),
    "exponent": ('{"version": 1e0}', "not an integer"), "negative": (text(version=-1), "no value"),
    "too-large": (text(version=1 << 32), "too large"), "leading-0": ('{"version": 01}', "begins with 0"),
    "twice": ('{"version": 1, "version": 1}', "two members"), "escape": ('{"a": "\\x"}', "wrong escape"),
    "unicode": ('{"a": "\\u12g4"}', "wrong escape"), "unfinished-escape": ('{"a": "\\', "does not end"),
    "unfinished-string": ('{"a": "b', "does not end"), "unfinished-object": ('{"a": 1', "a comma or a bracket"),
    "latin": ('{"a": "\u00e9"}', "not printable"), "control": ('{"a": "\x1b"}', "not printable"),
    "line": ('{\n\n"a": 1,\n"b" 2}', "line 4: a colon"), "comma": ('{"a": 1,}', "a string is missing"),
    "deep": ("[" * 9 + "]" * 9, "nested too deeply"), "very-deep": ("[" * 1000000, "nested too deeply"),
    "members": (json.dumps({str(n): n for n in range(65)}), "too many members"),
    "values": (json.dumps([0] * 70000), "too many values"), "large": (" " * (1 << 20) + "1", "larger than 1 MiB"),
    "no-vfs": (text(vfs=None), '"vfs"'), "no-host": (text(host=[]), '"host"'),
    "long-name": (text(host={"kernel": "7" * 64, "qemu": None, "result": "ok"}), '"kernel" is too long'),
    "result": (text(host={"kernel": "1", "qemu": None, "processor": None, "result": "maybe"}), "neither ok"),
    "vf": (text(vfs=[1]), '"address"'), "address": (text(vfs=[{"address": "\x1b"}]), "not a PCI address"),
    "no-match": (text(vfs=[{"address": VF, "in_use": None, "result": "ok"}]), '"match"'),
    "match": (text(vfs=[{"address": VF, "in_use": None, "result": "ok", "match": {"device_id": "1"}}]), '"device_id"'),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_report_is_refused(program, copy, tmp_path, name):
    """What is no report of this program must be refused, with one line that names what is wrong."""
    content, words = MALFORMED[name]
    done = of_peer(program, copy, tmp_path, content)
    assert done.returncode == WRONG_USE and done.stdout == "" and done.stderr.count("\n") == 1 and words in done.stderr, done
    assert done.stderr[:-1].isprintable()


def test_members_that_are_not_known_are_ignored(program, copy, tmp_path):
    """A later program may write more members in the same version of the format."""
    peer = known(copy.report(program).json)
    peer["more"], peer["host"]["cpu"], peer["vfs"][0]["match"]["speed"] = [{"a": None}], True, 12
    assert check.as_report(of_peer(program, copy, tmp_path, peer)).move(VF)["to"] == VF


def test_mutated_reports_are_refused_or_read(program, copy, tmp_path):
    """Truncated and mutated reports must not crash the program, and must be refused with a line or read."""
    whole = check.run(program, "--json", "--root", copy.root).stdout.encode()
    rng, statuses = random.Random(20261201), set()
    for number in range(FUZZ_TIMES):
        data = bytearray(whole)
        if number % 3 == 0:
            del data[rng.randrange(len(data)):]
        for _ in range(rng.randrange(number % 3, 6)):
            at = rng.randrange(len(data) or 1)
            data[at:at + rng.randrange(3)] = bytes(rng.choice(b'{}[]",:\\0129eE.-nul\x00\xff \n') for _ in range(rng.randrange(4)))
        done = of_peer(program, copy, tmp_path, bytes(data))
        statuses.add(done.returncode)
        assert done.returncode in (CANNOT, WRONG_USE, CANNOT_TELL) and done.stderr.count("\n") == (done.returncode == WRONG_USE), (
            number, done.stderr)
    assert {WRONG_USE, CANNOT_TELL} <= statuses


# What the man page and the guide say


def members(value: object, path: str = "") -> set[str]:
    """The members of a report, by their paths."""
    if isinstance(value, dict):
        return set().union(*({f"{path}{name}"} | members(part, f"{path}{name}.") for name, part in value.items()))
    return set().union(*(members(part, path) for part in value)) if isinstance(value, list) else set()


def test_the_man_page_has_all_of_the_format(program, copy, tmp_path):
    """The man page must have each member of the JSON and each name of a line; no member may be missing from a
    report."""
    report = check.as_report(of_peer(program, copy, tmp_path, known(copy.report(program).json))).json
    page = (check.SOURCES / "hisi-acc-check.8").read_text(encoding="utf-8").replace("\\-", "-")
    documented = set(re.findall(r"^\.B ([a-z0-9_.]+)$", page.partition(".SH FORMAT")[2].partition(".SH EXIT")[0], re.M))
    assert documented == members(report)
    sources = "".join(file.read_text(encoding="utf-8") for file in check.SOURCES.glob("*.c"))
    lines = set(re.findall(r'checks_add\(checks, "([a-z0-9-]+)"', sources))
    assert lines == set(re.findall(r"^\.TP\n\.B ([a-z0-9-]+)$", page.partition(".SH LINES")[2].partition(".SH ")[0], re.M))


def test_remedies_name_pages_that_exist():
    """A page that a line names must be one of the guide's."""
    sources = "".join(file.read_text(encoding="utf-8") for file in check.SOURCES.glob("*.c"))
    named = set(re.findall(r"\b([a-z-]+\.rst)\b", sources))
    assert named and named <= PAGES


def test_words_are_those_of_the_guide():
    """A reason that the driver or QEMU gives must be in their words, which messages.rst has."""
    page = " ".join((GUIDE / "messages.rst").read_text(encoding="utf-8").split())
    sources = "".join(file.read_text(encoding="utf-8") for file in check.SOURCES.glob("*.c"))
    quoted = set(re.findall(r'"(no migration: [^";]+|VFIO [a-z][^"]+)["; ]', sources))
    assert len(quoted) >= 6
    plain = [re.sub(r"0?x?%\w+", "*", sentence).strip() for sentence in quoted]
    assert [s for s in plain if s.replace("for its * driver", "") not in page and re.sub(r"its \* driver", "its SEC driver", s) not in page] == []


def test_it_is_built_without_warnings_and_installed(tmp_path):
    """make install must install the program and its page, without a warning of the compiler."""
    done = os.popen(f"make -C {check.SOURCES} TARGET={tmp_path}/hisi-acc-check CFLAGS='-O2 -Werror' install DESTDIR={tmp_path}/to 2>&1")
    said = done.read()
    assert done.close() is None, said
    assert (tmp_path / "to/usr/sbin/hisi-acc-check").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "to/usr/share/man/man8/hisi-acc-check.8").is_file() and paths.ROOT.is_dir()
