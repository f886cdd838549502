# SPDX-License-Identifier: GPL-2.0
"""Fixtures and hooks of all tests: the package, hosts to boot, and the last line of output."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import pytest

sys.dont_write_bytecode = True
# as vlab has it
os.umask(0o022)
LAB = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(LAB), str(LAB / "tests/support")]

from lab.core import cache, paths, versions  # noqa: E402
from lab.core.context import Context, shared  # noqa: E402
from lab.core.progress import Steps  # noqa: E402
from lab.build import kernel, qemu  # noqa: E402
from lab.release import results  # noqa: E402
from lab.scenario import accelerator, watch  # noqa: E402
from lab.scenario.config import GuestConfig, HostConfig  # noqa: E402
from lab.scenario.host import Host  # noqa: E402
from lab.scenario.session import Session  # noqa: E402
import busy  # noqa: E402
import durations  # noqa: E402
from registers import Model, PfOrVf  # noqa: E402

# Background processes ignore SIGINT, and so would all processes that the tests start and interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)

# For one test, on a slow machine; elsewhere the slowest takes three and a half minutes
SECONDS = 1500
# For each part that a test builds, or waits for another to build: not included above
BUILD_SECONDS = 5400
# Of unexpected messages
MOST_LINES = 30
# Steps shorter than this are not printed
QUIET_SECONDS = 30

# Reasons for which a test is skipped that another run has not
LEFT_OUT = ("--long runs it", "not with --quick", "vlab defects runs it")

_counts = {"passed": 0, "failed": 0, "skipped": 0}


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of `vlab check --quick`, `vlab check -- --long`, `vlab check --all` and `vlab defects`."""
    parser.addoption("--defects", action="store_true", help="run the tests of defects.py on all drivers")
    parser.addoption("--results", metavar="FILE", help="keep results in this file, and leave out what passed on this tree")
    parser.addoption("--outer", metavar="PROGRAM", help="run qtests on another QEMU with the device model")
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run the tests of each file, and the files, in a random order")
    parser.addoption("--busy", action="store_true", help="keep each processor busy meanwhile")
    parser.addoption("--quick", action="store_true", help="leave out the tests marked slow")
    parser.addoption("--long", action="store_true", help="run the tests marked long, too, and fuzz the device model for minutes, not seconds")


_building = False


@contextlib.contextmanager
def untimed() -> Iterator[None]:
    """Replace pytest-timeout's alarm by the one for builds; afterwards the test's time continues."""
    global _building
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    if not left or _building:
        yield
        return
    _building = True
    signal.setitimer(signal.ITIMER_REAL, BUILD_SECONDS)
    try:
        yield
    finally:
        _building = False
        signal.setitimer(signal.ITIMER_REAL, left)


cache.untimed = untimed
watch.enabled = True


def terminal() -> TextIO:
    """Where vlab's messages go. pytest captures the tests' output, with several processes also
    their standard error."""
    place = os.environ.get("VFIO_LAB_TERMINAL")
    if place:
        with contextlib.suppress(OSError):
            return open(place, "a", encoding="utf-8")   # pylint: disable=consider-using-with
    return sys.__stderr__ or sys.stderr


def slow_steps() -> Steps:
    """Steps that print what takes long, such as builds."""
    return Steps(terminal(), after=QUIET_SECONDS)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """A test that hangs must not keep the others from running."""
    config.addinivalue_line("markers", "expect(*patterns, maybe=False): lines of logs that the test provokes; see watch.py")
    config.addinivalue_line("markers", "slow(why): another case of what a quicker test has; not with --quick")
    config.addinivalue_line("markers", "long(why): takes minutes, or a kernel or QEMU of its own; only with --long")
    if config.option.timeout is None and not (config.getoption("long") or config.getoption("defects")):
        config.option.timeout = SECONDS
    if config.getoption("busy") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(busy.Busy(), "busy")
    if config.getoption("results") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Kept(pathlib.Path(config.getoption("results"))), "kept")


def unavailable(item: pytest.Item, context: Context) -> str | None:
    """Why a test cannot run: it has a parameter that is a kernel which Debian no longer has."""
    for value in item.callspec.params.values() if hasattr(item, "callspec") else ():
        series = value.partition("-")[0] if isinstance(value, str) else ""
        if series in versions.SERIES and not kernel.available(series, context):
            return f"the mirror has no kernel {series}"
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked as long or slow, and those that need an unavailable kernel, before their fixtures run."""
    long, slow = item.get_closest_marker("long"), item.get_closest_marker("slow")
    if long and not item.config.getoption("long"):
        pytest.skip(f"{long.args[0]}; {LEFT_OUT[0]}")
    if slow and item.config.getoption("quick"):
        pytest.skip(f"{slow.args[0]}; {LEFT_OUT[1]}")
    reason = unavailable(item, shared())
    if reason:
        pytest.skip(reason)


class Kept:
    """Keeps the results of a run in a file."""

    def __init__(self, file: pathlib.Path) -> None:
        self._file, self._tree = file, results.tree()
        self.done = results.done(results.read(file).values(), self._tree)
        self._phases: dict[str, list[pytest.TestReport]] = {}

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """All of pytest-xdist's workers leave out the same."""
        node.workerinput["done"] = sorted(self.done)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has its result when its fixtures have ended."""
        phases = self._phases.setdefault(report.nodeid, [])
        phases.append(report)
        if report.when == "teardown":
            failed = [phase for phase in phases if phase.failed]
            skipped = next((phase for phase in phases if phase.skipped), None)
            outcome = "failed" if failed else "skipped" if skipped else "passed"
            why = skipped.longrepr[2] if skipped and isinstance(skipped.longrepr, tuple) else ""
            if failed:
                crash = getattr(failed[0].longrepr, "reprcrash", None)
                why = (crash.message if crash else failed[0].longreprtext).strip().partition("\n")[0]
            if not why.endswith(LEFT_OUT):
                results.append(self._file, report.nodeid, outcome, sum(phase.duration for phase in phases), self._tree, why)
            del self._phases[report.nodeid]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what has its result, and start the longest files first, or any."""
    kept = config.pluginmanager.get_plugin("kept")
    done = set(config.workerinput["done"] if "done" in getattr(config, "workerinput", {}) else kept.done if kept else ())
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in done])
    items[:] = [item for item in items if item.nodeid not in done]
    if config.getoption("shuffle") is None:
        durations.sort(items)
    else:
        durations.shuffle(items, config.getoption("shuffle"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count each test once: as failed if any phase failed."""
    durations.add(report)
    if report.failed:
        _counts["failed"] += 1
    elif report.when == "call" and report.passed:
        _counts["passed"] += 1
    elif report.skipped:
        _counts["skipped"] += 1


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A test file that cannot be imported counts as failed."""
    if report.failed:
        _counts["failed"] += 1


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep the times of a run of all tests, and nothing but them, that was not interrupted."""
    config = session.config
    if not hasattr(config, "workerinput") and config.args == [str(config.rootpath)] and not config.option.keyword \
            and not config.getoption("long") and not config.getoption("quick") \
            and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        durations.keep()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Print the last line; not in pytest-xdist's workers."""
    if hasattr(config, "workerinput"):
        return
    skipped = f", {_counts['skipped']} skipped" if _counts["skipped"] else ""
    print(f"{_counts['passed']} passed, {_counts['failed']} failed{skipped}", flush=True)


@pytest.fixture(scope="session")
def context() -> Context:
    """The lab's cache and packages; builds print their progress on the terminal."""
    return Context(steps=slow_steps())


@pytest.fixture(scope="session")
def outer(context: Context, pytestconfig: pytest.Config) -> pathlib.Path:
    """The QEMU with the device model."""
    given = pytestconfig.getoption("--outer")
    return pathlib.Path(given) if given else qemu.chosen(context)


def fail_for(found: list[str], missing: list[str]) -> None:
    """Fail for unexpected messages, and for expected ones that are missing."""
    told = [f"not expected: {line}" for line in found[:MOST_LINES]]
    told += [f"... and {len(found) - MOST_LINES} more"] if len(found) > MOST_LINES else []
    told += [f"expected, and not there: {pattern}" for pattern in missing]
    if told:
        pytest.fail("\n".join(told), pytrace=False)


@pytest.fixture(scope="module", autouse=True)
def judged_with_its_fixtures() -> Iterator[None]:
    """Check messages of hosts of module fixtures when these end."""
    yield
    fail_for(watch.end()[0], [])


@pytest.fixture(autouse=True)
def judged(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check all hosts, their guests and devices after each test; expected messages are named by the
    marker `expect` or watch.expect()."""
    for mark in request.node.iter_markers("expect"):
        watch.expect(*mark.args, **mark.kwargs)
    failed = request.session.testsfailed
    yield
    found, missing = watch.end()
    # a test that failed has not caused all of its messages
    fail_for(found, missing if request.session.testsfailed == failed else [])


@pytest.fixture
def start(outer: pathlib.Path, tmp_path: pathlib.Path) -> Iterator[Callable[..., PfOrVf]]:
    """A machine without CPUs and with two VFs; returns the first VF with two running queues, driven
    by the test. `kind` selects the accelerator."""
    machines: list[Model] = []

    def one(options: str = "", kind: type[PfOrVf] = PfOrVf) -> PfOrVf:
        folder = tmp_path / str(len(machines))
        folder.mkdir()
        machines.append(Model(outer, folder, options, kind.DEVICE))
        machines[-1].bring_up()
        vf = kind(machines[-1], 1)
        vf.start()
        return vf

    yield one
    for machine in machines:
        machine.__exit__()


@pytest.fixture
def new_session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory,
                context: Context) -> Iterator[Callable[[], Session]]:
    """Open lab sessions that end with the test; their logs stay in build/check. The stock drivers' self-tests are left to
    the tests of the stock drivers, and of one migration."""
    opened: list[Session] = []

    def new(selftests: bool = False) -> Session:
        logs = paths.BUILD / "check" / f"{request.node.name}-{len(opened)}".replace("/", "_")
        session = Session(slow_steps(), logs, selftests)
        opened.append(session)
        return session

    yield new
    for session in opened:
        session.__exit__(None, None, None)


@pytest.fixture
def boot(new_session: Callable[[], Session]) -> Callable[..., Host]:
    """Boot one host with the given HostConfig, its VFs enabled but unbound, and with what a guest
    needs if one is given. Keywords go to accelerator.bring_up()."""
    def one(config: HostConfig, guest: GuestConfig | None = None, **how: str) -> Host:
        session = new_session()
        (host,) = session.boot([session.spec("host", config, guest)])
        for name in config.models:
            accelerator.bring_up(host.ssh, config.engine(name), config.vfs, **how)
        return host
    return one
