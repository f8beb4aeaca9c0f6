"""Which format a file is in, judged by what is in it and never by its name."""

from __future__ import annotations

from bqx.base.errors import InputError
from bqx.market.importers import fxcm, lean, metatrader
from bqx.market.importers.text import Text

FORMATS = ("metatrader", "fxcm", "lean")


def detect(text: Text) -> str:
    """One of FORMATS; raises InputError for anything else."""
    if text.entry != text.path.name:  # it came out of a zip
        lean.entry_of(text)
        return "lean"
    if fxcm.matches(text.data):
        return "fxcm"
    if metatrader.matches(text.data):
        return "metatrader"
    raise InputError(
        f"is in no known format; it begins {metatrader.first_line(text.data)[:80]!r}",
        where=text.where(1),
        fix=f"known formats: {', '.join(FORMATS)}; see docs/importing.md, or name one with --format",
    )
