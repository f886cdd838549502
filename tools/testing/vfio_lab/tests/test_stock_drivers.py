# SPDX-License-Identifier: GPL-2.0
"""The device model judged by drivers that were not written for it: the kernel's
own, on the physical function and on a virtual one."""

import re

import pytest

from lab import accelerator
from lab.kernel import VERSIONS
from lab.session import Choice

ALGORITHMS = {"hisi_sec_ecb(aes)", "hisi_sec_cbc(aes)", "hisi_sec_ctr(aes)", "hisi_sec_xts(aes)"}
SEC = accelerator.ENGINES["sec"]


def selftests(host) -> dict[str, str]:
    """Outcome of the kernel's self-test for each of the accelerator's algorithms,
    once none is under way."""
    host.ssh.run("n=0; while grep -A6 '^driver *: hisi_' /proc/crypto | grep -q 'selftest *: unknown'; "
                 "do n=$((n+1)); [ $n -lt 600 ] || exit 1; usleep 50000; done", timeout=90)
    entries = host.ssh.out("cat /proc/crypto").split("\n\n")
    found = {}
    for entry in entries:
        fields = dict(re.findall(r"^(\w+) *: (.*)$", entry, re.M))
        if fields.get("driver", "").startswith("hisi_"):
            found[fields["driver"]] = fields["selftest"]
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("function", ["pf", "vf"])
def test_selftests_pass_on(boot, version, function):
    """Traffic is forced onto one function: the other announces no algorithm."""
    mute = "vf-algs" if function == "pf" else "pf-algs"
    host = boot(Choice(kernel=version, driver="none", vfs=1, model={mute: "0"}))
    if function == "vf":
        accelerator.bind(host.ssh, accelerator.functions(host.ssh, SEC), SEC.driver)
    assert selftests(host) == dict.fromkeys(ALGORITHMS, "passed")
    assert host.counters("sec", 0 if function == "pf" else 1)["events"]["requests-completed"] > 100
    assert host.trouble() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_unload_and_load_again(boot, version):
    host = boot(Choice(kernel=version, driver="none", vfs=2))
    accelerator.bind(host.ssh, accelerator.functions(host.ssh, SEC), SEC.driver)
    selftests(host)
    host.ssh.run(f"echo 0 > /sys/bus/pci/devices/{SEC.pf}/sriov_numvfs && rmmod {SEC.driver}", timeout=120)
    accelerator.bring_up(host.ssh, SEC, 2)
    accelerator.bind(host.ssh, accelerator.functions(host.ssh, SEC), SEC.driver)
    assert selftests(host) == dict.fromkeys(ALGORITHMS, "passed")
    assert host.trouble() == []


def test_a_wrong_property_is_refused_with_a_sentence(new_session):
    from lab.errors import LabError
    session = new_session()
    spec = session.spec("host", Choice(model={"kick-scope": "galaxy"}), guest=False)
    with pytest.raises(LabError, match="galaxy"):
        session.boot([spec])
