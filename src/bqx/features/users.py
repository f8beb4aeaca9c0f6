"""Families of users: what installed packages declare under the entry point group `bqx.families`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points

from bqx.base.errors import FeatureError
from bqx.features.declare import Dataset

GROUP = "bqx.families"
_DATASET = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*_(?:rate|bqx|dual)")
_COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_TAKEN = frozenset({"pair", "ts_utc"})


@dataclass(frozen=True)
class Users:
    """Datasets of users by name, and why other packages were left out: one that is broken costs no other."""

    datasets: Mapping[str, Dataset]
    problems: tuple[FeatureError, ...]


def load_users(ours: Mapping[str, Dataset]) -> Users:
    """Load every entry point once, in the order of distribution and name; `ours` are the names that are taken.

    An entry point is a Dataset or a tuple of them. They are stored, checked and queried like ours, and never counted.
    """
    found: dict[str, Dataset] = {}
    problems: list[FeatureError] = []
    for point in sorted(entry_points(group=GROUP), key=lambda p: (_distribution(p), p.name)):
        try:
            new = {d.name: d for d in _admitted(point, {**ours, **found})}
        except FeatureError as error:
            problems.append(error)
        else:
            found.update(new)
    return Users(found, tuple(problems))


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "unknown distribution"


def _admitted(point: EntryPoint, taken: Mapping[str, Dataset]) -> list[Dataset]:
    """The datasets of one entry point; raises FeatureError naming its distribution."""
    origin = _distribution(point)
    where = f"{origin}, entry point {point.name} = {point.value}"
    fix = f"mend or uninstall {origin}; everything else works without it"
    try:
        value = point.load()
    except Exception as error:
        raise FeatureError(
            f"families of {origin} cannot be loaded: {type(error).__name__}: {error}", where=where, fix=fix
        ) from error
    out: list[Dataset] = []
    for item in value if isinstance(value, (tuple, list)) else (value,):
        reason = _refusal(item, {**taken, **{d.name: d for d in out}})
        if reason:
            raise FeatureError(f"families of {origin} are left out: {reason}", where=where, fix=fix)
        out.append(replace(item, counted=False, origin=origin))
    return out


def _refusal(item: object, taken: Mapping[str, Dataset]) -> str:
    return next(_reasons(item, taken), "")


def _reasons(item: object, taken: Mapping[str, Dataset]) -> Iterator[str]:
    if not isinstance(item, Dataset):
        yield f"the entry point gives {type(item).__name__}, not a Dataset or a tuple of Datasets"
        return
    name = item.name
    if not _DATASET.fullmatch(name):
        yield f"{name!r} is not a dataset name: {{family}}_{{rate|bqx|dual}} in lower case"
    if name in taken:
        yield f"dataset {name} is already one of {taken[name].origin}"
    for claim in ("inherited", "laggable", "stage"):
        if getattr(item, claim):
            yield f"{name} claims {claim}={getattr(item, claim)!r}, which only bqx's own datasets have"
    if not item.columns:
        yield f"{name} has no columns"
    for column in item.columns:
        if not _COLUMN.fullmatch(column.name) or column.name in _TAKEN:
            yield f"{name} has a column named {column.name!r}: letters, digits and _, not pair or ts_utc"
    try:
        _ = item.code_hash
    except (TypeError, OSError) as error:
        yield f"the source of {name}'s compute cannot be read, so its code has no hash: {error}"
