# SPDX-License-Identifier: GPL-2.0
"""The device model with existing users of accelerators in a guest: libkcapi's tool, cryptsetup,
dm-crypt, the kernel's keys, compressed swap; OpenSSL and the kernel's software implementations are
the reference. See users.sh.

They cover what the kernel's self-tests do not: other lengths, lists of many pieces, many requests
at once.
"""

from __future__ import annotations

import re

import pytest

from kernels import lasting
from lab.core import paths, versions
from lab.core.hardware import ENGINES
from lab.build import kernel
from lab.scenario import accelerator
from lab.scenario.config import MODEL, GuestConfig, HostConfig
from lab.scenario.guest import Guest
from lab.scenario.load import LoadRecord
from test_stock_drivers import sound

pytestmark = pytest.mark.slow("other users of accelerators in guests")

SCRIPT = paths.LAB / "programs/users.sh"
#: runs only on a kernel whose AF_ALG uses accelerators
PROGRAMS = {"kcapi-cbc-aes-128", "kcapi-cbc-aes-256", "kcapi-ctr-aes", "kcapi-cbc-sm4", "kcapi-xts-aes",
            "kcapi-gcm-aes", "benchmark-xts", "benchmark-cbc"}
JUDGES = {"dm-crypt-plain", "dm-crypt-luks", "keyctl-dh", "keyctl-rsa", "zswap"}
#: minimum of requests that the accelerator completes for them
DONE = {"sec": 2000, "zip": 1000, "hpre": 4}


@pytest.mark.parametrize("version", [versions.GUEST, lasting(versions.DEFAULT)])
def test_third_party_users(new_session, version):
    """Each user must get the results of the software implementation."""
    session = new_session()
    config = HostConfig(vfs=1, engines=tuple(ENGINES), model={**MODEL, "request-latency": "0"})
    inside = GuestConfig(kernel.flavoured(kernel.GUEST_FLAVOUR, version), script=SCRIPT)
    (host,) = session.boot([session.spec("host", config, inside)])
    vfs = [addresses[0] for addresses in accelerator.set_up(host.ssh, ENGINES.values(), 1).values()]
    record = LoadRecord()
    guest = Guest(host, vfs, record, inside)
    done = {name: 0 for name in ENGINES}
    try:
        record.wait("the guest's drivers are ready", lambda: record.ready, 120, guest.alive)
        tested = {name: host.counters(name, 1)["events"]["requests-completed"] for name in ENGINES}
        record.wait("the judges are done", lambda: record.exit_status is not None, 600, guest.alive)
        done = {name: host.counters(name, 1)["events"]["requests-completed"] - tested[name] for name in ENGINES}
    finally:
        console = guest.console()
        guest.close()
    assert set(re.findall(r"^judge: (\S+) FAILED", console, re.M)) == set(), guest.console_log
    wanted = JUDGES | (PROGRAMS if versions.SERIES[version].has("af_alg") else set())
    assert set(re.findall(r"^judge: (\S+) ok", console, re.M)) == wanted
    assert record.exit_status == 0
    assert {name for name, count in done.items() if count < DONE[name]} == set(), done
    for name in ENGINES:
        sound(host, name, 1)
