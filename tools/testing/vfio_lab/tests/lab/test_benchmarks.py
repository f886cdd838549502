# SPDX-License-Identifier: GPL-2.0
"""Evaluation of the benchmarks' measurements: sums, slopes, bounds, tables. No host boots."""

import math
import random

import pytest

import benchmarks
from benchmarks import downtime, chance, endurance, fairness, floor, latency, memory, report, rig, scale
from lab.scenario.timeline import Phase
from lab.probe import kmem
from lab.probe.kmem import sum_up
from lab.cli import testing

HEAD = "# entries-in-buffer/entries-written: 3/3   #P:2\n"


def event(name: str, ptr: str, size: int = 0, where: str = "work+0x10/0x20 [hisi_acc_vfio_pci]") -> str:
    """A line of the kernel's trace."""
    tail = f" bytes_req={size} bytes_alloc={size} gfp_flags=GFP_KERNEL node=-1 accounted=false" if size else ""
    return f"   sh-12  [001] .....  12.345678: {name}: call_site={where} ptr={ptr}{tail}\n"


def test_what_is_in_use():
    """Freed memory must not be counted, and each allocation must be counted for its module."""
    trace = (HEAD + event("kmalloc", "0001", 512) + event("kmalloc", "0002", 64, "open+0x1/0x2") +
             event("kmem_cache_alloc", "0003", 128) + event("kfree", "0002", where="x+0x1/0x2") +
             event("kmem_cache_free", "0004") + event("kfree", "0001") + event("kmalloc", "0001", 96))
    assert sum_up(trace) == {"hisi_acc_vfio_pci": 128 + 96}
    assert sum_up(event("kmalloc", "0002", 64, "open+0x1/0x2")) == {"": 64}


class Shell:
    """Stands in for a host's SSH connection."""

    name = "host"

    def __init__(self, text: str) -> None:
        self._text = text

    def out(self, _command: str) -> str:
        """The trace."""
        return self._text


def test_a_trace_that_lost_events_is_refused():
    """A trace that lost events must be rejected."""
    with pytest.raises(kmem.LabError, match="not whole"):
        kmem.in_use(Shell("# entries-in-buffer/entries-written: 2/3   #P:2\n"))
    assert kmem.in_use(Shell(HEAD + event("kmalloc", "0001", 8))) == {"hisi_acc_vfio_pci": 8}


def migrations(count: int, leak: int) -> endurance.Long:
    """A run whose two hosts differ by a megabyte, with noise, and perhaps a leak."""
    noise = random.Random(1)
    return endurance.Long(count, [
        endurance.Migration(n, ("source", "destination")[n % 2], 70, 900, n * 100, 2 ** 30,
                       (n % 2) * 2 ** 20 + noise.randint(-4000, 4000) + n * leak, 0, 0, 300)
        for n in range(1, count + 1)], 1, [], {})


@pytest.mark.parametrize("leak, said", [(0, "none"), (200, "RISES"), (-200, "FALLS")])
def test_a_leak_is_a_slope(leak, said):
    """A leak must be found in the noise, and the hosts' difference must not be taken for one."""
    found = migrations(200, leak)
    assert abs(found.slope("slab").each - leak) < 100
    (row,) = [line for line in report.long(found) if line.strip().startswith("slab")]
    assert row.endswith(said)


def test_a_run_too_short_has_no_slope():
    """A run of few migrations must not report a slope."""
    assert math.isnan(migrations(5, 200).slope("slab").error) and migrations(5, 200).slope("slab").flat


def test_a_figure_that_follows_itself_is_no_slope():
    """Autocorrelated noise must not be reported as a leak."""
    noise = random.Random(1)
    said = 0
    for _ in range(100):
        at, found = 0.0, []
        for n in range(190):
            at = 0.8 * at + noise.gauss(0, 1)
            found.append((n, at))
        said += not endurance.slope([found]).flat
    # Treated as independent, they would be called a slope about 50 times
    assert said < 20


def test_a_ratio_has_a_confidence_interval():
    """The confidence interval of a ratio must contain the true ratio, and be wider for fewer samples."""
    noise = random.Random(1)
    some, more = ([noise.gauss(100, 20) for _ in range(40)] for _ in range(2))
    alike = chance.ratio(some, more)
    assert alike.low < 1 < alike.high and alike.low < alike.middle < alike.high
    assert chance.ratio(some, [2 * n for n in more]).high < 0.7
    assert chance.ratio(some[:5], more[:5]).high - chance.ratio(some[:5], more[:5]).low > alike.high - alike.low
    ranges = [chance.ratio(*([noise.gauss(100, 20) for _ in range(20)] for _ in range(2))) for _ in range(100)]
    assert 88 <= sum(r.low < 1 < r.high for r in ranges) <= 99
    assert chance.ratio(some, more) == alike and math.isnan(chance.ratio([], more).low)
    assert chance.ratio([2], [1]).middle == 2 and math.isnan(chance.ratio([2], [1]).high)


class Timed:
    """Stands in for a host: its program reports the number of runs since the VFs were bound, as nanoseconds."""

    vfs = ["one", "two"]

    def __init__(self) -> None:
        self.runs = 0

    def use(self, _which: str) -> None:
        """The VFs are bound and were used."""
        self.runs = 100

    def bind_anew(self) -> None:
        """The VFs are bound and unused."""
        self.runs = 0

    def model(self, **_properties: int) -> None:
        """The same with each latency."""

    def run(self, arguments: str) -> list[list[str]]:
        """The steps of a round."""
        said = []
        for number in range(int(arguments.split()[1])):
            said += [[way, arc, str(number), str(self.runs), "0", "0"]
                     for way, arcs in latency.DOWNTIME.items() for arc in arcs]
            self.runs += 1
        return said


def test_restores_are_of_vfs_just_bound():
    """Each restore must be measured on a VF just bound: a driver may cache what it has read."""
    found, failed = latency.measure(Timed(), 7)
    assert not failed and len(found) == 2 * len(latency.MAILBOX_US) * sum(map(len, latency.DOWNTIME.values()))
    assert all([s.seconds for s in some] == [0] * 7 for some in found.values())


def test_bound_of_many_at_once():
    """A round with a failed save must not be counted."""
    some = [scale.Together(rig.TREE, parallel, count, wall, cpu, wall, wall, failed)
            for parallel, count, wall, cpu, failed in (
                (False, 1, 1.0, 0.2, 0), (True, 1, 1.0, 0.2, 0), (False, 4, 4.0, 0.8, 0), (True, 4, 1.2, 0.88, 0),
                (True, 4, 0.1, 0.1, 2))]
    one, four = scale.rows(some)
    assert (one.count, four.count, four.failed) == (1, 4, 2)
    assert four.cpu_ratio == pytest.approx(1.1)
    assert four.bound == pytest.approx(1.0 + 0.8 * 3 / 4) and four.wall_ratio == pytest.approx(1.2 / 1.6)
    assert "1.10" in "\n".join(report.growth(some))


def test_latency_of_a_driver_that_always_failed():
    """The table must be printed although a driver always failed."""
    found = {(rig.TREE, us, way, arc): [latency.Sample(1e-4, 1e-4, 0)] * 3
             for us in latency.MAILBOX_US for way, arcs in latency.DOWNTIME.items() for arc in arcs}
    text = "\n".join(report.times(found, latency.Failures({(rig.IN_TREE, 2, "load"): 3})))
    assert "nan" in text and "in-tree driver failed 3 times: load, mailbox 2 us" in text


def test_share_of_the_driver():
    """A refused migration must not count as one without downtime."""
    phases = (Phase("stop", "source", 0, 0.001), Phase("save", "source", 0.06, 0.0605))
    found = [downtime.Downtime(rig.TREE, 1, ms, ms, 900, 176, phases) for ms in (70, 60, 80)]
    found.append(downtime.Downtime(rig.IN_TREE, 3, refused="not with three: no P2P"))
    text = "\n".join(report.downtimes(found))
    assert "70.0 (60.0 to 80.0)" in text and "1.00  0.50" in text and "no P2P" in text
    assert downtime.typical(found).downtime_ms == 70


def test_missed_turns():
    """A missed turn, a failed operation and users that hung must stand in the table."""
    found = [fairness.Turns(rig.TREE, "flr", 8, fairness.TURNS, 475, 600, 0, 620),
             fairness.Turns(rig.IN_TREE, "flr", 8, 3, 80_000, 600, 2, 55_985),
             fairness.Turns(rig.IN_TREE, "sysfs", 8, fairness.TURNS, 12)]
    rows = {line.split("  ")[1].strip(): line.split() for line in report.turns(found)}
    assert rows["flr, 8"][2:] == ["475", "620", "80000", "(3", "of", "20)", "55985", "(2", "of", "600", "failed)"]
    assert rows["sysfs, 8"][2:] == ["-", "-", "12", "hung"] and rows["flr, 1"][2:] == ["-"] * 4


def test_no_driver_always_runs_second(monkeypatch):
    """No driver may always run second."""
    monkeypatch.setattr(downtime, "_hosts", lambda session: [])
    monkeypatch.setattr(downtime, "_migrate", lambda session, rigs, which, vfs: downtime.Downtime(which, vfs))
    found = downtime.measure(None, 2)
    cases = [(b.driver, b.vfs) for b in found]
    assert cases == [*downtime.CASES, *reversed(downtime.CASES)]


def test_costs_by_stage():
    """The memory of the driver's object, which VFIO allocates, must be counted for the driver."""
    stage = {"hisi_acc_vfio_pci": 256, "vfio": 256, "": 512}
    text = report.costs([memory.Cost(rig.TREE, dict.fromkeys(memory.STAGES, stage), 176, 90112)])
    assert "1,024 (512)" in text[1] and "176" in text[1]


def test_each_is_run(monkeypatch, tmp_path):
    """The command must know each benchmark, and run only the chosen one."""
    from benchmarks import run
    chosen = []
    for part in ("_small", "_large", "_tenants", "_whole", "_long"):
        monkeypatch.setattr(run.Bench, part, lambda bench, *_, part=part: chosen.append((bench.what, part)))
    for name in testing.BENCHMARKS.known:
        run.Bench((name,), 1, 1, 1, tmp_path, None).run()
    assert {what for what, _ in chosen} == {(name,) for name in benchmarks.WHAT}
    assert {part for what, part in chosen if what == ("downtime",)} == {"_whole"}


def test_floor_is_what_its_items_are():
    """The lower bounds must be these totals, so that a change to them is deliberate."""
    assert floor.TOTALS == {"stop-copy": 33, "load": 34, "pre-copy": 33}
