"""Plans from YAML, strictly: an unknown key, a wrong type, an unknown id or a cycle is refused with its path."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from bqx.base.errors import PlanError, UsageError
from bqx.ops.plan.criteria import parse_criterion
from bqx.ops.plan.fields import Fields, document
from bqx.ops.plan.model import Aspect, Line, Phase, Plan, PrintedTotal, Register, Stage
from bqx.ops.plan.register import register_from

FOLDER = Path(__file__).parent / "data"
CURRENT = "v3.0"
"""The plan that `bqx stage` runs."""


def versions() -> tuple[str, ...]:
    """Plans that come with the package."""
    return tuple(sorted(path.name for path in FOLDER.iterdir() if (path / "plan.yaml").is_file()))


@lru_cache(maxsize=8)
def load_plan(version: str = CURRENT) -> Plan:
    """A plan by version; raises UsageError for an unknown one, PlanError for one that contradicts itself."""
    if version not in versions():
        raise UsageError(f"there is no plan {version!r}", fix=f"there are {', '.join(versions())}")
    return read_plan(FOLDER / version)


def read_plan(folder: Path) -> Plan:
    """The plan in `folder`: plan.yaml and, where they exist, tasks.yaml, totals.yaml, register.yaml."""
    paths = [folder / f"{name}.yaml" for name in ("plan", "tasks", "totals", "register")]
    texts = {path.stem: path.read_text(encoding="utf-8") for path in paths if path.is_file()}
    digest = hashlib.sha256("\0".join(f"{k}\n{v}" for k, v in sorted(texts.items())).encode()).hexdigest()[:16]
    top = Fields(document(texts["plan"], f"{folder.name}/plan.yaml"), f"{folder.name}/plan.yaml")
    basis = top.map("basis")
    raw = [_stage(f) for f in top.list("stages")]
    if "tasks" in texts:
        where = f"{folder.name}/tasks.yaml"
        raw += [_task(f) for f in Fields(document(texts["tasks"], where), where).list("tasks")]
    stages = _linked(raw, folder.name)
    phases = {p.id: p for p in (_phase(f) for f in top.list("phases"))}
    for stage in stages.values():
        if stage.phase not in phases:
            raise PlanError(f"stage {stage.id} is of an unknown phase {stage.phase!r}", where=folder.name)
    lines: tuple[Line, ...] = ()
    totals: tuple[PrintedTotal, ...] = ()
    if "totals" in texts:
        where = f"{folder.name}/totals.yaml"
        found = Fields(document(texts["totals"], where), where)
        lines = tuple(_line(f) for f in found.list("lines"))
        totals = tuple(_total(f) for f in found.list("totals"))
        found.done()
    register = Register()
    if "register" in texts:
        register = register_from(texts["register"], f"{folder.name}/register.yaml", stages)
    if "blockers" in top:
        from bqx.ops.plan.register import blocker

        register = Register(
            register.risks,
            register.lessons,
            register.approvals,
            tuple(blocker(f, stages) for f in top.list("blockers")),
        )
    aspects = top.map("aspects") if "aspects" in top else None
    plan = Plan(
        version=top.text("version"),
        title=top.text("title"),
        dated=top.get("dated", date),
        digest=digest,
        pairs=int(basis.number("pairs")),
        months=int(basis.number("months")),
        hours_a_week=basis.number("hours_a_week"),
        stages=stages,
        phases=phases,
        catalogue=top.text("catalogue", ""),
        aspects={name: _aspect(aspects.map(name)) for name in aspects.names} if aspects else {},
        lines=lines,
        totals=totals,
        register=register,
    )
    top.done()
    _ = plan.order  # refuses cycles
    return plan


def expand(patterns: Sequence[str], known: Sequence[str], where: str) -> tuple[str, ...]:
    """Ids that `patterns` (ids or globs) name; PlanError for one that names nothing.

    >>> expand(["1.7.*"], ["1.6.9", "1.7.1", "1.7.2"], "here")
    ('1.7.1', '1.7.2')
    """
    out: dict[str, None] = {}
    for pattern in patterns:
        found = [name for name in known if fnmatchcase(name, pattern)]
        if not found:
            raise PlanError(f"unknown stage {pattern!r}", where=where, fix="name a stage of the same plan")
        out.update(dict.fromkeys(found))
    return tuple(out)


def _linked(raw: Sequence[Stage], version: str) -> dict[str, Stage]:
    """By id, with the patterns of `after` and `advised` expanded."""
    from dataclasses import replace

    ids = [stage.id for stage in raw]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise PlanError(f"stage {twice[0]!r} is declared twice", where=version)
    out = {}
    for stage in raw:
        others = [name for name in ids if name != stage.id]
        where = f"{version}, stage {stage.id}"
        # a glob never means the stage itself, an id in `after` may: that is a cycle, and is named as one
        after = expand(stage.after, ids, f"{where}, after")
        for text in stage.exit:
            if stage.kind in ("pipeline", "task") and not text.startswith(("manual:", "cloud:")):
                parse_criterion(text, ids, f"{where}, exit")
        out[stage.id] = replace(stage, after=after, advised=expand(stage.advised, others, f"{where}, advised"))
    return out


def _stage(f: Fields) -> Stage:
    printed = f.map("printed") if "printed" in f else None
    kind = f.text("kind", "features")
    if kind not in ("features", "migration", "pipeline"):
        raise PlanError(f"{kind!r} is no kind of stage", where=f.where)
    stage = Stage(
        id=f.text("id"),
        name=f.text("name"),
        phase=f.text("phase"),
        kind=kind,  # type: ignore[arg-type]  # checked above
        domain=f.text("domain"),
        owner=f.text("owner"),
        hours=f.number("hours") if "hours" in f else None,
        after=f.texts("after"),
        advised=f.texts("advised"),
        features=int(printed.number("features")) if printed and "features" in printed else None,
        tables=int(printed.number("tables")) if printed and "tables" in printed else None,
        exit=f.texts("exit") or (("values-as-declared",) if kind == "features" else ()),
        commands=f.texts("commands"),
        result=f.text("result", ""),
        why=f.text("why", ""),
    )
    f.done()
    return stage


def _task(f: Fields) -> Stage:
    name = f.text("id")
    stage = Stage(
        id=name,
        name=f.text("name"),
        phase=name.rpartition(".")[0],
        kind="task",
        domain="all",
        owner=f.text("owner"),
        hours=f.number("hours"),
        after=f.texts("after"),
        exit=f.texts("exit") or (f"manual: {f.text('acceptance')}",),
        result=f.text("result"),
        acceptance=f.text("acceptance"),
        since=f.text("since", ""),
        commands=f.texts("commands"),
        suite=f.texts("suite"),
    )
    f.done()
    return stage


def _phase(f: Fields) -> Phase:
    return Phase(f.text("id"), f.text("name"), f.number("hours") if "hours" in f else None)


def _aspect(f: Fields) -> Aspect:
    return Aspect(f.number("value"), f.text("unit", ""), f.text("note", ""))


def _line(f: Fields) -> Line:
    found = Line(
        f.text("domain"), f.text("name"), int(f.number("features")), int(f.number("tables")), f.texts("datasets")
    )
    f.done()
    return found


def _total(f: Fields) -> PrintedTotal:
    ours: Mapping[str, Any] | None = dict(f.map("ours").raw) if "ours" in f else None
    found = PrintedTotal(f.text("what"), f.number("printed"), dict(f.map("lines").raw), ours, f.text("why", ""))
    f.done()
    return found
