"""Which format a file is in, judged by what is in it and never by its name."""

from __future__ import annotations

from bqx.base.errors import InputError
from bqx.market.importers import dukascopy, fxcm, histdata, lean, mapped, metatrader
from bqx.market.importers.bi5 import Candles
from bqx.market.importers.parquet import Rows
from bqx.market.importers.text import Text

FORMATS = ("metatrader", "histdata", "fxcm", "lean", "dukascopy", "bi5", "table")


def detect(text: Text) -> str:
    """One of FORMATS; raises InputError for anything else."""
    if isinstance(text, Candles):
        return "bi5"
    if isinstance(text, Rows):
        return "table"
    for format in (fxcm, histdata, dukascopy, metatrader):
        if format.matches(text.data):
            return format.__name__.rpartition(".")[2]
    if text.entry != text.path.name:  # it came out of a zip
        lean.entry_of(text)
        return "lean"
    if mapped.matches(text):
        return "table"
    raise InputError(
        f"is in no known format; it begins {metatrader.first_line(text.data)[:80]!r}",
        where=text.where(1),
        fix=f"known formats: {', '.join(FORMATS)}; see docs/importing.md, or name one with --format or --map",
    )
