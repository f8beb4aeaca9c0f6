"""Hosts that share nothing but PostgreSQL and S3: a project folder each, in network namespaces where they can be."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bqx.build.project import Project
from dask_cluster import Cluster, free_port
from s3_server import BUCKET, S3Server, keys, secret_folder

NET = "10.203.77"
BRIDGE = f"{NET}.1"
"""Address of this machine as the namespaces see it."""


def project_folder(root: Path, dsn: str, endpoint: str, pairs: Sequence[str]) -> Path:
    """A project whose manifest is in PostgreSQL and whose files are in S3, with secrets of its own beside it."""
    Project.create(root, pairs=pairs).close()
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


def _sweep() -> None:
    """Take away what a killed process left: its bridge has the address that ours needs."""
    links = subprocess.run(["ip", "-o", "link", "show", "type", "bridge"], capture_output=True, text=True).stdout
    for pid in re.findall(r": bq(\d+):", links):
        if not Path(f"/proc/{pid}").exists():
            for name in (f"bq{pid}n0", f"bq{pid}n1"):
                subprocess.run(["ip", "netns", "del", name], capture_output=True)
            subprocess.run(["ip", "link", "del", f"bq{pid}"], capture_output=True)


class Namespaces:
    """`count` namespaces on a bridge; `prefix(k)` runs a command in the k-th, `cut(k)` pulls its plug."""

    def __init__(self, count: int) -> None:
        self._tag = f"bq{os.getpid() % 100000}"
        self._names: list[str] = []
        _sweep()
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


class TwoHosts:
    """A coordinator's project at `root`, a cluster with a worker on each of two hosts, S3; what starts goes to `stack`.

    apart : hosts are network namespaces, which reach PostgreSQL by relays; else two folders of this machine.
    """

    def __init__(self, folder: Path, dsn: str, stack: ExitStack, pairs: Sequence[str], *, apart: bool = False) -> None:
        self._nets = stack.enter_context(namespaces(2)) if apart else None
        host = BRIDGE if self._nets else "127.0.0.1"
        folder.mkdir(parents=True, exist_ok=True)
        self.storage = stack.enter_context(S3Server(host))
        self.root = project_folder(folder / "here", dsn, self.storage.endpoint, pairs)
        self.cluster = stack.enter_context(Cluster(folder / "cluster", host))
        self.roots = [project_folder(folder / f"host{k}", dsn, self.storage.endpoint, pairs) for k in range(2)]
        port, door = int(dict(word.split("=", 1) for word in dsn.split())["port"]), free_port()
        if self._nets:
            self._relay(stack, (), BRIDGE, door, "127.0.0.1", port)
        for k in range(2):
            if self._nets:
                self._relay(stack, self._nets.prefix(k), "127.0.0.1", port, BRIDGE, door)
            self.start_worker(k)
        self.cluster.ready()

    def start_worker(self, k: int) -> None:
        self.cluster.worker(root=self.roots[k], prefix=self._nets.prefix(k) if self._nets else ())

    def cut(self, k: int) -> None:
        """No packet leaves host k or comes in any more, and nobody is told."""
        assert self._nets is not None
        self._nets.cut(k)

    def restart(self) -> None:
        """Another scheduler at the same address, and new workers, as a supervisor would start them."""
        self.cluster.restart_scheduler()
        for k in range(2):
            self.start_worker(k)

    def reach_storage_by(self, endpoint: str) -> None:
        """Coordinator and workers speak to the storage through `endpoint` from now on."""
        for root in (self.root, *self.roots):
            text = (root / "bqx.toml").read_text()
            (root / "bqx.toml").write_text(text.replace(self.storage.endpoint, endpoint))

    def _relay(self, stack: ExitStack, prefix: tuple[str, ...], *way: str | int) -> None:
        made = subprocess.Popen([*prefix, sys.executable, str(RELAY), *map(str, way)])
        stack.callback(made.wait)
        stack.callback(made.kill)


RELAY = Path(__file__).with_name("relay.py")
