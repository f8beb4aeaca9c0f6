"""``bqx.toml``: read, overlaid by environment and flags, checked; errors name file, key and line."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from bqx.base.errors import ConfigError
from bqx.base.settings import ALL_PAIRS, Config, known_keys
from bqx.base.toml_lines import key_lines

__all__ = ["CONFIG_NAME", "Config", "default_toml", "load_config"]

CONFIG_NAME = "bqx.toml"


def load_config(root: Path, overrides: Mapping[str, str] = {}) -> Config:
    """Settings of the project at `root`: default < file < environment < `overrides` ("section.key": text).

    A missing file means defaults; whether `root` is a project is the caller's question. The environment gives
    ``BQX_<SECTION>_<KEY>``. Raises ConfigError for anything unknown, misspelt or out of range.
    """
    root = Path(root)
    path = root / CONFIG_NAME
    data, lines = _read(path)
    places = {key: f"{path}:{line}, key {key}" for key, line in lines.items()}
    _refuse_unknown(data, path, lines)
    origins = {f"{s}.{k}": "file" for s, table in data.items() for k in table}
    for key, value, origin, place in [*_environment(), *_flags(overrides)]:
        section, name = key.split(".")
        data.setdefault(section, {})[name] = value
        origins[key], places[key] = origin, place
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        _raise_first(error, places, str(path))
    config._root, config._origins = root, origins
    if config.secrets.provider == "file" and config.secrets.path is None:
        where = places.get("secrets.provider", f"{path}, key secrets.path")
        raise ConfigError("secrets.provider is 'file' but secrets.path is not set", where=where, fix="set secrets.path")
    if config.store.on_server and config.store.server is None:
        where = places.get("store.kind") or places.get("store.manifest") or str(path)
        raise ConfigError(
            "the store is in PostgreSQL but store.server is not set",
            where=where,
            fix="set it to the name of the secret that holds the DSN",
        )
    if config.store.files == "s3" and (config.store.bucket is None or config.store.kind != "lake"):
        where = places.get("store.files", f"{path}, key store.files")
        what = "a store in PostgreSQL has no files in S3" if config.store.bucket else "store.bucket is not set"
        raise ConfigError(f"store.files is 's3' but {what}", where=where, fix='set kind = "lake" and bucket')
    return config


def default_toml(name: str = "bqx", *, t0: str = "auto", pairs: tuple[str, ...] = ALL_PAIRS) -> str:
    """A commented template in which every value is the default unless given here."""
    listed = '"all 28"' if pairs == ALL_PAIRS else ""
    shown = "# pairs = [...]            # leave out for all 28" if listed else f"pairs = {_toml_list(pairs)}"
    return _TEMPLATE.format(name=name, t0=t0, pairs=shown)


_TEMPLATE = """\
# Settings of a bqx project. `bqx config show` prints every value and where it comes from.
# Each key can be set for one call by the environment: BQX_<SECTION>_<KEY>, such as BQX_BUILD_THREADS=2.
# No secret belongs here: secrets come from a provider (see [secrets]).

[project]
name = "{name}"
{pairs}
t0 = "{t0}"                  # "auto": first minute all pairs have; "seed": 2024-07-01T00:00Z; or an ISO time
calendar = "default"         # or the path of a holiday file, relative to this folder

[store]
kind = "lake"                # lake (files) or postgres, see docs/postgres.md
manifest = "sqlite"          # where names are kept: sqlite, or postgres for several hosts
# server = "fx-db"           # for postgres: name of the secret that holds the DSN
namespace = "bqx"            # for postgres: schema of the feature tables
files = "local"              # where the lake's files are: local or s3, see docs/cluster.md
# bucket = "fx-lake"         # for s3: the bucket
prefix = ""                  # ... what its keys begin with, such as "prod/"
# endpoint = "https://..."   # ... of another S3 than AWS's
# region = "eu-west-1"       # ...
# credentials = "fx-s3"      # ... name of the secret with the keys; without it the machine's role
cache_gb = 20.0              # ... what of it is kept on this disk after it was read
codec = "lz4"                # lz4, zstd or uncompressed
keep_generations = 1         # superseded generations that `bqx store gc` leaves for --as-of

[features]
extensions = []              # families beside the catalogue, such as ["reg", "wavelet"], or ["all"]; never counted
# schedule = "events.csv"    # scheduled events and when each was published, for the extension events

[build]
threads = 0                  # 0: one a core
memory_gb = 5.0              # a bound for one worker's arrays
retries = 1                  # how often a failed unit is tried again

[secrets]
provider = "none"            # none, file, aws (AWS Secrets Manager) or keyring (of the operating system)
# path = "/run/secrets/bqx"  # file: a folder with one file a secret, or a TOML file of mode 0600
# region = "eu-west-1"       # aws
prefix = "bqx/"              # put before each name at aws and keyring

[tracker]
kind = "local"               # local, export (CSV and Markdown) or airtable; see docs/tracker.md
path = "tracker"             # local and export: the folder of their files
# mapping = "tracker.toml"   # airtable: our fields and words -> its fields and options
token_name = "airtable-token"  # what the secrets provider calls the token
base_name = "airtable-base"  # ... and the id of the base
# endpoint = "https://..."   # airtable: another address than the library's; plain http for this machine only
max_age_min = 15             # minutes: `bqx stage run` stops when the last sync is older

[log]
level = "info"               # debug, info, warning or error, for --log-json
"""


def _toml_list(items: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{item}"' for item in items) + "]"


def _read(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return {}, {}
    except UnicodeDecodeError as error:
        raise ConfigError(f"byte {error.start} is not UTF-8", where=str(path), fix="save the file as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from error
    try:
        return tomllib.loads(text), key_lines(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"line (\d+)", str(error))
        line = int(at.group(1)) if at else len(text.splitlines())
        raise ConfigError(f"not valid TOML: {error}", where=f"{path}:{line}", fix="mend that line") from error


def _refuse_unknown(data: Mapping[str, Any], path: Path, lines: Mapping[str, int]) -> None:
    known = known_keys()
    for section, table in data.items():
        at = f"{path}:{lines.get(section, 1)}, key {section}"
        if section not in known:
            _unknown(section, list(known), "section", at)
        if not isinstance(table, dict):
            raise ConfigError(f"{section} must be a section", where=at, fix=f"write [{section}] and its keys below it")
        for key in table:
            full = f"{section}.{key}"
            if key not in known[section]:
                line = lines.get(full, lines.get(section, 1))
                _unknown(full, [f"{section}.{k}" for k in known[section]], "key", f"{path}:{line}, key {full}")


def _unknown(name: str, known: list[str], what: str, where: str) -> NoReturn:
    near = difflib.get_close_matches(name, known, 1, 0.6)
    fix = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    raise ConfigError(f"unknown {what} {name!r}", where=where, fix=fix)


def _environment() -> list[tuple[str, str, str, str]]:
    """Variables of a known section; BQX_FAULT, BQX_TEST_DSN and the like belong to others."""
    known = known_keys()
    out = []
    for variable, value in sorted(os.environ.items()):
        prefix, _, rest = variable.partition("_")
        section, _, key = rest.partition("_")
        section, key = section.lower(), key.lower()
        if prefix != "BQX" or section not in known:
            continue
        if key not in known[section]:
            _unknown(variable, [f"BQX_{section}_{k}".upper() for k in known[section]], "variable", "environment")
        out.append((f"{section}.{key}", value, "env", f"environment, {variable}"))
    return out


def _flags(overrides: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    known = [f"{section}.{key}" for section, keys in known_keys().items() for key in keys]
    for name in overrides:
        if name not in known:
            _unknown(name, known, "key", "flag")
    return [(name, value, "flag", f"flag, {name}") for name, value in overrides.items()]


def _raise_first(error: ValidationError, places: Mapping[str, str], path: str) -> NoReturn:
    """Pydantic's first complaint in our words; the rejected value is shown, for settings are not secret."""
    first = error.errors(include_url=False)[0]
    parts = [str(p) for p in first["loc"]]
    key = ".".join(parts[:2])
    reason = first["msg"].removeprefix("Value error, ")
    more = f" ({error.error_count() - 1} more after it)" if error.error_count() > 1 else ""
    shown = "" if first["type"] == "value_error" else f" is {first['input']!r}:"
    raise ConfigError(
        f"{key}{shown} {reason}{more}",
        where=places.get(key, f"{path}, key {key}"),
        fix="correct the value, or leave the key out for its default",
    )
