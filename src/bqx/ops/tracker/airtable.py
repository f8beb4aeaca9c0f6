"""The Airtable tracker: exact codes, whole listings, batches of 10, words checked against the base's own schema."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from bqx.base.errors import TrackerAccess, TrackerError, TrackerSchema, Unsupported
from bqx.base.secrets import SecretProvider
from bqx.ops.tracker.airtable_schema import Column, columns, held
from bqx.ops.tracker.client import Client
from bqx.ops.tracker.clock import SYSTEM, Clock
from bqx.ops.tracker.limiter import limit, shared_limiter
from bqx.ops.tracker.mapping import TableMap, TrackerMap
from bqx.ops.tracker.outbox import Value
from bqx.ops.tracker.port import Change, Found

if TYPE_CHECKING:
    from pyairtable import Api
    from pyairtable.api.table import Table

NEEDED = ("data.records:read", "data.records:write", "schema.bases:read")
_MAY_WRITE = ("edit", "create", "owner")
TIMEOUT_S = (5.0, 30.0)


class AirtableTracker:
    """One base. Token and base id come from `provider`, again after its 15 minutes, and are kept nowhere else.

    Reads and writes go to the tables of `mapping`. A record is found by the key field alone, compared in full, by the
    server and again here. `endpoint` and `timeout_s` (connect, read) are for tests; `patience_s` bounds each read.
    """

    name = "airtable"
    batch = 10

    def __init__(
        self,
        provider: SecretProvider,
        mapping: TrackerMap,
        *,
        token_name: str = "airtable-token",  # noqa: S107 - a name
        base_name: str = "airtable-base",
        endpoint: str | None = None,
        clock: Clock | None = None,
        timeout_s: tuple[float, float] = TIMEOUT_S,
        patience_s: float = 120.0,
        rng: random.Random | None = None,
    ) -> None:
        self._provider, self._mapping = provider, mapping
        self._names, self._endpoint, self._timeout_s = (token_name, base_name), endpoint, timeout_s
        clock = clock or SYSTEM
        self._limiter = shared_limiter(clock, endpoint or "")
        self._client = Client(clock, patience_s=patience_s, rng=rng)
        self._columns: dict[str, dict[str, Column]] = {}
        self._session: Api | None = None

    @property
    def identity(self) -> str:
        return f"{self.name} {hashlib.sha256(self._base_id().encode()).hexdigest()[:8]}"

    def probe(self) -> str:
        api, base = self._api(), self._base_id()
        who = self._client.read("ask Airtable whose token it is", api.whoami)
        scopes = who.get("scopes")
        if scopes is not None:
            lacking = [scope for scope in NEEDED if scope not in scopes]
            if lacking:
                raise TrackerAccess(f"the token lacks {', '.join(lacking)}", where="Airtable", fix="add these scopes")
        bases = self._client.read("list the bases of the token", lambda: api.bases(force=True))
        mine = [b for b in bases if b.id == base]
        if not mine:
            raise TrackerAccess("the token does not reach the base", where="Airtable", fix="add the base to the token")
        if mine[0].permission_level not in _MAY_WRITE:
            raise TrackerAccess(
                f"the token's owner may only {mine[0].permission_level} in the base",
                where="Airtable",
                fix="ask for edit",
            )
        schema = self._client.read("read the base's schema", lambda: api.base(base).schema(force=True))
        self._columns = {name: columns(table, schema.tables) for name, table in self._mapping.tables.items()}
        more = [scope for scope in scopes or () if scope not in NEEDED]
        spare = f"; scopes it does not need: {', '.join(sorted(more))}" if more else ""
        return f"Airtable base with {len(schema.tables)} tables, {len(self._columns)} of them mapped{spare}"

    def shown(self, code: str, fields: Mapping[str, Value]) -> dict[str, Value]:
        table = self._mapping.table_of(code)
        known = self._known(table)
        out = {}
        for name, value in fields.items():
            if name in table.ignore:
                continue
            where = f"{self._mapping.where}, table {table.table}, field {name} of {code}"
            if name not in table.fields:
                raise TrackerSchema(
                    f"the mapping has no field for {name}", where=where, fix="add it to `fields`, or to `ignore`"
                )
            out[name] = held(known[table.fields[name]], table.word(name, value, where), where)
        return out

    def read(self, codes: Collection[str] | None = None) -> dict[str, Found]:
        found: dict[str, Found] = {}
        for table in self._mapping.tables.values():
            mine = None if codes is None else [c for c in codes if self._mapping.table_of(c) is table]
            if mine is None or mine:
                found.update(self._read(table, mine))
        return found

    def write(self, changes: Sequence[Change]) -> None:
        for table in self._mapping.tables.values():
            mine = [c for c in changes if self._mapping.table_of(c.code) is table]
            old: list[Any] = [
                {"id": c.found.handle, "fields": _named(table, c.fields)} for c in mine if c.found is not None
            ]
            new: list[Any] = [
                {"fields": {table.key: table.prefix + c.code, **_named(table, c.fields)}}
                for c in mine
                if c.found is None
            ]
            at = self._table(table)
            if old:
                done = self._client.write(f"change {len(old)} records", partial(at.batch_update, old))
                self._confirm(table, done, {c.code for c in mine if c.found is not None})
            if new:
                made = self._client.write(f"make {len(new)} records", partial(at.batch_upsert, new, [table.key]))
                self._confirm(table, made["records"], {c.code for c in mine if c.found is None})

    def _read(self, table: TableMap, codes: Sequence[str] | None) -> dict[str, Found]:
        options: dict[str, Any] = {"fields": [table.key, *table.fields.values()]}
        if codes is not None:
            from pyairtable.formulas import EQ, OR, Field

            options["formula"] = OR(*(EQ(Field(table.key), table.prefix + code) for code in codes))
        at, wanted = self._table(table), None if codes is None else set(codes)
        pages = self._client.read("list records", lambda: list(at.iterate(**options)))
        found: dict[str, Found] = {}
        for record in (record for page in pages for record in page):
            code = _code(table, record)
            if code is None or not table.takes(code) or (wanted is not None and code not in wanted):
                continue
            there = record["fields"]
            fields = {ours: there.get(theirs) for ours, theirs in table.fields.items()}
            copies = found[code].copies + 1 if code in found else 1
            found[code] = Found(code, copies, fields if copies == 1 else {}, record["id"] if copies == 1 else "")
        return found

    def _confirm(self, table: TableMap, records: Sequence[Any], codes: set[str]) -> None:
        """The server names what it wrote; anything but the records asked for stops everything."""
        named = {_code(table, record) for record in records}
        if named != codes:
            raise TrackerError(
                f"asked to write {len(codes)} records, the tracker answered with others",
                where=f"table {table.table}",
                fix="look at the table's revision history before anything else is sent",
            )

    def _known(self, table: TableMap) -> dict[str, Column]:
        if not self._columns:
            self.probe()
        return next(self._columns[name] for name, own in self._mapping.tables.items() if own is table)

    def _base_id(self) -> str:
        return self._provider.get(self._names[1]).reveal()

    def _table(self, table: TableMap) -> Table:
        return self._api().table(self._base_id(), table.table)

    def _api(self) -> Api:
        try:
            from pyairtable import Api
        except ModuleNotFoundError:
            raise Unsupported("pyairtable is not installed", fix="pip install 'bqx[airtable]'") from None
        token = self._provider.get(self._names[0]).reveal()
        if self._session is None or self._session.api_key != token:
            more: dict[str, Any] = {} if self._endpoint is None else {"endpoint_url": self._endpoint}
            self._session = Api(token, timeout=self._timeout_s, retry_strategy=None, **more)  # type: ignore[arg-type]
            limit(self._session.session, self._limiter)
        return self._session


def _code(table: TableMap, record: Mapping[str, Any]) -> str | None:
    """Our code of a record; None for one of somebody else's."""
    key = record["fields"].get(table.key)
    if not isinstance(key, str) or not key.startswith(table.prefix):
        return None
    return key[len(table.prefix) :]


def _named(table: TableMap, fields: Mapping[str, Value]) -> dict[str, Value]:
    return {table.fields[name]: value for name, value in fields.items()}
