"""Files that are absent or complete: temp file in the same folder, fsync, rename, fsync of the folder."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bqx.base.errors import DiskError
from bqx.base.faults import fault

_serial = itertools.count()
_MARK = ".tmp-"


def is_temporary(path: Path) -> bool:
    """Whether `path` is the temp file of an interrupted write: safe to delete once its process is gone."""
    return path.name.startswith(".") and _MARK in path.name


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temp path to write; on a clean exit it becomes `path` for good, on an error it is removed.

    Makes missing parent folders. Raises DiskError when the disk or quota is full.
    """
    path = Path(path)
    temp = path.with_name(f".{path.name}{_MARK}{os.getpid()}-{next(_serial)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temp
        fault("after-temp-write")
        _fsync(temp, os.O_RDONLY)
        fault("after-fsync")
        temp.replace(path)
        fault("after-rename")
        fsync_dir(path.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskError(
                f"no space left to write {path.name}",
                where=str(path.parent),
                fix="free space and run it again",
            ) from error
        raise
    finally:
        temp.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, wholly or not at all."""
    with replacing(path) as temp:
        temp.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` in UTF-8, newlines as given."""
    write_bytes(path, text.encode("utf-8"))


def sweep(folder: Path) -> None:
    """Delete the temp files in `folder` whose process is gone."""
    for path in folder.glob(f".*{_MARK}*"):
        pid = path.name.rpartition(_MARK)[2].partition("-")[0]
        if pid.isdigit() and not alive(int(pid)):
            path.unlink(missing_ok=True)


def alive(pid: int) -> bool:
    """Whether a process of that number runs on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def fsync_dir(path: Path) -> None:
    """Make renames and deletions inside folder `path` durable."""
    _fsync(path, os.O_RDONLY | os.O_DIRECTORY)


def _fsync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
