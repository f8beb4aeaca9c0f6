"""Secrets in files: a folder mounted by an orchestrator, or a TOML file of mode 0600."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any

from bqx.base.errors import SecretError
from bqx.base.secret_provider import CachedProvider

_MAX_BYTES = 65_536


class FileProvider(CachedProvider):
    """`path` is a folder with one file a secret, or a TOML file of ``name = "value"`` lines.

    A file must belong to this user or root and be closed to group and others. The one exception is what an
    orchestrator mounts: owned by root, not writable by group or others, on a read-only file system.
    Raises SecretError otherwise, with the command that mends it. `outside` is a folder it may not lie in.
    """

    def __init__(self, path: Path, *, outside: Path | None = None, **cache: Any) -> None:
        super().__init__(**cache)
        self._path = Path(path).expanduser()
        self._outside = outside

    def probe(self) -> str:
        self._refuse_tree()
        if self._path.is_dir():
            with os.scandir(self._path) as entries:
                count = sum(not entry.name.startswith(".") for entry in entries)
            return f"folder {self._path}, {count} secrets"
        return f"file {self._path}, {len(self._table())} secrets"

    def _fetch(self, name: str) -> str:
        self._refuse_tree()
        if self._path.is_dir():
            text = _read_private(self._path / name)
            return text[:-1] if text.endswith("\n") else text
        table = self._table()
        if name not in table:
            raise SecretError(f"no secret {name!r}", where=str(self._path), fix=f'add a line {name} = "..." there')
        value = table[name]
        if not isinstance(value, str):
            raise SecretError(f"the secret {name!r} is not text", where=str(self._path), fix="put it in quotes")
        return value

    def _table(self) -> dict[str, Any]:
        try:
            return tomllib.loads(_read_private(self._path))
        except tomllib.TOMLDecodeError as error:
            # the parser's message may quote the line, so it is not passed on
            raise SecretError("the secrets file is not valid TOML", where=str(self._path)) from error

    def _refuse_tree(self) -> None:
        """A secrets file inside a project or a Git work tree will be committed one day."""
        real = self._path.resolve()
        inside = self._outside is not None and real.is_relative_to(self._outside.resolve())
        if inside or any((parent / ".git").exists() for parent in real.parents):
            raise SecretError(
                "secrets may not lie inside the project or a Git work tree",
                where=str(self._path),
                fix="move them, for example to ~/.config/bqx, and set secrets.path",
            )


def refusal(info: os.stat_result, *, read_only: bool, uid: int) -> str | None:
    """Why a file with this `info` may not hold secrets; None when it may."""
    mode = stat.S_IMODE(info.st_mode)
    if not stat.S_ISREG(info.st_mode):
        return "it is not a regular file"
    if info.st_uid not in (uid, 0):
        return f"it belongs to user {info.st_uid}, not to {uid} or root"
    mounted = info.st_uid == 0 and read_only and not mode & 0o022
    if mode & 0o077 and not mounted:
        return f"mode {mode:04o} lets group or others in"
    return None


def _read_private(path: Path) -> str:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SecretError(
            f"no secret {path.name!r}: {error.strerror}",
            where=str(path),
            fix="check secrets.path and the mount",
        ) from error
    with os.fdopen(handle, "rb") as file:
        read_only = bool(os.fstatvfs(handle).f_flag & os.ST_RDONLY)
        why = refusal(os.fstat(handle), read_only=read_only, uid=os.geteuid())
        if why:
            raise SecretError(f"refused to read a secret: {why}", where=str(path), fix=f"chmod 600 {path}")
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise SecretError(f"larger than {_MAX_BYTES} bytes, so it is no secret", where=str(path))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SecretError("a secret that is not UTF-8 text", where=str(path)) from error
