"""A migration's specification: what is renamed by which rules, and what must be true before and after."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bqx.base.errors import MigrationSpecError
from bqx.market.pairs import PAIRS
from bqx.store.migrate.pattern import Pattern
from bqx.store.migrate.yaml_lines import line_of, load_yaml

MONTH = r"[0-9]{4}_(?:0[1-9]|1[0-2])"
KNOWN_PLACES = {"pairs": "|".join(PAIRS), "month": MONTH}
Count = Annotated[int, Field(ge=0, strict=True)]
Name = Annotated[str, Field(min_length=1, max_length=63)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(_Part):
    """`from` and `to` are patterns; or `regex` with named groups in place of `from`."""

    source: str | None = Field(default=None, alias="from")
    regex: str | None = None
    target: Annotated[str, Field(alias="to", min_length=1)]
    strays: str | None = None


class Each(_Part):
    """Expected of every group, partitions that are done included."""

    tables: Count | None = None
    parents: Count | None = None
    partitions: Count | None = None
    partitions_per_parent: Count | None = None


class Expect(_Part):
    each: Each = Each()
    total: Count | None = None
    rows: Mapping[str, Count] = {}
    empty: tuple[str, ...] = ()
    contiguous: bool = False


class Allow(_Part):
    """What would otherwise stop the migration, each by name."""

    strays: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    publications: tuple[str, ...] = ()
    foreign: bool = False
    writers: bool = False
    source: bool = False


class Access(_Part):
    """Roles that are tried after the migration: reading, and reading with writing."""

    readers: tuple[Name, ...] = ()
    writers: tuple[Name, ...] = ()


class Spec(_Part):
    """One migration; with a `stage` its report tells what that stage lets begin.

    `places` are lists of words, `pairs`, `month`, or a regular expression in slashes.
    """

    migration: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    stage: str = ""
    title: str = ""
    reason: str = ""
    target: Literal["postgres", "lake"] = "postgres"
    schema_name: Name = Field(default="bqx", alias="schema")
    ledger_schema: Name = "bqx_migrate"
    places: Mapping[str, str | tuple[str, ...]] = {}
    group_by: str = "family"
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]
    expect: Expect = Expect()
    cascade_names: bool = True
    compatibility_views: bool = False
    mode: Literal["auto", "atomic", "batched"] = "auto"
    quiet_minutes: Annotated[float, Field(ge=0, le=10_080)] = 0.0
    lock_timeout_ms: Annotated[int, Field(ge=1, le=600_000)] = 2000
    statement_timeout_ms: Annotated[int, Field(ge=0)] = 600_000
    retries: Annotated[int, Field(ge=0, le=100)] = 5
    allow: Allow = Allow()
    access: Access = Access()
    estimate_minutes: Annotated[float, Field(gt=0)] | None = None

    @field_validator("places")
    @classmethod
    def _places_compile(cls, places: Mapping[str, str | tuple[str, ...]]) -> Mapping[str, str | tuple[str, ...]]:
        for name, value in places.items():
            try:
                re.compile(_expression(value))
            except re.error as error:
                raise ValueError(f"place {name}: {error}") from error
        return places

    @model_validator(mode="after")
    def _rules_fit(self) -> Spec:
        for i, (source, target) in enumerate(self.patterns, start=1):
            names = source.names if isinstance(source, Pattern) else tuple(source.groupindex)
            if missing := set(target.names) - set(names):
                raise ValueError(f"rule {i}: `to` uses {', '.join(sorted(missing))}, which its source does not have")
            if self.group_by not in names:
                raise ValueError(f"rule {i} has no place {self.group_by!r} to group by; set group_by")
        return self

    @cached_property
    def patterns(self) -> tuple[tuple[Pattern | re.Pattern[str], Pattern], ...]:
        """Source and target of each rule. ValueError when one cannot be read."""
        places = {"pair": KNOWN_PLACES["pairs"], "month": MONTH}
        places |= {name: _expression(value) for name, value in self.places.items()}
        out: list[tuple[Pattern | re.Pattern[str], Pattern]] = []
        for i, rule in enumerate(self.rules, start=1):
            if (rule.source is None) == (rule.regex is None):
                raise ValueError(f"rule {i} needs one of `from` and `regex`")
            try:
                source = Pattern(rule.source, places) if rule.source is not None else re.compile(str(rule.regex))
            except re.error as error:
                raise ValueError(f"rule {i}: {error}") from error
            described = places if rule.source is not None else {n: _expression(v) for n, v in self.places.items()}
            out.append((source, Pattern(rule.target, described)))
        return tuple(out)

    @cached_property
    def stray_regex(self) -> re.Pattern[str] | None:
        """What a name begins with (after anything up to an underscore) that looks like an old one."""
        heads = [
            rule.strays or (source.head if isinstance(source, Pattern) else None)
            for rule, (source, _) in zip(self.rules, self.patterns, strict=True)
        ]
        known = sorted({f"(?:{head})" for head in heads if head})
        return re.compile(rf"(?:^|_)(?:{'|'.join(known)})") if known else None

    def match(self, name: str) -> list[tuple[str, str]]:
        """(group, new name) by every rule that `name` is of, self-renames left out."""
        found = []
        for source, target in self.patterns:
            values = source.match(name) if isinstance(source, Pattern) else _groups(source, name)
            if values is not None and (new := target.render(values)) != name:
                found.append((values[self.group_by], new))
        return found

    def old_of(self, name: str) -> str | None:
        """The old name of something that looks like a rule's result, where the rule can be read backwards."""
        for source, target in self.patterns:
            values = target.match(name)
            if values is not None and isinstance(source, Pattern) and set(source.names) <= set(target.names):
                return source.render(values)
        return None

    def group_of_new(self, name: str) -> str | None:
        """Group of a name that looks like a rule's result."""
        for _, target in self.patterns:
            values = target.match(name)
            if values is not None:
                return values.get(self.group_by, "")
        return None

    def as_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()


def _expression(value: str | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return "|".join(re.escape(word) for word in sorted(value, key=len, reverse=True))
    if value in KNOWN_PLACES:
        return KNOWN_PLACES[value]
    if len(value) > 2 and value.startswith("/") and value.endswith("/"):
        return value[1:-1]
    raise re.error(f"{value!r} is no list of words, `pairs`, `month` or /regular expression/")


def _groups(source: re.Pattern[str], name: str) -> dict[str, str] | None:
    found = source.fullmatch(name)
    return None if found is None else {k: v for k, v in found.groupdict().items() if v is not None}


def parse_spec(text: str, where: str = "specification") -> Spec:
    """Read YAML; MigrationSpecError names file, line and key."""
    data, lines = load_yaml(text, where)
    if not isinstance(data, dict):
        raise MigrationSpecError("a specification is a mapping of keys", where=f"{where}:1", fix="see docs/migrate.md")
    try:
        return Spec.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = tuple(first["loc"])
        line = line_of(lines, path)
        key = ".".join(str(p) for p in path) or "rules"
        fix = "correct the value, or leave the key out for its default"
        if first["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(path[-1]), _known(path[:-1]), 1)
            fix = f"did you mean {near[0]}?" if near else f"known: {', '.join(_known(path[:-1]))}"
        if not path:
            line = line_of(lines, ("rules",))
        reason = first["msg"].removeprefix("Value error, ")
        raise MigrationSpecError(f"{key}: {reason}", where=f"{where}:{line}", fix=fix) from error


def read_spec(source: str) -> Spec:
    """From a file, or one that ships by its name, such as `1.6.9`."""
    path = Path(source)
    if not path.exists() and re.fullmatch(r"[\w.-]+", source):
        shipped = files("bqx.store.migrate") / "presets" / f"{source}.yaml"
        if shipped.is_file():
            return parse_spec(shipped.read_text(encoding="utf-8"), f"{source}.yaml (shipped)")
    try:
        return parse_spec(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise MigrationSpecError("not UTF-8", where=str(path), fix="save it as UTF-8") from error
    except OSError as error:
        raise MigrationSpecError(
            f"cannot be read: {error.strerror}", where=str(path), fix="give a YAML file"
        ) from error


def _known(path: tuple[int | str, ...]) -> list[str]:
    """Keys of the section at `path`."""
    at: Any = Spec
    for part in path:
        if isinstance(part, str):
            at = {"expect": Expect, "each": Each, "allow": Allow, "access": Access, "rules": Rule}.get(part, at)
    return [field.alias or name for name, field in at.model_fields.items()]
