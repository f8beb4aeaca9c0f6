"""Names that follow a table's: what an index or a constraint is called once its table has a new name."""

from __future__ import annotations

import re

MAX_BYTES = 63


def size(name: str) -> int:
    """Bytes of an identifier; PostgreSQL cuts silently after 63."""
    return len(name.encode("utf-8"))


def core(old: str, new: str) -> tuple[str, str] | None:
    """The words that change, with the ones before them; None when nothing of the old name would be recognised.

    >>> core("statistics_features_eurusd_2024_07", "statistics_rate_eurusd_2024_07")
    ('statistics_features', 'statistics_rate')
    """
    a, b = old.split("_"), new.split("_")
    head = 0
    while head < min(len(a), len(b)) and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < min(len(a), len(b)) - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    if head == len(a) - tail:
        return None  # words were only put in: the old words alone say nothing
    return "_".join(a[: len(a) - tail]), "_".join(b[: len(b) - tail])


def follow(name: str, old: str, new: str) -> str:
    """`name` with the table's old name, or the words of it that change, replaced; `name` itself when it has neither.

    >>> follow("idx_bollinger_features_eurusd_ts", "bollinger_features_eurusd_2024_07", "bollinger_rate_eurusd_2024_07")
    'idx_bollinger_rate_eurusd_ts'
    """
    pairs = [(old, new)]
    if (changed := core(old, new)) is not None:
        pairs.append(changed)
    for was, becomes in pairs:
        whole = re.compile(rf"(?<![A-Za-z0-9]){re.escape(was)}(?![A-Za-z0-9])")
        if whole.search(name):
            return becomes.join(whole.split(name))
    return name
