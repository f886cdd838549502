# SPDX-License-Identifier: GPL-2.0
"""Many threads use every algorithm that the stock drivers register, on a PF in a host and on a VF
in a guest; then again after the drivers were reloaded.

No request may be lost or mixed up, no queue may stop when it wraps, nothing may leak, and the
device must work again after a reload. With --long this takes minutes and keeps the results:
`python3 tests/support/algorithms.py` prints them as a table.
"""

from __future__ import annotations

import pytest

import algorithms
import hostload
from lab.core import paths, versions
from lab.core.hardware import ENGINES
from lab.scenario import accelerator
from lab.scenario.config import MODEL, GuestConfig, HostConfig
from lab.scenario.guest import Guest
from lab.scenario.load import LoadRecord
from kernels import EACH, lasting
from test_stock_drivers import outcomes, passed, selftests, sound

pytestmark = pytest.mark.slow("load on the stock drivers")

RATES = paths.LAB / "programs/rates.sh"
LANES = 8
AT_ONCE = {**MODEL, "request-latency": "0", "queues": "256"}
#: seconds, and algorithms after the reload
AGAIN, ONCE_MORE = 1, ["cbc(aes)", "deflate", "rsa"]


@pytest.fixture
def work(request) -> tuple[int, dict[str, list[str]]]:
    """Seconds for each algorithm, and the algorithms: one of each interface, or all."""
    if request.config.getoption("--long"):
        return 10, algorithms.ALL
    return 2, {"sec": ["xts(aes)", "gcm(aes)"], "zip": ["deflate", "inflate"], "hpre": ["rsa", "ecdh-nist-p256"]}


def kept(found: dict[str, algorithms.Rate], names: list[str]) -> None:
    """All algorithms must have been used, without a wrong result."""
    assert list(found) == names
    assert {name: rate for name, rate in found.items() if not rate.sound} == {}


@pytest.mark.long("the same by VFs")
@pytest.mark.parametrize("version", EACH)
def test_load_on_pfs(boot, context, work, version):
    """On PFs, the load must run before and after a reload of the drivers."""
    seconds, names = work
    everything = [name for engine in ENGINES for name in names[engine]]
    host = boot(HostConfig(kernel=version, driver="stock", vfs=0, engines=tuple(ENGINES), model=AT_ONCE,
                           push={"/lab/rates": RATES, **hostload.push(version, context)}), parameters="pf_q_num=128")
    assert selftests(host) == passed(version, *ENGINES)
    tested = {name: host.counters(name, 0)["events"]["requests-completed"] for name in ENGINES}
    hostload.prepare(host)
    text = host.ssh.out(f"sh /lab/rates {seconds} {LANES} {' '.join(map(repr, everything))}",
                        timeout=60 + (seconds + 10) * len(everything))
    found = algorithms.rates(text)
    kept(found, everything)
    for name in ENGINES:
        done = host.counters(name, 0)["events"]["requests-completed"] - tested[name]
        assert done >= sum(found[alg].verified for alg in names[name]), f"{name}: another driver processed the requests"
    algorithms.keep(version, "PF", selftests(host), found)

    # and this time with commands that have a latency
    for name, engine in ENGINES.items():
        host.set_model(name, "mailbox-latency", 100)
        host.set_model(name, "writeback-latency", 100)
        host.ssh.run(f"{hostload.FORGET}; rmmod {engine.driver}", timeout=120)
        accelerator.bring_up(host.ssh, engine, 0, "pf_q_num=128")
    assert selftests(host) == passed(version, *ENGINES)
    hostload.prepare(host)
    text = host.ssh.out(f"sh /lab/rates {AGAIN} {LANES} {' '.join(map(repr, ONCE_MORE))}", timeout=120)
    kept(algorithms.rates(text), ONCE_MORE)
    for name in ENGINES:
        sound(host, name, 0)


def script(seconds: int, names: list[str]) -> str:
    """The guest's script: the load, drivers unloaded and loaded, the load again."""
    drivers = " ".join(engine.driver for engine in ENGINES.values())
    return f"""#!/bin/sh
rates() {{
{RATES.read_text(encoding="utf-8")}}}
modprobe accel_load || exit 1
rates {seconds} {LANES} {" ".join(map(repr, names))}
rmmod accel_load
for d in {drivers}; do
	rmmod $d && modprobe $d || exit 1
done
until grep -q hpre- /proc/crypto && ! grep -q 'selftest *: unknown' /proc/crypto; do
	usleep 100000
done
# nothing of the kernel's between its lines
echo 1 > /proc/sys/kernel/printk
cat /proc/crypto
echo 5 > /proc/sys/kernel/printk
modprobe accel_load || exit 1
rates {AGAIN} {LANES} {" ".join(map(repr, ONCE_MORE))}
"""


@pytest.mark.parametrize("version", [
    version if version == versions.DEFAULT else lasting(version) for version in versions.SERIES])
def test_load_on_vfs_in_a_guest(new_session, tmp_path, work, version):
    """On VFs in a guest, the load must run before and after a reload of the drivers."""
    seconds, names = work
    everything = [name for engine in ENGINES for name in names[engine]]
    session = new_session()
    program = tmp_path / "script"
    program.write_text(script(seconds, everything), encoding="utf-8")
    inside = GuestConfig(version, script=program)
    (host,) = session.boot([session.spec("host", HostConfig(vfs=1, engines=tuple(ENGINES), model=AT_ONCE), inside)])
    vfs = [addresses[0] for addresses in accelerator.set_up(host.ssh, ENGINES.values(), 1).values()]
    record = LoadRecord()
    guest = Guest(host, vfs, record, inside)
    try:
        record.wait("the guest's drivers are ready", lambda: record.ready, 180, guest.alive)
        record.wait("the load is done", lambda: record.exit_status is not None,
                    120 + (seconds + 10) * len(everything), guest.alive)
    finally:
        console = guest.console()
        guest.close()
    assert record.exit_status == 0
    assert outcomes(console) == passed(version, *ENGINES)
    first, again = algorithms.rates(console, len(everything)), algorithms.rates(console, -3)
    kept(first, everything)
    kept(again, ONCE_MORE)
    algorithms.keep(version, "VF", outcomes(console), first)
    for name in ENGINES:
        sound(host, name, 1)
