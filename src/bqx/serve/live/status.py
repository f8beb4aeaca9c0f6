"""The live folder as people see it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.base.errors import LiveStateError
from bqx.build.gather import gather
from bqx.market.calendar import datetime_of
from bqx.serve.live.identity import identity
from bqx.serve.live.snapshots import Snapshots

if TYPE_CHECKING:
    from bqx.build.project import Project


def folder_of(project: Project) -> Path:
    return project.root / "live"


def states(project: Project) -> list[dict[str, Any]]:
    """Newest first: minute (ISO), bytes, verdict (`usable`, or why not)."""
    if not folder_of(project).is_dir():
        return []
    inputs, _ = gather(project)
    out = []
    with closing(Snapshots(folder_of(project))) as found:
        for path in found.newest_first():
            try:
                names = found.datasets(path)
                homes = [project.catalogue[name] for name in names if name in project.catalogue]
                found.load(path, identity(inputs, homes, project.bars, *found.span(path)))
                verdict = "usable"
            except LiveStateError as error:
                verdict = error.what
            minute = f"{datetime_of(found.minute(path)):%Y-%m-%dT%H:%MZ}"
            out.append({"minute": minute, "bytes": path.stat().st_size, "verdict": verdict, "file": path.name})
    return out


def put_aside(project: Project, *, dry_run: bool = False) -> list[str]:
    """Names of the snapshots and the journal; they are kept under names that are not used again."""
    folder = folder_of(project)
    if not folder.is_dir():
        return []
    with closing(Snapshots(folder)) as found:
        paths = [*found.newest_first(), *folder.glob("*.journal")]
        for path in paths:
            if not dry_run:
                mark = 0
                while (target := path.with_name(f"{path.name}.aside{mark}")).exists():
                    mark += 1
                path.replace(target)
    return [path.name for path in paths]
