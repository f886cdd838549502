# SPDX-License-Identifier: GPL-2.0
"""The driver builds out of tree for each kernel, and names what an unsupported kernel lacks."""

import pathlib
import re
import subprocess

import pytest

from lab.core import paths, versions
from lab.core.git import environment
from lab.core.guide import blocks
from lab.core.run import clean_environment
from lab.build import kernel_tree, sources
from lab.build.kernel import Kernel, kernel
from kernels import EACH


def make_module(kdir: pathlib.Path | str, out: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """Run `make module` as a user does."""
    return subprocess.run(["make", "-s", "module", f"KDIR={kdir}", f"OUT={out}"], cwd=paths.ROOT,
                          capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", EACH)
def test_it_builds_without_a_warning(context, tmp_path, version):
    """make module must build the driver without warnings."""
    done = make_module(kernel(version, context).build, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()
    assert (tmp_path / "hisi_acc_vfio_pci.ko").is_file()


@pytest.mark.slow("one more build")
def test_it_leaves_the_sources_as_they_were(context, tmp_path):
    """A build must not change the source directories."""
    before = sorted([*paths.DRIVER.rglob("*"), *paths.DKMS.rglob("*")])
    make_module(kernel(versions.DEFAULT, context).build, tmp_path)
    assert sorted([*paths.DRIVER.rglob("*"), *paths.DKMS.rglob("*")]) == before


@pytest.mark.parametrize("missing", ["VFIO_PCI_CORE", "CRYPTO_DEV_HISI_QM", "CRYPTO_DEV_HISI_SEC2",
                                     "CRYPTO_DEV_HISI_HPRE", "CRYPTO_DEV_HISI_ZIP", "PCI_IOV"])
def test_a_missing_kernel_option_is_reported(context, tmp_path, missing):
    """make module must say what the kernel lacks."""
    built = kernel(versions.DEFAULT, context).build
    kdir = tmp_path / "kdir"
    (kdir / "include/config").mkdir(parents=True)
    for name in ("Makefile", "Module.symvers"):
        (kdir / name).symlink_to(built / name)
    config = (built / "include/config/auto.conf").read_text().splitlines(keepends=True)
    (kdir / "include/config/auto.conf").write_text("".join(
        line for line in config if not line.startswith(f"CONFIG_{missing}=")))
    done = make_module(kdir, tmp_path / "out")
    assert done.returncode != 0 and f"built without CONFIG_{missing}\n" in done.stderr
    assert not (tmp_path / "out/hisi_acc_vfio_pci.ko").exists()


KBUILD = (paths.DKMS / "Kbuild").read_text(encoding="utf-8")
#: interfaces that are required: name, pattern, header, release
NEEDS = re.findall(r"\$\(call needs,(.*),(.*),(.*),(.*)\)$", KBUILD, re.M)
#: interfaces with a fallback, in their form of Linux 6.6
BRIDGED = {
    "VFIO_DEVICE_STATE_NR": ("uapi/linux/vfio.h", r"\bVFIO_DEVICE_STATE_NR\b", "VFIO_DEVICE_STATE_UNUSED"),
    "debug_root": ("linux/vfio.h", r"\bdebug_root\b", "unused_root"),
    "IOMMU_CAP_DIRTY_TRACKING": ("linux/iommu.h", r"\bIOMMU_CAP_DIRTY_TRACKING\b", "IOMMU_CAP_UNUSED"),
    "__assign_str": ("trace/stages/stage6_event_callback.h", r"#define __assign_str\(dst\)(?:.*\\\n)*.*\n",
                     "#define __assign_str(dst, src) strcpy(__get_str(dst), src);\n"),
}


def changed(built: Kernel, folder: pathlib.Path, *changes: tuple[str, str, str]) -> pathlib.Path:
    """A KDIR with changed headers. Each change has a file, a pattern in it, and a replacement."""
    texts: dict[pathlib.Path, str] = {}
    for header, pattern, by in changes:
        place = pathlib.Path("include") / header
        text = texts.get(place) or (built.source / place).read_text(encoding="utf-8")
        texts[place], count = re.subn(pattern, lambda _, by=by: by, text)
        assert count, f"{header} has no {pattern}"
    kernel_tree.link_around(built.source, folder / "source", set(texts))
    for place, text in texts.items():
        (folder / "source" / place).write_text(text, encoding="utf-8")
    kernel_tree.link_around(built.build, folder / "build", {pathlib.Path("Makefile")})
    makefile = (built.build / "Makefile").read_text(encoding="utf-8")
    assert str(built.source) in makefile
    (folder / "build/Makefile").write_text(makefile.replace(str(built.source), str(folder / "source")), encoding="utf-8")
    return folder / "build"


def test_each_need_is_read_from_the_makefile():
    """The list of required interfaces must match the Makefile's. Three that 6.12 lacks and one that
    all kernels lack are tested by builds for these kernels."""
    assert len(NEEDS) == KBUILD.count("$(call needs,") > 8
    assert len(BRIDGED) + 4 == KBUILD.count("$(call lacks,") + KBUILD.count("define __assign_str(dst, src)")


def test_the_guide_names_each_interface():
    """The compatibility matrix must give, for each interface, the release that added it and the fallback."""
    text = (paths.ROOT / "Documentation/admin-guide/hisi-acc-vfio-pci/compatibility.rst").read_text(encoding="utf-8")
    rows = re.findall(r"^   \* - (\S.*)\n     - ((?:.*\n)+?)     - (.*)$", text, re.M)
    told = {release: names for release, names, done in rows if done == "refused"}
    assert [name for name, _, _, release in NEEDS if f"``{name}``" not in told.get(release, "")] == []
    assert set(told) == {release for *_, release in NEEDS}
    bridged = "".join(names for _, names, done in rows if done.startswith("bridged"))
    names = re.findall(r"call lacks,(\w+),", KBUILD) + list(BRIDGED)
    assert [name for name in names if f"``{name}" not in bridged] == []
    example = blocks("none", "compatibility")["lacks"]
    pieces = {f"no {name} in {header} (came with Linux {release})" for name, _, header, release in NEEDS}
    assert set(re.findall(r"no .*?\)", example.partition("has ")[2])) <= pieces


@pytest.mark.slow("a build for each interface")
@pytest.mark.parametrize("need", NEEDS, ids=lambda need: need[0])
def test_a_missing_kernel_interface_is_named(context, tmp_path, need):
    """If a required interface is missing, the build must stop with its name before the compiler runs."""
    name, pattern, header, release = need
    kdir = changed(kernel(versions.DEFAULT, context), tmp_path, (header, rf"\b{pattern}\b", "gone"))
    done = make_module(kdir, tmp_path / "out")
    said = done.stdout + done.stderr
    sentence = f"hisi_acc_vfio_pci: this kernel has no {name} in {header} (came with Linux {release}).  Stop."
    assert done.returncode and said.count("this kernel has no") == 1, said
    assert sentence in said and "error:" not in said, said
    assert not (tmp_path / "out/hisi_acc_vfio_pci.ko").exists()


def test_all_missing_kernel_interfaces_are_named(context, tmp_path):
    """If several interfaces are missing, the build must name all of them at once."""
    changes = [(header, rf"\b{pattern}\b", "gone") for _, pattern, header, _ in NEEDS]
    done = make_module(changed(kernel(versions.DEFAULT, context), tmp_path, *changes), tmp_path / "out")
    (line,) = [line for line in done.stderr.splitlines() if "this kernel has no" in line]
    assert [name for name, *_ in NEEDS if f" no {name} in " not in line] == []


@pytest.mark.slow("a build for an older kernel")
@pytest.mark.parametrize("version", EACH)
def test_it_builds_for_a_kernel_that_lacks_what_has_come_since_linux_6_6(context, tmp_path, version):
    """With headers that lack every optional interface, the driver must build without warnings. The
    headers' own tracepoints do not compile there; the driver's must."""
    done = make_module(changed(kernel(version, context), tmp_path, *BRIDGED.values()), tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()
    assert (tmp_path / "out/hisi_acc_vfio_pci.ko").is_file()
    assert not (tmp_path / "out/debugfs.o").exists()


@pytest.mark.long("one build for each")
@pytest.mark.parametrize("name", BRIDGED)
def test_it_builds_for_a_kernel_that_lacks_one_of_it(context, tmp_path, name):
    """With any single optional interface missing, the driver must build: no fallback may depend on another."""
    done = make_module(changed(kernel(versions.DEFAULT, context), tmp_path, BRIDGED[name]), tmp_path / "out")
    assert done.returncode == 0 and "warning" not in (done.stdout + done.stderr).lower(), done.stderr


@pytest.mark.parametrize("kdir, words", [
    ("", "KDIR is not set"),
    ("/nowhere", "there is no directory /nowhere"),
    ("/etc", "neither a kernel's source nor a kernel's build directory"),
])
def test_what_is_no_kernel_is_refused_in_a_sentence(tmp_path, kdir, words):
    """A KDIR that is no kernel tree must be rejected with one line."""
    done = make_module(kdir, tmp_path)
    assert done.returncode != 0 and words in done.stderr


@pytest.mark.parametrize("mutant", sorted((paths.LAB / "tests/mutants").rglob("*.patch")), ids=lambda p: p.stem)
def test_a_mutant_is_one_of_this_driver(mutant):
    """Each mutant must apply to this driver, those in edu/ to the sample: most are built by make mutants only."""
    folder = sources.EDU.relative_to(paths.ROOT) if mutant.parent.name == "edu" else ""
    done = subprocess.run(["git", "apply", "--check", f"--directory={folder}", mutant], cwd=paths.ROOT, capture_output=True,
                          text=True, check=False, env=clean_environment(environment()))
    assert done.returncode == 0, done.stderr
