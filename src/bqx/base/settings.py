"""The settings of a project: sections, keys, defaults and what each value may be."""

from __future__ import annotations

import difflib
import ipaddress
import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, field_validator

_PAIRS = (
    "audcad audchf audjpy audnzd audusd cadchf cadjpy chfjpy euraud eurcad eurchf eurgbp eurjpy eurnzd "
    "eurusd gbpaud gbpcad gbpchf gbpjpy gbpnzd gbpusd nzdcad nzdchf nzdjpy nzdusd usdcad usdchf usdjpy"
)
ALL_PAIRS: tuple[str, ...] = tuple(_PAIRS.split())  # bqx.market.pairs.PAIRS, by test: base may not import market
SEED_T0 = "2024-07-01T00:00:00+00:00"
_SECRET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(?:/[A-Za-z0-9][A-Za-z0-9_.-]*)*")
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _as_list(value: object) -> object:
    return value.replace(",", " ").split() if isinstance(value, str) else value


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProjectSettings(_Section):
    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")] = "bqx"
    pairs: Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1)] = ALL_PAIRS
    t0: str = "auto"
    calendar: Annotated[str, Field(min_length=1)] = "default"

    @field_validator("pairs")
    @classmethod
    def _known_pairs(cls, pairs: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple("".join(c for c in p.lower() if c.isalpha()) for p in pairs)
        for name in names:
            if name not in ALL_PAIRS:
                near = difflib.get_close_matches(name, ALL_PAIRS, 1)
                hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(ALL_PAIRS)}"
                raise ValueError(f"unknown pair {name!r}{hint}")
        if len(set(names)) < len(names):
            raise ValueError(f"pairs named twice: {', '.join(sorted({n for n in names if names.count(n) > 1}))}")
        return tuple(sorted(names))

    @field_validator("t0")
    @classmethod
    def _instant(cls, text: str) -> str:
        if text in ("auto", "seed"):
            return text
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{text!r} is not 'auto', 'seed' or an ISO time such as 2024-07-01T00:00Z") from None
        if at.tzinfo is None or at.second or at.microsecond:
            raise ValueError(f"{text!r} must be a whole minute with its offset, such as 2024-07-01T00:00Z")
        return text

    @property
    def t0_minute(self) -> int | None:
        """T0 in minutes since 1970 UTC; None for ``auto``."""
        if self.t0 == "auto":
            return None
        at = datetime.fromisoformat(SEED_T0 if self.t0 == "seed" else self.t0)
        return int((at - _EPOCH).total_seconds()) // 60


def _private(host: str) -> bool:
    """Whether `host` is this machine or an address of a private network."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_private
    except ValueError:
        return False


class StoreSettings(_Section):
    """kind : where features are kept. manifest : where names are, `postgres` for several hosts; a store in PostgreSQL
    has its manifest in the same database whatever this says. server : name of the secret that holds the DSN.
    namespace : schema of the feature tables. files : where the lake's and the bars' files are; s3 needs a bucket.
    endpoint : of an S3 other than AWS's. credentials : name of the secret with the keys; the machine's role without.
    cache_gb : what of the bucket is kept on this disk after it was read."""

    kind: Literal["lake", "postgres"] = "lake"
    manifest: Literal["sqlite", "postgres"] = "sqlite"
    server: str | None = None
    namespace: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")] = "bqx"
    files: Literal["local", "s3"] = "local"
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] | None = None
    prefix: Annotated[str, Field(pattern=r"^([A-Za-z0-9_.=-]+/)*$")] = ""
    endpoint: str | None = None
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] | None = None
    credentials: Annotated[str, Field(pattern=_SECRET_NAME.pattern)] | None = None
    cache_gb: Annotated[float, Field(gt=0, le=65536, allow_inf_nan=False)] = 20.0
    codec: Literal["lz4", "zstd", "uncompressed"] = "lz4"
    keep_generations: Annotated[int, Field(ge=1, le=1000)] = 1

    @field_validator("server")
    @classmethod
    def _no_dsn(cls, name: str | None) -> str | None:
        if name is not None and not _SECRET_NAME.fullmatch(name):
            raise ValueError("this is the name of a secret that holds the DSN, not the DSN itself")
        return name

    @field_validator("endpoint")
    @classmethod
    def _endpoint(cls, text: str | None) -> str | None:
        """Plain http only inside one's own network: keys are not sent, but bars and features are."""
        found = re.fullmatch(r"(https?)://([^/@\s:]+|\[[0-9a-fA-F:]+\])(:\d+)?/?", text or "")
        if text is None or (found and (found[1] == "https" or _private(found[2].strip("[]")))):
            return text
        raise ValueError("this is no address like https://host:port; plain http is for localhost and private addresses")

    @property
    def on_server(self) -> bool:
        """Whether the manifest is in PostgreSQL."""
        return self.kind == "postgres" or self.manifest == "postgres"


class FeaturesSettings(_Section):
    """extensions : families beside the catalogue that this project builds, by name, or `all`; see docs/extensions.md.
    Their names are known to the catalogue, which checks them. schedule : CSV file of events and of when each was
    published, for the extension `events`; relative to the project."""

    extensions: Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], ...], BeforeValidator(_as_list)] = ()
    schedule: str = ""


class BuildSettings(_Section):
    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    memory_gb: Annotated[float, Field(gt=0, le=65536, allow_inf_nan=False)] = 5.0
    retries: Annotated[int, Field(ge=0, le=10)] = 1


class SecretsSettings(_Section):
    provider: Literal["none", "file", "aws", "keyring"] = "none"
    path: Annotated[str, Field(min_length=1)] | None = None
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] | None = None
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9/_+=.@-]*$")] = "bqx/"


_LOOKUP = r"^[A-Za-z0-9][A-Za-z0-9_./-]*$"
_ENDPOINT = r"^(https://[^/@\s]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?)$"


class TrackerSettings(_Section):
    kind: Literal["local", "export", "airtable"] = "local"
    path: Annotated[str, Field(min_length=1)] = "tracker"
    mapping: Annotated[str, Field(min_length=1)] | None = None
    token_name: Annotated[str, Field(pattern=_LOOKUP)] = "airtable-token"  # noqa: S105 - a name
    base_name: Annotated[str, Field(pattern=_LOOKUP)] = "airtable-base"
    endpoint: Annotated[str, Field(pattern=_ENDPOINT)] | None = None
    max_age_min: Annotated[float, Field(gt=0, le=1440, allow_inf_nan=False)] = 15.0


class LogSettings(_Section):
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(_Section):
    """All settings of one project; made by `bqx.base.config.load_config`, never changed afterwards."""

    project: ProjectSettings = ProjectSettings()
    store: StoreSettings = StoreSettings()
    features: FeaturesSettings = FeaturesSettings()
    build: BuildSettings = BuildSettings()
    secrets: SecretsSettings = SecretsSettings()
    tracker: TrackerSettings = TrackerSettings()
    log: LogSettings = LogSettings()
    _root: Path = PrivateAttr(default_factory=Path)
    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def root(self) -> Path:
        """Folder of the project; relative paths in the settings start here."""
        return self._root

    def origins(self) -> list[dict[str, object]]:
        """One dict a key: ``key``, ``value``, ``origin`` (default, file, env or flag)."""
        return [
            {
                "key": f"{section}.{key}",
                "value": value,
                "origin": self._origins.get(f"{section}.{key}", "default"),
            }
            for section, keys in self.model_dump(mode="json").items()
            for key, value in keys.items()
        ]


def known_keys() -> dict[str, tuple[str, ...]]:
    """Section -> its keys."""
    sections = {}
    for name, field in Config.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, BaseModel)
        sections[name] = tuple(field.annotation.model_fields)
    return sections
