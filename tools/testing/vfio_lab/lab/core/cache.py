# SPDX-License-Identifier: GPL-2.0
"""Cache of downloads and builds, keyed by their inputs.

Layout of the cache directory::

    entries/KIND__VERSION__KEY/   complete and immutable
    trees/KIND__VERSION__KEY/     working trees for incremental builds
    tmp/NAME.RANDOM/            incomplete; removed at the next start
    locks/NAME                  flock()ed by the process that makes NAME
    locks/NAME.used             flock()ed, shared, by each process that uses NAME
    durations.json              how long parts took to build, for forecasts
    logs/                       the last log of each step
    apt/                        the private apt configuration and its lists

A complete entry is moved to entries/ by one rename(), so that all of entries/ is usable.
A tree cannot be renamed (build systems write absolute paths).  It has two marks instead:
``.whole`` once it is prepared, and ``.busy`` while a process changes it.  If the holder
of its lock finds ``.busy``, a build was killed, and the tree is discarded.

An entry in use by a process is not removed until that process ends.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .disk import used
from .errors import LabError

KEY_LENGTH = 16
Waiting = Callable[[str], None]
DAY = 24 * 60 * 60.0
#: Entries unused for so long are removed; of each kind, all but the two most recently used
#: are removed after a day, because changed sources made them obsolete.
UNUSED_SECONDS = 14 * DAY
OBSOLETE_SECONDS = DAY
STAY = 2
#: The locks by which this process keeps the entries that it uses.
_held: dict[Path, IO[str]] = {}


def default_root() -> Path:
    """The cache directory: VFIO_LAB_CACHE, or vfio-lab in the user's cache directory."""
    own = os.environ.get("VFIO_LAB_CACHE")
    if own:
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    # The XDG specification: a relative path there is invalid and ignored.
    if not base or not os.path.isabs(base):
        base = str(Path.home() / ".cache")
    return Path(base) / "vfio-lab"


def digest(inputs: Mapping[str, object]) -> str:
    """The key for these inputs.

    A Path stands for the content beneath it (file names, modes and bytes), any
    other value for its JSON text.
    """
    total = hashlib.sha256()
    for name in sorted(inputs):
        value = inputs[name]
        text = hash_path(value) if isinstance(value, Path) else json.dumps(value, sort_keys=True)
        total.update(f"{name}={text}\n".encode())
    return total.hexdigest()[:KEY_LENGTH]


def hash_path(path: Path) -> str:
    """A hash of a file's content, or of a directory's files with their names."""
    total = hashlib.sha256()
    if path.is_dir():
        for one in sorted(p for p in path.rglob("*") if p.is_file()):
            total.update(f"{one.relative_to(path)} {hash_path(one)}\n".encode())
    else:
        total.update(b"x" if os.access(path, os.X_OK) else b"-")
        total.update(path.read_bytes())
    return total.hexdigest()


def _write_about(folder: Path, about: tuple[str, str, str]) -> None:
    """Record what is in an entry's directory: kind, version, key.  In a copy of another entry that
    was made of links, the file is that one's."""
    (folder / ".about").unlink(missing_ok=True)
    (folder / ".about").write_text(json.dumps(about), encoding="utf-8")


@dataclass(frozen=True)
class Entry:
    """One thing in the cache, for status."""

    kind: str
    version: str
    key: str
    path: Path
    made: float
    used: float
    is_tree: bool

    @property
    def name(self) -> str:
        """The entry's name, which is also its lock's."""
        return self.path.name

    def size(self) -> int:
        """What it takes on disk."""
        return used(self.path)


#: entered while a process waits for an entry or builds it; the tests' limits of time
#: do not count that
untimed: Callable[[], AbstractContextManager[object]] = nullcontext


def _name(kind: str, version: str, key: str) -> str:
    # Build systems refuse ':' in a path, so the true version lies in .about.
    return f"{kind}__{re.sub('[^A-Za-z0-9.+-]', '-', version)}__{key}"


class Cache:
    """A cache directory; many processes of many clones may share one."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root if root is not None else default_root()
        try:
            for name in ("entries", "trees", "tmp", "locks", "logs"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LabError(f"cannot create the cache directory {self.root}: {error.strerror}; "
                           f"set VFIO_LAB_CACHE to another directory.") from error
        self.sweep()

    def log(self, name: str) -> Path:
        """A fresh log of this name; the one before is gone."""
        path = self.root / "logs" / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        return path

    # Locks

    @contextmanager
    def lock(self, name: str, waiting: Waiting | None = None) -> Iterator[None]:
        """Hold the lock of a name; ``waiting`` is called once if another process holds it."""
        with open(self.root / "locks" / name, "w", encoding="utf-8") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting is not None:
                    waiting(f"waiting for another process that builds {name.partition('__')[0]}")
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _try_lock(self, name: str) -> Iterator[bool]:
        with open(self.root / "locks" / name, "w", encoding="utf-8") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def _hold(self, name: str) -> None:
        """Prevent the removal of an entry until this process ends."""
        path = self.root / "locks" / f"{name}.used"
        if path in _held:
            return
        try:
            handle = open(path, "a", encoding="utf-8")
        except OSError:
            # The cache is read-only, so its entries cannot be removed either.
            return
        fcntl.flock(handle, fcntl.LOCK_SH)
        _held[path] = handle

    @contextmanager
    def _try_unused(self, name: str) -> Iterator[bool]:
        """Whether no other process uses an entry; for the body, none begins to."""
        path = self.root / "locks" / f"{name}.used"
        ours = _held.pop(path, None)
        handle = ours or open(path, "a", encoding="utf-8")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if ours:
                fcntl.flock(ours, fcntl.LOCK_SH)
                _held[path] = ours
            else:
                handle.close()
            yield False
            return
        with handle:
            yield True

    def sweep(self) -> None:
        """Remove what killed builds left in tmp/; running builds hold their locks."""
        for left in (self.root / "tmp").iterdir():
            name = left.name.rpartition(".")[0]
            with self._try_lock(name) as ours:
                if ours:
                    _remove(left)

    # Entries

    def peek(self, kind: str, version: str, key: str) -> Path | None:
        """The entry if it exists; builds nothing."""
        name = _name(kind, version, key)
        path = self.root / "entries" / name
        if not path.is_dir():
            return None
        self._hold(name)
        if not path.is_dir():       # it was being removed
            return None
        self._touch(path)
        return path

    def newest(self, kind: str) -> Entry | None:
        """The youngest entry of a kind, whatever it was made from."""
        found = [entry for entry in self.entries() if entry.kind == kind and not entry.is_tree]
        for entry in sorted(found, key=lambda entry: entry.made, reverse=True):
            self._hold(entry.name)
            if entry.path.is_dir():
                return entry
        return None

    def entry(self, kind: str, version: str, key: str, build: Callable[[Path], None],
              waiting: Waiting | None = None) -> Path:
        """The entry's directory, made by ``build(folder)`` if it is not there yet.

        One process builds, others wait for it.  If build
        raises, nothing remains.
        """
        found = self.peek(kind, version, key)
        if found is not None:
            return found
        name = _name(kind, version, key)
        path = self.root / "entries" / name
        with untimed(), self.lock(name, waiting):
            found = self.peek(kind, version, key)
            if found is not None:
                return found
            half = Path(tempfile.mkdtemp(prefix=name + ".", dir=self.root / "tmp"))
            try:
                half.chmod(0o755)
                build(half)
                _write_about(half, (kind, version, key))
                self._touch(half)
                self._hold(name)
                os.rename(half, path)
            except BaseException:
                _remove(half)
                raise
        return path

    @contextmanager
    def tree(self, kind: str, version: str, key: str, prepare: Callable[[Path], None],
             waiting: Waiting | None = None, resumes: bool = False) -> Iterator[Path]:
        """A working tree, locked for the body, made by ``prepare(folder)`` at first.

        The body may change it.  It survives a body that fails with an
        ordinary exception, such as a compiler's error, but not one that was
        interrupted, unless it ``resumes``: continues what an interrupted one has left.
        """
        name = _name(kind, version, key)
        path = self.root / "trees" / name
        with ExitStack() as stack:
            with untimed():
                stack.enter_context(self.lock(name, waiting))
                if not (path / ".whole").exists() or (path / ".busy").exists():
                    self._prepare(path, (kind, version, key), prepare)
            self._touch(path)
            if resumes:
                yield path
                return
            (path / ".busy").touch()
            try:
                yield path
            except Exception:
                (path / ".busy").unlink()
                raise
            (path / ".busy").unlink()

    @staticmethod
    def _prepare(path: Path, about: tuple[str, str, str], prepare: Callable[[Path], None]) -> None:
        _remove(path)
        path.mkdir()
        try:
            prepare(path)
        except BaseException:
            _remove(path)
            raise
        _write_about(path, about)
        (path / ".whole").touch()

    @staticmethod
    def _touch(path: Path) -> None:
        try:
            (path / ".used").touch()
        except OSError:
            # A cache that is read only for us still serves.
            pass

    # Looking and cleaning

    def entries(self) -> list[Entry]:
        """All that is whole, by kind and version."""
        found = []
        for top, is_tree in (("entries", False), ("trees", True)):
            for path in (self.root / top).iterdir():
                if is_tree and not (path / ".whole").exists():
                    continue
                try:
                    about = path / ".about"
                    kind, version, key = json.loads(about.read_text(encoding="utf-8"))
                    made = about.stat().st_mtime
                    last = (path / ".used").stat().st_mtime
                except (OSError, ValueError):
                    # Being removed by another process.
                    continue
                found.append(Entry(kind, version, key, path, made, last, is_tree))
        return sorted(found, key=lambda entry: (entry.kind, entry.version, entry.made))

    def clean(self, keep: Callable[[Entry], bool] = lambda entry: False) -> tuple[list[Entry], list[Entry]]:
        """Remove the entries for which ``keep`` is false; returns the removed, and
        those that are in use.

        What another process uses, builds or changes at the moment is left alone.
        """
        gone, in_use = [], []
        for entry in self.entries():
            if keep(entry):
                continue
            with self._try_lock(entry.name) as ours, self._try_unused(entry.name) as unused:
                if not ours or not unused:
                    in_use.append(entry)
                    continue
                # Out of entries/ first: a removal that is interrupted must not
                # leave half an entry that looks whole.
                doomed = self.root / "tmp" / f"{entry.name}.{time.monotonic_ns()}"
                os.rename(entry.path, doomed)
                _remove(doomed)
                gone.append(entry)
        return gone, in_use

    def evict(self, now: float | None = None) -> list[Entry]:
        """Remove the entries that have become old; returns them."""
        now = time.time() if now is None else now
        last: dict[tuple[str, bool], list[Entry]] = {}
        for entry in sorted(self.entries(), key=lambda entry: entry.used, reverse=True):
            last.setdefault((entry.kind, entry.is_tree), []).append(entry)
        old = {entry.path for entries in last.values() for rank, entry in enumerate(entries)
               if now - entry.used > (UNUSED_SECONDS if rank < STAY else OBSOLETE_SECONDS)}
        return self.clean(lambda entry: entry.path not in old)[0] if old else []

    def forget_lists(self) -> None:
        """Remove the logs, and the lists of packages that no other process is using."""
        for folder in (self.root / "apt").glob("*"):
            with self._try_lock(f"apt-{folder.name}") as ours:
                if ours:
                    _remove(folder)
        _remove(self.root / "logs")


def _remove(path: Path) -> None:
    """Remove a directory or file, as far as it is there."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    shutil.rmtree(path, ignore_errors=True)
    if path.exists() and os.geteuid() != 0 and shutil.which("sudo"):
        # What a killed command of root's left.  If sudo needs a password, the next
        # start tries again.
        subprocess.run(["sudo", "-n", "rm", "-rf", "--", str(path)], check=False,
                       stdin=subprocess.DEVNULL, capture_output=True)
