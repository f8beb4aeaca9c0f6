"""The registry: every dataset and column there is; DDL, schemas, docs, counts and listings come from here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module
from typing import Any

from bqx.base.errors import ConfigError, FeatureError, UsageError
from bqx.base.runlog import event
from bqx.features.declare import EXTENSION, OURS, Column, Dataset
from bqx.features.users import Users, load_users
from bqx.market.calendar import Calendar

FAMILIES = (
    "base_bqx",
    "ohlc",
    "time",
    "returns",
    "technical",
    "statistics",
    "bollinger",
    "fibonacci",
    "volume",
    "spread",
    "momentum",
    "regime_vol",
    "regime_trend",
    "realized_volatility",
    "correlation",
    "error_correction",
    "hmm_regime",
    "cross_sectional",
)
"""Modules of `families/`, in the order their datasets are built and listed; each has DATASETS, or DATASET."""

EXTENSIONS: tuple[str, ...] = (
    "reg",
    "parabolic",
    "compare",
    "crosswindow",
    "multiscale",
    "term_covariance",
    "spectral",
    "wavelet",
    "ssa",
    "currency_index",
    "arbitrage",
    "health",
    "events",
    "microstructure",
    "liquidity",
    "market_regime",
    "volatility_surface",
)
"""Modules of `families/extensions/`, likewise: auxiliary families that a project switches on by these names."""


def _of_modules(package: str, names: Iterable[str]) -> dict[str, Dataset]:
    found: list[Dataset] = []
    for name in names:
        module = import_module(f"bqx.features.families.{package}{name}")
        found.extend(module.DATASETS if hasattr(module, "DATASETS") else (module.DATASET,))
    return {d.name: d for d in found}


@lru_cache(maxsize=1)
def own_datasets() -> Mapping[str, Dataset]:
    """The datasets of every project, by name, in the order they are built and listed."""
    return _of_modules("", FAMILIES)


@lru_cache(maxsize=1)
def extensions() -> Mapping[str, Dataset]:
    """The extensions that come with the package, by name: never counted, and in a project only when it asks."""
    found = _of_modules("extensions.", EXTENSIONS)
    for home in found.values():
        if home.counted or home.inherited or home.laggable or not home.extension:
            raise FeatureError(f"{home.name} is an extension: counted=False, stage={EXTENSION!r}, nothing else")
    return found


@lru_cache(maxsize=1)
def built_in() -> Mapping[str, Dataset]:
    """All datasets that come with the package: those of every project, then the extensions."""
    return {**own_datasets(), **extensions()}


@lru_cache(maxsize=16)
def switched_on(names: tuple[str, ...]) -> Mapping[str, Dataset]:
    """Datasets of extensions by what a project names: modules of `EXTENSIONS`, families, datasets, or `all`.

    Raises ConfigError for a name that is none of them.
    """
    if not names:  # nothing of extensions is even imported
        return {}
    chosen: set[str] = set()
    for name in names:
        found = _extensions_named(name)
        if not found:
            known = ["all", *EXTENSIONS]
            near = get_close_matches(name, [*known, *extensions()], 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ConfigError(
                f"{name!r} is no extension", where="bqx.toml, key features.extensions",
                fix=f"{hint}known: {', '.join(known)}",
            )  # fmt: skip
        chosen |= found
    return {name: home for name, home in extensions().items() if name in chosen}


def _extensions_named(name: str) -> set[str]:
    if name in EXTENSIONS:
        return set(_of_modules("extensions.", (name,)))
    return {n for n, home in extensions().items() if name in ("all", n, home.family)}


@lru_cache(maxsize=1)
def users() -> Users:
    """Families of installed packages, and the errors of those left out; each of these is logged as a warning once."""
    found = load_users(built_in())
    for error in found.problems:
        event("features.left_out", level="warning", what=error.what, where=error.where, fix=error.fix)
    return found


@lru_cache(maxsize=1)
def datasets() -> Mapping[str, Dataset]:
    """The datasets of a project that switches no extension on, by name: ours, then those of users."""
    return {**own_datasets(), **users().datasets}


def dataset(name: str) -> Dataset:
    """A dataset by name, extensions too, on or off; raises UsageError with the nearest names."""
    known = datasets()
    if name not in known:
        known = {**known, **extensions()}
    if name not in known:
        near = get_close_matches(name, known, 3)
        fix = f"did you mean {', '.join(near) if near else ', '.join(known)}?"
        out = "; ".join(error.what for error in users().problems)
        raise UsageError(f"unknown dataset {name!r}", fix=f"{fix} ({out})" if out else fix)
    return known[name]


def column(path: str) -> tuple[Dataset, Column]:
    """`dataset.column`, or a column name that only one dataset has."""
    head, dot, tail = path.partition(".")
    if dot:
        home = dataset(head)
        if tail not in home.by_name:
            near = get_close_matches(tail, home.by_name, 3) or list(home.by_name)[:5]
            raise UsageError(f"{head} has no column {tail!r}", fix=f"it has {', '.join(near)} ...")
        return home, home.by_name[tail]
    homes = [d for d in datasets().values() if path in d.by_name]
    homes = homes or [d for d in extensions().values() if path in d.by_name]
    if len(homes) != 1:
        names = ", ".join(f"{d.name}.{path}" for d in homes)
        raise UsageError(
            f"column {path!r} is in {len(homes)} datasets",
            fix=f"write one of {names}" if homes else "`bqx features list`",
        )
    return homes[0], homes[0].by_name[path]


def earliest(home: Dataset, minute: int, calendar: Calendar, columns: Iterable[str] | None = None) -> int:
    """Segment start from which bars must be loaded so that values at `minute` and later are right to the last bit."""
    chosen = home.columns if columns is None else [home.by_name[c] for c in columns]
    supports = {c.support for c in chosen}
    first = min((s.earliest(minute, calendar) for s in supports), default=minute)
    return calendar.segment_start(first)


def count(chosen: Sequence[Dataset]) -> dict[str, int]:
    """Sizes of the catalogue: datasets, columns, counted, inherited, laggable, auxiliary, and columns of users."""
    counted = [d for d in chosen if d.counted]
    total = sum(len(d.columns) for d in counted)
    return {
        "datasets": len(chosen),
        "columns": sum(len(d.columns) for d in chosen),
        "counted": total,
        "inherited": sum(len(d.columns) for d in counted if d.inherited),
        "laggable": sum(len(d.columns) for d in counted if d.laggable),
        "auxiliary": sum(len(d.columns) for d in chosen if not d.counted and d.origin == OURS),
        "users": sum(len(d.columns) for d in chosen if d.origin != OURS),
    }


def describe(home: Dataset, item: Column) -> dict[str, Any]:
    """One object a column, as `bqx features list --json` prints it."""
    low, high = item.bounds
    return {
        "dataset": home.name,
        "column": item.name,
        "unit": item.unit,
        "warmup": item.warmup,
        "policy": item.policy,
        "stage": home.stage,
        "counted": home.counted,
        "inherited": home.inherited,
        "laggable": home.laggable,
        "signal_domain": home.signal_domain(item.name),
        "formula": item.formula,
        "source": item.source,
        "dtype": item.dtype,
        "bounds": [None if low == -float("inf") else low, None if high == float("inf") else high],
        "tags": sorted(item.tags),
        "why_tagged": item.why_tagged,
        "alias_of": item.alias_of,
        "version": home.version,
        "origin": home.origin,
    }
