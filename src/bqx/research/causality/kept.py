"""Runs of a project on disk: what was asked, how far it is, and the finished tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bqx.base.atomic import write_text
from bqx.base.errors import CausalityError, CausalityStateError
from bqx.research.causality.run import FOLDER, Causality
from bqx.research.causality.settings import Settings

ASKED, DONE = "asked.json", "links.json"


def folder_of(root: Path, settings: Settings) -> Path:
    return root / FOLDER / settings.digest


def begin(root: Path, settings: Settings, run_id: str) -> Path:
    """Note what is asked before it is; the folder of the run."""
    folder = folder_of(root, settings)
    if not (folder / ASKED).is_file():
        data = {"digest": settings.digest, "run_id": run_id, "settings": settings.as_dict()}
        write_text(folder / ASKED, json.dumps(data, indent=2) + "\n")
    return folder


def finish(folder: Path, found: Causality) -> Path:
    write_text(folder / DONE, json.dumps(found.as_dict(), indent=1, allow_nan=False) + "\n")
    return folder / DONE


def listing(root: Path) -> list[dict[str, Any]]:
    """Runs, the latest begun last: `digest`, what was asked, `finished`, parts done, questions and links kept."""
    out = []
    for path in sorted((root / FOLDER).glob(f"*/{ASKED}"), key=lambda p: (p.stat().st_mtime_ns, p.parent.name)):
        asked = _read(path)
        done = _read(path.parent / DONE) if (path.parent / DONE).is_file() else None
        s = asked["settings"]
        out.append(
            {
                "digest": asked["digest"],
                "methods": s["methods"],
                "series": s["kinds"],
                "pairs": len(s["pairs"]),
                "features": len(s["features"]),
                "start": s["start"],
                "end": s["end"],
                "finished": done is not None,
                "parts": len(list((path.parent / "parts").glob("*.json"))),
                "questions": len(done["links"]) if done else None,
                "kept": sum(link["kept"] for link in done["links"]) if done else None,
            }
        )
    return out


def load(root: Path, name: str | None = None) -> Causality:
    """A finished run by the beginning of its digest, or the latest; CausalityError when there is none, or several."""
    runs = [row for row in listing(root) if row["finished"] and row["digest"].startswith(name or "")]
    if not runs:
        what = f"no finished causality run {name!r}" if name else "no finished causality run"
        raise CausalityError(
            what, where=str(root / FOLDER), fix="`bqx causality list` shows them, `bqx causality run` makes one"
        )
    if name and len(runs) > 1:
        raise CausalityError(f"{len(runs)} runs begin with {name!r}", fix="give more of the digest")
    path = root / FOLDER / runs[-1]["digest"] / DONE
    try:
        return Causality.from_dict(_read(path))
    except (KeyError, TypeError) as exc:
        raise CausalityStateError(f"{DONE} is not of this version: {exc}", where=str(path), fix="run it again") from exc


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise CausalityStateError(f"{path.name} cannot be read: {exc}", where=str(path)) from exc
    if not isinstance(data, dict):
        raise CausalityStateError(f"{path.name} holds no object", where=str(path))
    return data
