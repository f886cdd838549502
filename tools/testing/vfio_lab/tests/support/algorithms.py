# SPDX-License-Identifier: GPL-2.0
"""Results of test_stock_load.py for each algorithm, as a table."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from lab.core import paths  # noqa: E402

#: algorithms of the stock drivers that accel_load knows, by engine
ALL = {
    "sec": ["ecb(aes)", "cbc(aes)", "ctr(aes)", "xts(aes)", "cbc(sm4)", "ctr(sm4)", "xts(sm4)", "ecb(des3_ede)",
            "cbc(des3_ede)", "ccm(aes)", "gcm(aes)", "ccm(sm4)", "gcm(sm4)", "authenc(hmac(sha1),cbc(aes))",
            "authenc(hmac(sha256),cbc(aes))", "authenc(hmac(sha512),cbc(aes))"],
    "zip": ["deflate", "inflate"],
    "hpre": ["rsa", "dh", "ecdh-nist-p192", "ecdh-nist-p256", "ecdh-nist-p384"],
}
DRIVERS = {**{name: f"hisi_sec_{name}" for name in ALL["sec"]}, **{name: f"hpre-{name}" for name in ALL["hpre"]},
           "deflate": "hisi-deflate-acomp", "inflate": "hisi-deflate-acomp"}
FOLDER = paths.BUILD / "check/algorithms"


@dataclasses.dataclass(frozen=True)
class Rate:
    """Load of one algorithm: requests compared with the software's results, and their rate."""

    verified: int
    per_second: float
    sound: bool


def rates(text: str, most: int = 0) -> dict[str, Rate]:
    """Parse the output of rates.sh; the first `most` only, or the last if that is negative."""
    found: dict[str, Rate] = {}
    lines = re.findall(r"rate: (\S+) (\d+) (\{.*?\}) (\{.*?\})", text)
    for name, status, first, last in lines[:most] if most > 0 else lines[most:]:
        begun, ended = json.loads(first), json.loads(last)
        span = (ended["ms"] - begun["ms"]) / 1000
        found[name] = Rate(ended["verified"], (ended["verified"] - begun["verified"]) / span if span else 0,
                           status == "0" and ended["final"] and ended["verified"] == ended["submitted"] > 0)
    return found


def keep(version: str, where: str, selftests: dict[str, str], found: dict[str, Rate]) -> None:
    """Store a run's results where main() looks for them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{version}-{where}.json").write_text(json.dumps({
        "selftests": selftests, "rates": {name: round(rate.per_second) for name, rate in found.items()}}),
        encoding="utf-8")


def cell(run: dict, driver: str, names: list[str]) -> str:
    """Results of one algorithm in one run."""
    if driver not in run["selftests"]:
        return "-"
    numbers = [str(run["rates"][name]) for name in names if name in run["rates"]]
    return f"{run['selftests'][driver]}" + (f", {' / '.join(numbers)}" if numbers else "")


def main() -> int:
    """Print the table of stored results."""
    runs = {tuple(file.stem.split("-")): json.loads(file.read_text(encoding="utf-8"))
            for file in sorted(FOLDER.glob("*-[PV]F.json"))}
    if not runs:
        print(f"nothing was kept in {FOLDER}: run test_stock_load.py first", file=sys.stderr)
        return 1
    drivers = list(dict.fromkeys([*DRIVERS.values(), *(d for run in runs.values() for d in run["selftests"])]))
    print("| registered as | " + " | ".join(map(" ".join, runs)) + " |")
    print("|---" * (len(runs) + 1) + "|")
    for driver in drivers:
        names = [name for name, known in DRIVERS.items() if known == driver]
        print(f"| {driver} | " + " | ".join(cell(run, driver, names) for run in runs.values()) + " |")
    print("\nSelf-test, then requests a second (deflate: compression / decompression) of 8 threads; '-': not registered.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
