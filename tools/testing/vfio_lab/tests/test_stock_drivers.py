# SPDX-License-Identifier: GPL-2.0
"""The device model judged by drivers that were not written for it: the kernel's
own, on the physical function and on a virtual one."""

import re

import pytest

from lab import accelerator
from lab.kernel import VERSIONS
from lab.session import MODEL, Choice

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


def sound(host, *functions: int) -> None:
    """Nothing in the logs, and no mistake of the drivers' that the device counted."""
    assert host.trouble() == []
    for function in functions:
        assert {n: c for n, c in host.counters("sec", function)["guest-errors"].items() if c} == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_selftests_pass_on_the_physical_function(boot, version):
    host = boot(Choice(kernel=version, driver="none", vfs=0))
    assert selftests(host) == dict.fromkeys(ALGORITHMS, "passed")
    assert host.counters("sec", 0)["events"]["requests-completed"] > 100
    sound(host, 0)


@pytest.mark.parametrize("version", VERSIONS)
def test_selftests_pass_on_a_virtual_function(boot, version):
    # A physical function with fewer queues than a user of the driver takes is
    # passed over (7.2 does not quite keep to that), so the work goes elsewhere
    host = boot(Choice(kernel=version, driver="none", vfs=1), parameters="pf_q_num=2 ctx_q_num=4")
    assert selftests(host) == {}
    accelerator.bind(host.ssh, accelerator.functions(host.ssh, SEC), SEC.driver)
    assert selftests(host) == dict.fromkeys(ALGORITHMS, "passed")
    on_pf, on_vf = (host.counters("sec", n)["events"]["requests-completed"] for n in (0, 1))
    assert on_vf > 100 and on_vf > on_pf
    sound(host, 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_unload_and_load_again(boot, version):
    # 6.12 asks for three of the MSI vectors, of which the interrupt controller
    # allocates four, and gives back three: it binds to a function only once
    host = boot(Choice(kernel=version, driver="none", vfs=2, model={**MODEL, "vf-vectors": "4"}))
    accelerator.bind(host.ssh, accelerator.functions(host.ssh, SEC), SEC.driver)
    selftests(host)
    host.ssh.run(f"echo 0 > /sys/bus/pci/devices/{SEC.pf}/sriov_numvfs && rmmod {SEC.driver}", timeout=120)
    accelerator.bring_up(host.ssh, SEC, 2)
    accelerator.bind(host.ssh, accelerator.functions(host.ssh, SEC), SEC.driver)
    assert selftests(host) == dict.fromkeys(ALGORITHMS, "passed")
    sound(host, 0, 1, 2)


def test_a_wrong_property_is_refused_with_a_sentence(new_session):
    from lab.errors import LabError
    session = new_session()
    spec = session.spec("host", Choice(model={"kick-scope": "galaxy"}), guest=False)
    with pytest.raises(LabError, match="galaxy"):
        session.boot([spec])
