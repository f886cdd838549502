# SPDX-License-Identifier: GPL-2.0
"""--profile: the model must do what a profile of hisi-acc-probe says, and a profile that it cannot follow must be
refused with all that is in its way."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import choices
import probe
from lab.core import hardware, paths
from lab.core.errors import LabError
from lab.scenario import accelerator, profile
from lab.scenario.config import MODEL, HostConfig

MADE = sorted((paths.LAB / "tests/support/profiles").glob("*.json"))
SLOW = json.loads(MADE[-1].read_text())
#: of the whole suite, what `make check` has of it: guests that migrate, one whose migration is cancelled, the uAPI
SHORT_FORM = ("test_migration.py", "test_cancel.py", "test_uapi.py")


def changed(name: str, **members: object) -> dict[str, Any]:
    """A made profile with another line of a behaviour."""
    found = copy.deepcopy(SLOW)
    (line,) = [line for line in found["behaviour"] if line["name"] == name]
    line.update(outcome="observed", **members)
    return found


def with_lines(*lines: tuple[str, str], of: dict[str, Any] = SLOW) -> dict[str, Any]:
    """A profile with further behaviours."""
    found = copy.deepcopy(of)
    found["behaviour"] += [{"name": name, "outcome": "observed", "value": value, "evidence": ""} for name, value in lines]
    return found


@pytest.mark.slow("a probe for each profile")
@pytest.mark.expect(probe.PROVOKED, maybe=True)
@pytest.mark.parametrize("file", MADE, ids=lambda file: file.stem)
def test_the_model_follows(boot, context, file):
    """On a host with a made profile, the probe must observe what the profile says, times included."""
    host = boot(HostConfig(model={**MODEL, **profile.load(file)}, push=probe.for_hosts(context)))
    vfs = accelerator.set_up(host.ssh, [hardware.ENGINES["sec"]], 2)["sec"]
    found, said = probe.report(host, vfs), json.loads(file.read_text())
    expected = {line["name"]: line["value"] for line in said["behaviour"] if line["value"] is not None}
    without_risk = expected.keys() - probe.RISKY - ({"bus-master-off"} if expected.get("bus-master-off") != "reset" else set())
    assert {name: found.values[name] for name in without_risk} == {name: expected[name] for name in without_risk}
    for name in ("mailbox-get-vft", "write-back"):
        (median,) = [line["median_ns"] for line in said["times"] if line["name"] == name]
        assert found.times(name)["minimum_ns"] >= median


def test_each_choice_can_be_followed():
    """A profile may name each choice of the model, and each of its values in the README."""
    assert profile.CHOICES.keys() | {"context-cache"} == choices.CHOICES.keys()
    for name, values in probe.ALL.items():
        for value in values:
            assert profile.properties(changed(name, value=str(value)))[name] == str(value)
    assert profile.properties(with_lines(("ras-tag", "on"), of={**SLOW, "behaviour": []}))["ras"] == "on"
    assert profile.properties(changed("kick-scope", value="queue"))["mailbox-latency"] == "400"


def test_what_the_model_cannot_follow():
    """Each behaviour that the model lacks must be named, all of them at once."""
    found = with_lines(("warp", "9"), of=changed("pause-inflight", value="continue"))
    found["behaviour"].append({"name": "ras", "outcome": "failed", "value": None, "evidence": ""})
    found["device"]["revision"] = 0x21
    with pytest.raises(LabError) as refusal:
        profile.properties(found)
    assert str(refusal.value) == (
        "the model cannot follow it: hardware of revision 0x21 and version 0x0; pause-inflight is continue, the model knows "
        "finish and hold; warp is unknown to the model; ras failed")
    with pytest.raises(LabError, match="ras-tag is on where ras is off"):
        profile.properties(with_lines(("ras-tag", "on"), of=changed("ras", value="off")))
    with pytest.raises(LabError, match="ras is off, another line needs on"):
        profile.properties(with_lines(("ras-tag", "on"), ("ras", "off"), of={**SLOW, "behaviour": []}))
    for name, value in (("context-cache", "2000"), ("write-back-drops", "no"), ("bar2-upper-half", "nothing")):
        with pytest.raises(LabError, match=f"{name} is {value}"):
            profile.properties(changed(name, value=value))


@pytest.mark.parametrize("text, reason", [
    ("{", "not JSON"), ("{}", "no profile of hisi-acc-probe, version 1"), ("[1]", "no profile"),
    (json.dumps({**SLOW, "version": 2}), "no profile"), (json.dumps({**SLOW, "times": {}}), "no profile"),
    (json.dumps({**SLOW, "behaviour": [{"name": "ras"}]}), "no profile"),
    (json.dumps(changed("unpause", value=3)), "unpause is 3"), (json.dumps({**SLOW, "device": {}}), "no profile"),
    (json.dumps(changed("pause-inflight", value="continue")), "cannot follow it: pause-inflight is continue")],
    ids=("text", "empty", "list", "version", "times", "behaviour", "number", "device", "beyond-the-model"))
def test_a_wrong_file_is_refused(tmp_path, text, reason):
    """vlab must refuse it in one sentence before anything is built."""
    file = tmp_path / "profile.json"
    file.write_text(text)
    for words in (("run", "--profile", file, "--", "true"), ("check", "--profile", file)):
        done = subprocess.run([paths.LAB / "vlab", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 2 and reason in done.stderr.splitlines()[-1], done
    missing = subprocess.run([paths.LAB / "vlab", "run", "--profile", tmp_path / "none", "--", "true"], capture_output=True,
                             text=True, check=False)
    assert missing.returncode == 2 and "No such file or directory" in missing.stderr


def test_the_model_is_started_with_it():
    """The outer QEMU's command line must have the profile's properties, and --model must override them."""
    done = subprocess.run([paths.LAB / "vlab", "-q", "run", "--dry-run", "--profile", MADE[0], "--model", "context-cache=9", "--",
                           "true"], capture_output=True, text=True, check=True)
    assert MADE[0].stem == "caching" and "context-cache=9" in done.stdout
    for name, value in profile.load(MADE[0]).items():
        assert f",{name}={value}" in done.stdout or name == "context-cache", done.stdout


@pytest.mark.long("part of the suite, with each profile")
@pytest.mark.parametrize("file", MADE, ids=lambda file: file.stem)
def test_the_suites_short_form(file: Path):
    """Migrations and the driver's operations must pass with each made profile."""
    where = [str(next((paths.LAB / "tests").rglob(name))) for name in SHORT_FORM]
    done = subprocess.run([sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider", "-q", "--quick", *where], cwd=paths.LAB / "tests",
                          env={**os.environ, profile.VARIABLE: str(file)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
