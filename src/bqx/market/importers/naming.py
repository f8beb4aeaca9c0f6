"""The pair and the venue of a file, from its name and folders."""

from __future__ import annotations

import re
from pathlib import Path

from bqx.base.errors import UsageError
from bqx.market.pairs import CURRENCIES, PAIRS, parse_pair

_CODES = "|".join(CURRENCIES)
_TOKEN = re.compile(rf"(?<![a-z])({_CODES})[/_\-]?({_CODES})")


def pair_of(path: Path, given: str | None, entry: str = "") -> str:
    """The pair `given`, else the one named by the zip entry, the file, or its folder; UsageError when unclear."""
    if given:
        return parse_pair(given).name
    for name in (entry, path.name, path.parent.name):
        found = {a + b for a, b in _TOKEN.findall(name.lower()) if a != b}
        if len(found) > 1:
            raise UsageError(f"the name {name!r} holds several pairs", where=str(path), fix="give --pair")
        if found:
            pair = str(found.pop())
            if pair not in PAIRS:
                raise UsageError(
                    f"the name {name!r} says {pair}, which the market quotes as {pair[3:]}{pair[:3]}",
                    where=str(path),
                    fix="bqx does not invert prices; give --pair if the name is wrong",
                )
            return pair
    raise UsageError(
        "the name does not say which pair it holds", where=str(path), fix="give --pair, e.g. --pair EURUSD"
    )


def venue_of(path: Path) -> str:
    """Lean's folders are `forex/<venue>/minute/<pair>/`; the venue, or an empty string."""
    parts = [p.lower() for p in path.absolute().parts]
    at = max((i for i, p in enumerate(parts) if p == "minute"), default=0)
    return parts[at - 1] if at >= 2 and parts[at - 2] in ("forex", "cfd") else ""
