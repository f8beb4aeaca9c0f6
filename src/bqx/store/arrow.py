"""Hand a DuckDB result to Polars without pyarrow."""

from __future__ import annotations

from typing import Any


class ArrowStream:
    """The Arrow stream of `relation`, and nothing else of it.

    Polars remembers the types it has seen until the process ends; remembering DuckDB's own keeps its module alive,
    which then prints a page of warnings. So this type stands in, and this file must not import DuckDB.
    """

    __slots__ = ("_relation",)

    def __init__(self, relation: Any) -> None:
        self._relation = relation

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._relation.__arrow_c_stream__(requested_schema)
