# SPDX-License-Identifier: GPL-2.0
"""The Debian packages: lintian reports nothing; DKMS builds from the driver's for each kernel,
modprobe prefers the result to the in-tree driver, other kernels are skipped; the lab's is installed
and removed, runs without the clone, and installs nothing itself."""

from __future__ import annotations

import fcntl
import gzip
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from lab.core import machine as this_machine, paths
from lab.core.guide import blocks
from lab.build import kernel_tree
from lab.build.kernel import kernel
from lab.release import deb
from debs import DRIVER, FIRST, LAB, SECOND, as_newer, field, names
from kernels import EACH

pytestmark = pytest.mark.slow("builds the packages")

NAME = ("-m", "hisi-acc-vfio-pci", "-v", FIRST)
#: commands of the guide
DO = blocks("sh", "packages")


@pytest.fixture(scope="module")
def built(context, tmp_path_factory) -> dict[str, pathlib.Path]:
    """The packages, by name."""
    found = {field(package, "Package"): package for package in deb.build(tmp_path_factory.mktemp("deb") / "out", context)}
    assert len(found) == 3
    return found


@pytest.fixture(scope="module")
def unpacked(built, context, tmp_path_factory) -> pathlib.Path:
    """The packages, unpacked."""
    folder = tmp_path_factory.mktemp("unpacked")
    for package in built.values():
        subprocess.run(["dpkg-deb", "-x", package, folder / "root"], check=True)
    # Debian's DKMS, not installed: that would build modules of other packages whenever this machine
    # gets a kernel
    shutil.copy(context.package("dkms") / "usr/sbin/dkms", folder / "root/usr/bin")
    return folder / "root"


def dkms(root: pathlib.Path, *argv: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
    """DKMS with directories of its own; this machine's are not touched. Some commands need root, or
    fakeroot."""
    (root / "dkms").mkdir(exist_ok=True)
    action, *rest = argv
    rights = () if os.geteuid() == 0 else ("unshare", "--map-root-user")
    return subprocess.run([*rights, "bash", root / "usr/bin/dkms", action, "--dkmstree", root / "dkms", "--sourcetree",
                           root / "usr/src", *rest], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def added(unpacked) -> pathlib.Path:
    done = dkms(unpacked, "add", *NAME)
    assert done.returncode == 0, done.stderr
    return unpacked


@pytest.mark.parametrize("version", EACH)
def test_dkms_builds_for_an_arm64_kernel(added, context, tmp_path, version):
    """DKMS must build the module for each kernel, and modprobe must find it first."""
    built = kernel(version, context)
    done = dkms(added, "build", *NAME, "-k", built.release, "-a", "aarch64", "--kernelsourcedir", built.build)
    assert done.returncode == 0, done.stdout + done.stderr
    (module,) = (added / "dkms").glob(f"*/*/{built.release}/aarch64/module/hisi_acc_vfio_pci.ko*")
    # where DKMS installs it, beside the in-tree driver of the same name
    shutil.copytree(built.modules / "lib", tmp_path / "lib", symlinks=True)
    updates = tmp_path / "lib/modules" / built.release / "updates/dkms"
    updates.mkdir(parents=True)
    shutil.copy(module, updates)
    subprocess.run(["/sbin/depmod", "-b", tmp_path, built.release], check=True)
    found = subprocess.run(["/sbin/modinfo", "-b", tmp_path, "-k", built.release, "-n", "hisi_acc_vfio_pci"],
                           capture_output=True, text=True, check=True)
    assert "/updates/dkms/" in found.stdout


def test_dkms_signs_the_module(added, context, tmp_path, monkeypatch):
    """For a kernel with signed modules, DKMS must make a key and sign the module, with the words of the
    page."""
    built = kernel(EACH[0], context)
    config = tmp_path / "config"
    config.write_text((built.build / ".config").read_text() + 'CONFIG_MODULE_SIG_HASH="sha256"\n')
    # the kernel's own program, which a machine has with the kernel's headers
    signs = tmp_path / "sign-file"
    subprocess.run(["gcc", "-w", "-idirafter", built.source / "include/uapi", "-o", signs, built.source / "scripts/sign-file.c",
                    "-lcrypto"], check=True)
    said = blocks("none", "packages")["signing-key"]
    for name, variable in (("mok.key", "mok_signing_key"), ("mok.pub", "mok_certificate")):
        monkeypatch.setenv(variable, str(tmp_path / name))
        assert f'{variable}="/var/lib/dkms/{name}"' in (added / "usr/bin/dkms").read_text()
        said = said.replace("/var/lib/dkms/" + name, str(tmp_path / name))
    monkeypatch.setenv("sign_file", str(signs))
    done = dkms(added, "build", *NAME, "-k", built.release, "-a", "aarch64", "--kernelsourcedir", built.build, "--config", config, "--force")
    assert done.returncode == 0 and said in done.stdout, done.stdout + done.stderr
    (module,) = (added / "dkms").glob(f"*/*/{built.release}/aarch64/module/hisi_acc_vfio_pci.ko*")
    command = DO["signer"].replace("hisi_acc_vfio_pci", str(module))
    signer = subprocess.run(["sh", "-c", f"PATH=$PATH:/sbin; {command}"], capture_output=True, text=True, check=True).stdout.strip()
    text = (paths.ROOT / "Documentation/admin-guide/hisi-acc-vfio-pci/packages.rst").read_text(encoding="utf-8")
    assert signer and f"``{signer}``" in text


def test_each_package_is_for_the_machines_that_run_it(built):
    """The driver and the tests must be for arm64, the lab for amd64."""
    assert {name: field(package, "Architecture") for name, package in built.items()} == {
        DRIVER: "arm64", "hisi-acc-vfio-tests": "arm64", LAB: "amd64"}


def test_the_source_of_the_static_c_library_is_named(built):
    """Built-Using must name the source of the C library that programs are linked with (policy 7.8)."""
    for name in (DRIVER, "hisi-acc-vfio-tests"):
        assert re.fullmatch(r"(glibc|cross-toolchain-base) \(= \S+\)", field(built[name], "Built-Using"))


def test_the_source_package_builds_without_a_kernels_tree(built, tmp_path):
    """The source package must build with its Build-Depends alone, as Debian builds it: not the
    kselftests, which need a profile."""
    (source,) = built[DRIVER].parent.glob("*.dsc")
    subprocess.run(["dpkg-source", "--extract", source, tmp_path / "source"], check=True, capture_output=True)
    done = subprocess.run(["dpkg-buildpackage", "--unsigned-changes", "--build=any", "--host-arch=arm64"], cwd=tmp_path / "source",
                          capture_output=True, text=True, check=False,
                          env={name: value for name, value in os.environ.items() if name != "KSELFTEST"})
    assert done.returncode == 0, done.stderr[-2000:]
    assert [file.name for file in tmp_path.glob("*.deb")] == [built[DRIVER].name]


def is_static(program: pathlib.Path) -> None:
    """The program must be for arm64 and for any release of the C library."""
    said = subprocess.run(["aarch64-linux-gnu-readelf", "--file-header", "--program-headers", program],
                          capture_output=True, text=True, check=True).stdout
    assert "AArch64" in said and "program interpreter" not in said


def test_the_tests_package_has_what_a_server_needs(unpacked):
    """The tests' package must have all kselftests with what runs them, hisi-acc-check and hisi-acc-probe."""
    where = unpacked / "usr/libexec/hisi-acc-vfio-tests"
    listed = [line.partition(":")[2] for line in (where / "kselftest-list.txt").read_text().splitlines()]
    assert {"vfio_pci_migration_states_test", "hisi_acc_migration_data_test", "acc_migration_bench"} <= set(listed)
    assert (unpacked / "usr/sbin/hisi-acc-probe").resolve() == where / "vfio/hisi-acc-probe"
    for program in (where / "hisi-acc-check", where / "vfio/hisi-acc-probe", *(where / "vfio" / name for name in listed)):
        is_static(program)


def test_the_drivers_package_has_the_check(unpacked):
    """The driver's package must have hisi-acc-check and its page."""
    is_static(unpacked / "usr/sbin/hisi-acc-check")
    page = gzip.decompress((unpacked / "usr/share/man/man8/hisi-acc-check.8.gz").read_bytes())
    assert page == (paths.ROOT / "tools/hisi-acc-check/hisi-acc-check.8").read_bytes()


NOT_BUILT = "hisi_acc_vfio_pci: not built for kernel"


def passed_over(root: pathlib.Path, release: str, machine: str, sources: pathlib.Path) -> str:
    """The line that says why DKMS skips a kernel; the kernel's installation must succeed."""
    where = ("-k", release, "-a", machine, "--kernelsourcedir", sources)
    done = dkms(root, "build", *NAME, *where)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "BUILD_EXCLUSIVE directive which does not match this kernel" in " ".join(said.split())
    # the reason, which DKMS does not print
    (why,) = [line for line in said.splitlines() if line.startswith(NOT_BUILT)]
    # as during a kernel's installation, which must succeed
    done = dkms(root, "autoinstall", *where)
    assert done.returncode == 0 and why in done.stderr, done.stderr
    return why


@pytest.mark.parametrize("machine, config", [("x86_64", "CONFIG_VFIO_PCI_CORE=m\n"),
                                             ("aarch64", "# CONFIG_CRYPTO_DEV_HISI_QM is not set\n")])
def test_dkms_passes_over_a_kernel_that_lacks_what_it_needs(added, tmp_path, machine, config):
    """A kernel without a required option must be skipped, with the option's name."""
    (tmp_path / "Makefile").write_text("")
    (tmp_path / ".config").write_text(config)
    why = passed_over(added, "9.8.7", machine, tmp_path)
    assert "kernel 9.8.7, which was configured without CONFIG_CRYPTO_DEV_HISI_QM" in why


def settings() -> dict[str, str]:
    """What dkms.conf sets."""
    text = (paths.ROOT / "debian/hisi-acc-vfio-pci-dkms.dkms").read_text(encoding="utf-8")
    return dict(re.findall(r'^(\w+)="(.*)"$', text, re.M))


@pytest.mark.parametrize("release", ["6.1.0-57-arm64", "6.5.13", "5.10.0-216.0.0.115.oe2203sp4.aarch64"])
def test_dkms_passes_over_a_kernel_that_is_too_old(added, tmp_path, release):
    """A kernel that is too old for dkms/Kbuild must be skipped although it has all options, so that
    its installation does not fail."""
    (tmp_path / "Makefile").write_text("")
    (tmp_path / ".config").write_text("".join(f"{name}=m\n" for name in settings()["BUILD_EXCLUSIVE_CONFIG"].split()))
    told = re.sub(r"(?<=kernel )\S+(?=,)", release, blocks("none", "packages")["too-old"])
    assert passed_over(added, release, "aarch64", tmp_path) == told


def test_the_oldest_kernel_of_dkms_is_that_of_kbuild():
    """DKMS must skip exactly the kernels older than the newest interface that the driver requires."""
    kbuild = (paths.DKMS / "Kbuild").read_text(encoding="utf-8")
    series = [tuple(map(int, found.split("."))) for found in re.findall(r"call needs,.*,([\d.]+)\)$", kbuild, re.M)]
    oldest = max(series)
    assert blocks("none", "packages")["too-old"].endswith(f" older than Linux {'.'.join(map(str, oldest))}")
    taken = re.compile(settings()["BUILD_EXCLUSIVE_KERNEL"])
    for major, minor in [*((6, minor) for minor in range(30)), *((major, 0) for major in (2, 3, 4, 5, 7, 8, 9, 10, 11, 60))]:
        for rest in (".0-45-generic", ".12", "-rc1", ""):
            assert bool(taken.search(f"{major}.{minor}{rest}")) == ((major, minor) >= oldest), (major, minor, rest)


def test_the_labs_package_names_what_vlab_needs(built):
    """Depends must have all packages that booting hosts takes, Recommends those of vlab check,
    Suggests those of other commands."""
    needed = {*this_machine.PACKAGES, "apt", "python3"}
    checked = set(this_machine.CHECK) - set(this_machine.DEB)
    others = {*this_machine.BENCH, *this_machine.SERIES}
    assert needed <= names(built[LAB], "Depends")
    assert checked <= names(built[LAB], "Depends", "Recommends")
    assert others <= names(built[LAB], "Depends", "Recommends", "Suggests")


def test_the_installed_lab_installs_no_packages(unpacked, tmp_path):
    """vlab from its package must start neither apt-get nor sudo; the error must name the missing
    packages."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {"dpkg-query": "exit 1", "apt-get": 'echo "$0" >>"$STARTED"; exit 1', "sudo": 'echo "$0" >>"$STARTED"; exit 1'}.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    # a cache of its own: with something to build
    done = subprocess.run([unpacked / "usr/bin/vlab", "run", "--", "true"], cwd=tmp_path, capture_output=True, text=True, check=False,
                          env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "STARTED": str(tmp_path / "started"),
                               "VFIO_LAB_CACHE": str(tmp_path / "cache")})
    assert done.returncode == 1 and not (tmp_path / "started").exists()
    said = " ".join(done.stderr.split())
    assert f'installs none itself: run "apt-get install --no-remove {" ".join(this_machine.PACKAGES)}" as root' in said


#: in "$1", this machine with its own changes, without a network; "$2" is its /mnt and has dpkg's database
IN_A_COPY = """
mount -t tmpfs none "$1"
mkdir "$1/changes" "$1/work" "$1/all"
mount -t overlay -o "lowerdir=/,upperdir=$1/changes,workdir=$1/work" none "$1/all"
mount --rbind /dev "$1/all/dev"
mount -t proc none "$1/all/proc"
mount --bind "$2" "$1/all/mnt"
mount --bind "$2/dpkg" "$1/all/var/lib/dpkg"
exec chroot "$1/all" sh -euc "cd /mnt; $3"
"""


def in_a_copy(folder: pathlib.Path, place: pathlib.Path, script: str) -> str:
    """Run a script on a copy of this machine, in memory, and return its output."""
    if os.geteuid():
        pytest.skip("only root can mount a copy of this machine")
    # whole: other programs install packages meanwhile
    with open("/var/lib/dpkg/lock-frontend", "r+b") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        shutil.copytree("/var/lib/dpkg", place / "dpkg", symlinks=True)
    done = subprocess.run(["unshare", "--mount", "--pid", "--net", "--fork", "sh", "-euc", IN_A_COPY, "sh", folder, place, script],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_labs_package_comes_and_goes(built, tmp_path):
    """The lab's package with its kselftests must install by the page's command, pass its autopkgtest,
    upgrade, and be removed without a trace."""
    for name in ("copy", "debs/first", "debs/second"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(built[LAB], tmp_path / "debs/first")
    as_newer(built[LAB], tmp_path / "debs/second/tree")
    shutil.rmtree(tmp_path / "debs/second/tree")
    shutil.copy(paths.ROOT / "debian/tests/lab", tmp_path / "debs")
    version = f"dpkg-query --show --showformat='version ${{Version}}\\n' {LAB}"
    share = f"/usr/share/{LAB}"
    # Debian's recommendations may not be installed, and there is no network
    script = "\n".join(f"cd /mnt/{folder}; {DO['lab-install'].replace('install ./', '--no-install-recommends install ./')}\n{version}\n"
                       "export AUTOPKGTEST_TMP=$(mktemp -d); /mnt/lab" for folder in ("first", "second"))
    script += (f"\nls {share}/tools/testing/selftests/vfio | grep -q migration\n{DO['lab-remove']}\n"
               f"! ls -d {share} /usr/bin/vlab /usr/share/man/man1/vlab.1.gz")
    said = in_a_copy(tmp_path / "copy", tmp_path / "debs", f"export DEBIAN_FRONTEND=noninteractive\n{script}")
    assert said.count("usage: vlab") == 2
    assert re.findall(r"^version (\S+)$", said, re.M) == [FIRST, SECOND]
    assert "The following packages will be REMOVED" not in said.partition(f"Removing {LAB}")[0]


def test_no_command_of_the_page_is_left():
    """Each command of the page must be used by a test of the packages."""
    source = "".join(pathlib.Path(__file__).with_name(name).read_text(encoding="utf-8")
                     for name in ("test_packages.py", "test_packages_installed.py"))
    assert DO and [name for name in DO if f"DO['{name}']" not in source and f'DO["{name}"]' not in source] == []


def test_the_labs_package_runs_without_the_clone(unpacked, tmp_path):
    """The lab's package must run without the clone and have all files that it needs."""
    said = subprocess.run([unpacked / "usr/bin/vlab", "--version"], capture_output=True, text=True, check=True).stdout
    changes = (paths.ROOT / "debian/changelog").read_text(encoding="utf-8")
    assert f"({said.splitlines()[0].removeprefix('vlab ')})" in changes.splitlines()[0]
    done = subprocess.run([unpacked / "usr/bin/vlab", "run", "--engines", "gpu", "--", "true"], cwd=tmp_path,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "unknown engine 'gpu'" in done.stderr
    shown = subprocess.run([unpacked / "usr/bin/vlab", "status"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    made = subprocess.run([unpacked / "usr/bin/vlab", "deb"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode and "Packages are made from a clone" in made.stderr
    # files for its pages and patches, found without git
    lab = unpacked / "usr/share/vfio-migration-lab/tools/testing/vfio_lab"
    there = subprocess.run(["python3", "-B", "-c", "from lab.build import kernel_tree; print(*kernel_tree.driver_files())"], cwd=lab,
                           capture_output=True, text=True, check=True)
    assert set(there.stdout.split()) == set(kernel_tree.driver_files())
    completion = (unpacked / "usr/share/bash-completion/completions/vlab").read_text()
    assert "complete -o default -F _vlab vlab" in completion
    assert list(unpacked.rglob("hisi_acc_migration_states_test.c")) and not list(unpacked.rglob("__pycache__"))
