"""A file as text, candles or rows, by its first bytes."""

from __future__ import annotations

from pathlib import Path

from bqx.base.errors import InputError
from bqx.market.importers import bi5, parquet, text
from bqx.market.importers.text import Text


def load(path: Path) -> Text:
    """The whole file; raises InputError when it is absent, damaged or of no readable kind."""
    head = _head(path)
    if head.startswith(parquet.MAGIC):
        return parquet.load(path)
    return bi5.load(path) if _candles(path, head) else text.load(path)


def peek(path: Path) -> Text:
    """Enough of it to detect the format by; size and sha256 are of that part."""
    head = _head(path)
    if head.startswith(parquet.MAGIC):
        return parquet.load(path, rows=1)
    return bi5.load(path) if _candles(path, head) else text.peek(path)


def _candles(path: Path, head: bytes) -> bool:
    """A candle file may be empty: a day without candles."""
    return bi5.is_packed(head) or path.suffix.lower() == ".bi5"


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(16)
    except OSError as exc:
        raise InputError(f"cannot be read: {exc.strerror or exc}", where=str(path)) from exc
