"""Hosts that share nothing but PostgreSQL and S3: a project folder each, in network namespaces where they can be."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from small_project import PAIRS

from bqx.build.project import Project
from s3_server import BUCKET, keys, secret_folder

NET = "10.203.77"
BRIDGE = f"{NET}.1"
"""Address of this machine as the namespaces see it."""


def project_folder(root: Path, dsn: str, endpoint: str) -> Path:
    """A project whose manifest is in PostgreSQL and whose files are in S3, with secrets of its own beside it."""
    Project.create(root, pairs=PAIRS).close()
    folder = secret_folder(root.with_name(f"{root.name}-secrets"), fx_db=dsn, fx_s3=keys())
    text = (root / "bqx.toml").read_text()
    for old, new in (
        ('manifest = "sqlite"', 'manifest = "postgres"\nserver = "fx-db"'),
        ('files = "local"', f'files = "s3"\nbucket = "{BUCKET}"\nendpoint = "{endpoint}"\ncredentials = "fx-s3"'),
        ('provider = "none"', f'provider = "file"\npath = "{folder}"'),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    (root / "bqx.toml").write_text(text)
    (root / "manifest.sqlite").unlink()
    return root


def why_no_namespaces() -> str:
    """Why network namespaces cannot be made here; empty when they can."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "network namespaces need root and `ip`"
    name = f"bqxprobe{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        return f"ip netns add: {made.stderr.strip()}"
    linked = subprocess.run(
        ["ip", "link", "add", "bqxprobe0", "type", "veth", "peer", "name", "bqxprobe1"],
        capture_output=True, text=True,
    )  # fmt: skip
    subprocess.run(["ip", "link", "del", "bqxprobe0"], capture_output=True)
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return "" if linked.returncode == 0 else f"ip link add: {linked.stderr.strip()}"


class Namespaces:
    """`count` namespaces on a bridge; `prefix(k)` runs a command in the k-th, `cut(k)` pulls its plug."""

    def __init__(self, count: int) -> None:
        self._tag = f"bq{os.getpid() % 100000}"
        self._names: list[str] = []
        try:
            _ip("link", "add", self._tag, "type", "bridge")
            _ip("addr", "add", f"{BRIDGE}/24", "dev", self._tag)
            _ip("link", "set", self._tag, "up")
            for k in range(count):
                self._add(k)
        except BaseException:
            self.close()
            raise

    def _add(self, k: int) -> None:
        name, here, there = f"{self._tag}n{k}", f"{self._tag}h{k}", f"{self._tag}p{k}"
        _ip("netns", "add", name)
        self._names.append(name)
        _ip("link", "add", here, "type", "veth", "peer", "name", there)
        _ip("link", "set", there, "netns", name)
        _ip("link", "set", here, "master", self._tag, "up")
        _ip("-n", name, "addr", "add", f"{NET}.{10 + k}/24", "dev", there)
        _ip("-n", name, "link", "set", there, "up")
        _ip("-n", name, "link", "set", "lo", "up")

    def prefix(self, k: int) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self._names[k])

    def cut(self, k: int) -> None:
        """No packet leaves it or comes in any more, and nobody is told."""
        _ip("link", "set", f"{self._tag}h{k}", "down")

    def close(self) -> None:
        for name in self._names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        subprocess.run(["ip", "link", "del", self._tag], capture_output=True)


@contextmanager
def namespaces(count: int) -> Iterator[Namespaces]:
    made = Namespaces(count)
    try:
        yield made
    finally:
        made.close()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
