"""`PROJECT/cloud.toml`: read and checked; errors name file, line and key."""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import NoReturn

from pydantic import BaseModel, ValidationError

from bqx.base.errors import DeploymentError
from bqx.base.toml_lines import key_lines
from bqx.ops.cloud.description import Deployment

FILE = "cloud.toml"


def read_deployment(root: Path, models: int) -> Deployment:
    """Description of the project at `root`, whose endpoint must hold `models` in memory. Raises DeploymentError."""
    path = Path(root) / FILE
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise DeploymentError(f"there is no {FILE}", where=str(root), fix="write one: docs/cloud.md has it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DeploymentError(f"it cannot be read: {error}", where=str(path)) from error
    try:
        data, lines = tomllib.loads(text), key_lines(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"line (\d+)", str(error))
        raise DeploymentError(
            f"not valid TOML: {error}", where=f"{path}:{at.group(1) if at else 1}", fix="mend that line"
        ) from error
    try:
        made = Deployment.model_validate(data)
    except ValidationError as error:
        _raise_first(error, lines, path)
    room = made.endpoint.room_for()
    if room is not None and room < models:
        raise DeploymentError(
            f"{made.endpoint.instance} holds {room} models of {made.endpoint.model_mb} MB, the project has {models}: "
            "those that do not fit are loaded again for each request",
            where=f"{path}:{lines.get('endpoint.instance', lines.get('endpoint', 1))}, key endpoint.instance",
            fix="take a larger instance",
        )
    return made


def _raise_first(error: ValidationError, lines: dict[str, int], path: Path) -> NoReturn:
    first = error.errors(include_url=False)[0]
    parts = [str(p) for p in first["loc"] if not isinstance(p, int)][:2]
    key = ".".join(parts)
    where = f"{path}:{lines.get(key, lines.get(parts[0] if parts else '', 1))}, key {key}"
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(parts[-1], _known(parts[:-1]), 1, 0.6)
        fix = f"did you mean {near[0]}?" if near else f"known: {', '.join(_known(parts[:-1]))}"
        raise DeploymentError(f"unknown key {key!r}", where=where, fix=fix)
    if first["type"] == "missing":
        raise DeploymentError(f"{key} is missing", where=where, fix="docs/cloud.md has an example")
    shown = "" if first["type"] == "value_error" else f" is {first['input']!r}:"
    raise DeploymentError(f"{key}{shown} {first['msg'].removeprefix('Value error, ')}", where=where)


def _known(section: list[str]) -> list[str]:
    if not section:
        return list(Deployment.model_fields)
    inner = Deployment.model_fields[section[0]].annotation
    return list(inner.model_fields) if isinstance(inner, type) and issubclass(inner, BaseModel) else []
