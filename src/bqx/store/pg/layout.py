"""Where things are in the database: three schemas, and the names of tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bqx.base.errors import ConfigError
from bqx.store.partition import PartitionKey
from bqx.store.pg.quoting import name

if TYPE_CHECKING:
    from psycopg import sql

_PLAIN = re.compile(r"[a-z][a-z0-9_]{0,47}")


@dataclass(frozen=True, slots=True)
class Layout:
    """`schema` holds the feature tables and nothing else; the manifest and what adopt moves aside lie beside it."""

    schema: str = "bqx"

    def __post_init__(self) -> None:
        if not _PLAIN.fullmatch(self.schema):
            raise ConfigError(
                f"{self.schema!r} cannot be the schema",
                where="store.namespace",
                fix="use lower-case letters, digits, _",
            )

    @property
    def manifest(self) -> str:
        return f"{self.schema}_manifest"

    @property
    def legacy(self) -> str:
        return f"{self.schema}_legacy"

    def root(self, dataset: str) -> sql.Identifier:
        """The partitioned table of a dataset, `LIST (pair)`."""
        return name(self.schema, dataset)

    def pair_table(self, dataset: str, pair: str) -> sql.Identifier:
        """A pair's part of it, `RANGE (ts_utc)`."""
        return name(self.schema, f"{dataset}_{pair}")

    def leaf(self, key: PartitionKey) -> sql.Identifier:
        """The table that holds a partition's rows; it bears the partition's name."""
        return name(self.schema, key.name)
