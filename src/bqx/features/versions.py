"""The lock of declarations: `python -m bqx.features.versions --write` keeps it, a test demands it.

A column that means something else under the same name must not pass for the one that was built before. The lock holds
a hash of what each column promises and its dataset's version: a changed promise needs a raised `Dataset.version`,
which makes its partitions stale. A changed kernel makes them stale by its code hash alone.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bqx.base.atomic import write_text
from bqx.features.catalogue import built_in, describe
from bqx.features.declare import Column, Dataset

FILE = Path(__file__).with_name("versions.json")
PROMISED = ("unit", "warmup", "policy", "formula", "dtype", "bounds", "tags")
"""Fields of a declaration that say what a value is; words such as source and summary may change freely."""

Lock = Mapping[str, Mapping[str, Any]]


def promise_hash(home: Dataset, item: Column) -> str:
    """Hash of what is promised of a column."""
    record = describe(home, item)
    text = json.dumps([record[name] for name in PROMISED], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def make_lock(homes: Iterable[Dataset]) -> dict[str, dict[str, Any]]:
    """{dataset: {"version", "columns": {column: hash}}}."""
    return {
        home.name: {"version": home.version, "columns": {c.name: promise_hash(home, c) for c in home.columns}}
        for home in homes
    }


def read_lock() -> Lock:
    """The lock in the package; empty when there is none."""
    found: Lock = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    return found


def unraised(lock: Lock, homes: Iterable[Dataset]) -> list[str]:
    """What changed although the version did not: one line a dataset, saying what to do."""
    out = []
    for home in homes:
        old, new = lock.get(home.name), make_lock([home])[home.name]
        if old is None or old == new or home.version > old["version"]:
            continue
        if home.version < old["version"]:
            out.append(f"{home.name}: version {home.version}, but {old['version']} is out: versions only rise")
            continue
        before, after = old["columns"], new["columns"]
        parts = {
            "changed": [name for name in after if name in before and before[name] != after[name]],
            "added": [name for name in after if name not in before],
            "removed": [name for name in before if name not in after],
        }
        if not any(parts.values()):
            parts["in another order"] = list(after)
        words = "; ".join(f"{what} {', '.join(names[:5])}" for what, names in parts.items() if names)
        fix = f"set version={home.version + 1} in its declaration, then `make versions`"
        out.append(f"{home.name} is still version {home.version}, but {words}: {fix}")
    return out


def outdated(lock: Lock, homes: Iterable[Dataset]) -> list[str]:
    """Datasets that the lock does not hold as they are, or that are gone."""
    now = make_lock(homes)
    return [name for name in sorted({*lock, *now}) if lock.get(name) != now.get(name)]


def main(arguments: list[str]) -> int:
    """Say what is wrong with the lock; --write brings it up to date unless a version was not raised, --accept also
    then: for datasets that nobody has built yet. Exit code 1 when something is left to do."""
    homes = list(built_in().values())
    lock = read_lock()
    wrong = [] if "--accept" in arguments else unraised(lock, homes)
    stale = outdated(lock, homes)
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong or not stale:
        return int(bool(wrong))
    if "--write" not in arguments and "--accept" not in arguments:
        print(f"the lock is out of date for {', '.join(stale)}: `make versions`", file=sys.stderr)
        return 1
    write_text(FILE, json.dumps(make_lock(homes), indent=1) + "\n")
    print(f"{FILE.name}: {', '.join(stale)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
