"""Secret scan over the work tree and the full Git history. Values are never kept, only salted fingerprints."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bqx.base.redaction import redact
from bqx.ops.secretscan_allow import Allowlist, load_allowlist
from bqx.ops.secretscan_git import Item, Repository, read_file
from bqx.ops.secretscan_lines import LineScanner


@dataclass(frozen=True, slots=True)
class Finding:
    """Where a possible secret is; `commit` is None for the work tree."""

    commit: str | None
    path: str
    line: int
    rule: str
    fingerprint: str  # scrypt of rule and value: equal for equal secrets, useless for guessing them quickly
    expired: str | None = None  # day on which its excuse ran out


@dataclass
class ScanResult:
    """What was found, what was excused, and how much was looked at."""

    findings: list[Finding] = field(default_factory=list)
    excused: list[Finding] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    files: int = 0
    blobs: int = 0
    commits: int = 0
    skipped_binary: int = 0
    skipped_large: list[str] = field(default_factory=list)
    history: bool = True
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)

    def text(self) -> str:
        """For people."""
        lines = [_line(finding) for finding in self.findings]
        past = f" and {self.blobs} blobs and messages of {self.commits} commits" if self.history else ""
        lines.append(f"scanned {self.files} files{past} in {self.seconds:.1f} s: {len(self.findings)} findings")
        if self.excused:
            lines.append(f"{len(self.excused)} excused by .secrets-allow.toml")
        lines += [f"unused excuse, remove it: {reason}" for reason in self.unused]
        if self.skipped_binary or self.skipped_large:
            large = (
                f", {len(self.skipped_large)} too large: {', '.join(self.skipped_large)}" if self.skipped_large else ""
            )
            lines.append(f"not scanned: {self.skipped_binary} binary{large}")
        return "\n".join(lines)


def scan_repository(path: Path, *, history: bool = True, today: dt.date | None = None) -> ScanResult:
    """Scan `path` (a repository, a folder of one, a file, or a plain folder) and, in a repository, its history.

    Raises CheckError when the history cannot be read whole, ConfigError for a wrong allow list.
    """
    began = time.monotonic()
    day = today or dt.datetime.now(dt.UTC).date()
    inside = Repository.around(path)
    repository = Repository(path) if inside else None
    folder = repository.root if repository else (path if path.is_dir() else path.parent)
    result = ScanResult(history=history and inside)
    collector = _Collector(load_allowlist(folder, day), day, result)
    for item in repository.tree() if repository else _plain(path):
        result.files += 1
        collector.take(item)
    if repository and history:
        result.commits = repository.commits()
        for item in repository.history():
            result.blobs += 1
            collector.take(item)
    result.unused = collector.unused() if result.history else []
    result.seconds = time.monotonic() - began
    return result


class _Collector:
    """Turns content into findings; in the history each secret is reported once a path, where it came in."""

    def __init__(self, allowlist: Allowlist, today: dt.date, result: ScanResult) -> None:
        self._allow, self._today, self._result = allowlist, today, result
        self._lines = LineScanner()
        self._told: set[tuple[bool, str, int, str, str]] = set()
        self._used: set[int] = set()

    def take(self, item: Item) -> None:
        if item.data is None:
            self._result.skipped_large.append(redact(item.path))
            return
        text = decode(item.data)
        if text is None:
            self._result.skipped_binary += 1
            return
        for number, hit in self._lines.scan(text, item.path):
            print_ = fingerprint(hit.rule, hit.value, self._allow.salt)
            key = (item.commit is None, item.path, number if item.commit is None else 0, hit.rule, print_)
            if key not in self._told:
                self._told.add(key)
                self._judge(Finding(item.commit, redact(item.path), number, hit.rule, print_), item.path)

    def _judge(self, finding: Finding, path: str) -> None:
        expired = None
        for index, entry in enumerate(self._allow.entries):
            if entry.covers(finding.rule, path, finding.fingerprint):
                self._used.add(index)
                if entry.expires >= self._today:
                    self._result.excused.append(finding)
                    return
                expired = entry.expires.isoformat()
        values = asdict(finding) | {"expired": expired}
        self._result.findings.append(Finding(**values))

    def unused(self) -> list[str]:
        return [e.reason for i, e in enumerate(self._allow.entries) if i not in self._used]


@functools.lru_cache(maxsize=65_536)
def fingerprint(rule: str, value: str, salt: str) -> str:
    """16 hex digits; slow on purpose, for a short password can be guessed from a quick hash."""
    data = f"{rule}\0{value}".encode("utf-8", "surrogateescape")
    return hashlib.scrypt(data, salt=salt.encode(), n=4096, r=8, p=1, dklen=8).hex()


def decode(data: bytes) -> str | None:
    """Text of `data` in UTF-8, UTF-16 with a mark, or Latin-1; None for binary content."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    if b"\0" in data[:8192]:
        return None
    return data.decode("utf-8", "replace")


def _plain(path: Path) -> Iterator[Item]:
    if path.is_file():
        files = [path]
    else:
        files = [Path(top) / name for top, _, names in os.walk(path) for name in sorted(names)]
    for file in files:
        item = read_file(file, file.relative_to(path).as_posix() if path.is_dir() else file.name)
        if item is not None:
            yield item


def _line(finding: Finding) -> str:
    commit = finding.commit[:12] if finding.commit else "work tree"
    late = f"  (excuse ran out on {finding.expired})" if finding.expired else ""
    return f"{commit:<12}  {finding.path}:{finding.line}  {finding.rule}  {finding.fingerprint}{late}"
