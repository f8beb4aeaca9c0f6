"""bqx: point-in-time FX features from 1-minute bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bqx.base.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from bqx.build.project import Project

__all__ = ["__version__", "open"]


def open(path: str | Path = ".", *, as_of: str | None = None) -> Project:
    """Open a project folder; see :class:`bqx.build.project.Project`."""
    from bqx.build.project import Project

    return Project.open(path, as_of=as_of)
