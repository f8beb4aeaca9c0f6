"""Streams what a Git repository holds: work tree, index, and every blob and message of every commit."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bqx.base.errors import CheckError

MAX_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of content; `commit` is None for work tree and index; `data` None when too large to scan."""

    commit: str | None
    path: str
    data: bytes | None


class Repository:
    """Read access to the Git repository around `path`."""

    def __init__(self, path: Path) -> None:
        self._spec = path.resolve()
        if shutil.which("git") is None:
            raise CheckError("git is not installed", fix="install git, or scan with --no-history outside a repository")
        start = self._spec if self._spec.is_dir() else self._spec.parent
        self.root = Path(os.fsdecode(_git(start, "rev-parse", "--show-toplevel")).rstrip("\n"))

    @staticmethod
    def around(path: Path) -> bool:
        """Whether `path` lies in a Git work tree."""
        real = path.resolve()
        return any((folder / ".git").exists() for folder in (real, *real.parents))

    def tree(self) -> Iterator[Item]:
        """Files on disk that are tracked or not ignored, then staged versions that differ from the disk."""
        for name in sorted(
            set(_names(self._run("ls-files", "-z", "-co", "--exclude-standard", "--", str(self._spec))))
        ):
            item = read_file(self.root / name, name)
            if item is not None:
                yield item
        changed = self._run("diff-files", "--name-only", "-z", "--", str(self._spec))
        for name in _names(changed):
            for entry in _names(self._run("ls-files", "-s", "-z", "--", f":(top,literal){name}")):
                blob = entry.split(" ")[1]
                yield from self._blobs([(None, name, blob)])

    def history(self) -> Iterator[Item]:
        """Every blob that any commit of any ref, stash or reflog introduced, oldest first; all messages and tags."""
        if self._run("rev-parse", "--is-shallow-repository").strip() == b"true":
            raise CheckError(
                "the clone is shallow, so its history cannot be scanned",
                where=str(self.root),
                fix="git fetch --unshallow (in CI: fetch depth 0), or --no-history",
            )
        yield from self._messages()
        yield from self._blobs(self._introduced())

    def commits(self) -> int:
        """How many commits `history` covers."""
        return len(self._run("rev-list", "--all", "--reflog").split())

    def _introduced(self) -> Iterator[tuple[str, str, str]]:
        log = self._run(
            "log", "--all", "--reflog", "--topo-order", "--reverse", "--root", "-m", "--raw", "--no-abbrev",
            "--no-renames", "--no-ext-diff", "--no-textconv", "-z", "--format=commit %H", "--", str(self._spec),
        )  # fmt: skip
        commit, seen = "", set()
        tokens = iter(os.fsdecode(log).split("\0"))
        for token in tokens:
            token = token.lstrip("\n")
            if token.startswith("commit "):
                commit, _, rest = token[7:].partition("\n")
                token = rest.lstrip("\n")
            if not token.startswith(":"):
                continue
            path = next(tokens)
            _, mode, _, blob, _ = token.split(" ")
            if mode not in ("000000", "160000") and (blob, path) not in seen:
                seen.add((blob, path))
                yield commit, path, blob

    def _messages(self) -> Iterator[Item]:
        for entry in self._run("log", "--all", "--reflog", "-z", "--format=%H%n%B").split(b"\0"):
            commit, _, body = entry.lstrip(b"\n").partition(b"\n")
            if commit:
                yield Item(commit.decode(), "<commit message>", body)
        for line in self._run("for-each-ref", "--format=%(objecttype) %(objectname) %(refname)").decode().splitlines():
            kind, tag, name = line.split(" ", 2)
            if kind == "tag":
                yield Item(tag, f"<tag {name.removeprefix('refs/tags/')}>", self._run("cat-file", "tag", tag))

    def _blobs(self, wanted: Iterable[tuple[str | None, str, str]]) -> Iterator[Item]:
        with subprocess.Popen(
            ["git", "-C", str(self.root), "cat-file", "--batch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for commit, path, blob in wanted:
                process.stdin.write(f"{blob}\n".encode())
                process.stdin.flush()
                yield Item(commit, path, _read_object(process.stdout, blob))
            process.stdin.close()

    def _run(self, *arguments: str) -> bytes:
        return _git(self.root, *arguments)


def read_file(path: Path, name: str) -> Item | None:
    """A file of the work tree; a link gives its target; None for folders, sub-modules and vanished files."""
    if path.is_symlink():
        return Item(None, name, os.fsencode(path.readlink()))
    if not path.is_file():
        return None
    if path.stat().st_size > MAX_BYTES:
        return Item(None, name, None)
    return Item(None, name, path.read_bytes())


def _read_object(stream: IO[bytes], blob: str) -> bytes | None:
    header = stream.readline().split()
    if len(header) != 3:
        raise CheckError(f"git has no object {blob}", fix="run git fsck; in a partial clone fetch everything first")
    size = int(header[2])
    keep = size <= MAX_BYTES
    data = bytearray()
    while size > 0:
        chunk = stream.read(min(size, 1 << 20))
        if not chunk:
            raise CheckError(f"git stopped in the middle of object {blob}", fix="run git fsck")
        size -= len(chunk)
        if keep:
            data += chunk
    stream.read(1)
    return bytes(data) if keep else None


def _git(where: Path, *arguments: str) -> bytes:
    done = subprocess.run(
        ["git", "-C", str(where), "-c", "core.quotePath=false", *arguments],
        capture_output=True,
        env=_environment(),
        check=False,
    )
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise CheckError(
            f"git {arguments[0]} failed: {words[0] if words else 'no message'}",
            where=str(where),
            fix="mend that, or --no-history",
        )
    return done.stdout


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_PAGER": "cat"}


def _names(listing: bytes) -> list[str]:
    return [name for name in os.fsdecode(listing).split("\0") if name]
