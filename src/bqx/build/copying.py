"""`bqx store copy` as a function: which store to copy from, and the bars that go with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bqx.base.errors import UsageError
from bqx.base.settings import StoreSettings
from bqx.build.stores import MANIFEST_NAME, open_features, open_files, open_manifest, project_config
from bqx.store.transfer import Copied, carry_bars, copy_partitions

if TYPE_CHECKING:
    from bqx.base.config import Config
    from bqx.build.project import Project


def copy_into(
    project: Project,
    source: Path | None = None,
    *,
    dry_run: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> Copied:
    """Partitions of the project at `source`, or of this folder's other store; see `bqx.store.transfer`."""
    root = project.root if source is None else source
    config = _other(project) if source is None else project_config(root, {})
    with closing(open_manifest(root, config)) as manifest:
        bars = carry_bars(manifest, open_files(root, config), project.manifest, project.files, dry_run=dry_run)
        features = open_features(root, config, manifest, open_files(root, config))
        done = copy_partitions(features, project.store, dry_run=dry_run, progress=progress)
    return replace(done, bars=bars)


def _other(project: Project) -> Config:
    """The same settings with the other kind of store."""
    config = project.config
    kind = "postgres" if config.store.kind == "lake" else "lake"
    if kind == "lake" and not (project.root / MANIFEST_NAME).is_file():
        raise UsageError(
            f"there is no {MANIFEST_NAME} here", where=str(project.root), fix="name a project to copy from"
        )
    if kind == "postgres" and config.store.server is None:
        raise UsageError("no server is named", where="store.server", fix="set it, or name a project to copy from")
    store = StoreSettings.model_validate(config.store.model_dump() | {"kind": kind, "manifest": "sqlite"})
    other = config.model_copy(update={"store": store})
    other._root = config.root
    return other
