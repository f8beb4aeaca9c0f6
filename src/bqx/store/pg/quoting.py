"""Names and literals in SQL: always through psycopg's own quoting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bqx.base.errors import UsageError

if TYPE_CHECKING:
    from psycopg import sql

MAX_NAME = 63
"""Bytes; the server cuts longer names off without an error."""


def name(*parts: str) -> sql.Identifier:
    """`"schema"."table"`; raises UsageError for a part that the server would cut off."""
    from psycopg import sql

    for part in parts:
        if not part or "\0" in part or len(part.encode()) > MAX_NAME:
            raise UsageError(f"{part!r} cannot name a table or schema", fix=f"use 1 to {MAX_NAME} bytes")
    return sql.Identifier(*parts)
