"""Requests and answers held to botocore's own service models: what they do not allow is neither taken nor given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.validate import ParamValidator

COMMON = {"ThrottlingException", "AccessDeniedException", "ExpiredTokenException", "UnrecognizedClientException",
          "ValidationException", "ServiceUnavailable", "InternalFailure"}  # fmt: skip
"""Errors that every operation may give; others must be in the operation's own list."""


class NotTheModel(AssertionError):
    """The fake was about to do what the service cannot."""


@cache
def service(name: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(name)


@cache
def operation(service_name: str, name: str) -> OperationModel:
    return service(service_name).operation_model(name)


def complaint(op: OperationModel, params: Mapping[str, Any]) -> str | None:
    """What is wrong with a request, None when nothing is."""
    report = ParamValidator().validate(dict(params), op.input_shape)
    if report.has_errors():
        return str(report.generate_report())
    return _input(params, op.input_shape, "")


def _input(value: Any, shape: Shape, path: str) -> str | None:
    """Patterns, lengths and enumerations, which botocore's validator leaves to the service."""
    meta = shape.metadata
    if shape.type_name == "structure":
        pairs = [(v, shape.members[k], f"{path}.{k}") for k, v in value.items()]
    elif shape.type_name == "list":
        pairs = [(v, shape.member, f"{path}[{k}]") for k, v in enumerate(value)]
    elif shape.type_name == "map":
        pairs = [(v, shape.value, f"{path}.{k}") for k, v in value.items()]
        pairs += [(k, shape.key, f"{path} (key)") for k in value]
    else:
        pairs = []
    sized = shape.type_name in ("string", "list", "map")
    if sized and not meta.get("min", 0) <= len(value) <= meta.get("max", 1 << 40):
        return f"{path}: length {len(value)} is not within {meta.get('min', 0)} and {meta.get('max')}"
    numeric = shape.type_name in ("integer", "long", "float", "double")
    if numeric and not meta.get("min", value) <= value <= meta.get("max", value):
        return f"{path}: {value} is not within {meta.get('min')} and {meta.get('max')}"
    if shape.type_name == "string":
        if meta.get("enum") and value not in meta["enum"]:
            return f"{path}: {value!r} is none of {meta['enum'][:5]}"
        pattern = meta.get("pattern", "")
        if pattern and "\\p{" not in pattern and not re.match(f"(?:{pattern})", value):
            return f"{path}: {value!r} does not match {pattern}"
    return next((c for v, s, p in pairs if (c := _input(v, s, p))), None)


def shaped(op: OperationModel, result: Mapping[str, Any]) -> dict[str, Any]:
    """The answer as JSON; NotTheModel for a member, type, word or absence that the model does not know."""
    return {} if op.output_shape is None else _output(result, op.output_shape, op.name)


def _output(value: Any, shape: Shape, path: str) -> Any:
    kind = shape.type_name
    if kind == "structure":
        if unknown := set(value) - set(shape.members):
            raise NotTheModel(f"{path} has no {sorted(unknown)}")
        if lacking := set(shape.required_members) - set(value):
            raise NotTheModel(f"{path} needs {sorted(lacking)}")
        return {k: _output(v, shape.members[k], f"{path}.{k}") for k, v in value.items()}
    if kind == "list":
        return [_output(v, shape.member, f"{path}[]") for v in value]
    if kind == "map":
        return {k: _output(v, shape.value, f"{path}.{k}") for k, v in value.items()}
    if kind == "timestamp":
        if not isinstance(value, datetime):
            raise NotTheModel(f"{path}: {value!r} is no time")
        return value.timestamp()
    want: dict[str, Any] = {"string": str, "boolean": bool, "integer": int, "long": int, "float": (int, float),
                            "double": (int, float)}  # fmt: skip
    if not isinstance(value, want[kind]) or (isinstance(value, bool) and kind != "boolean"):
        raise NotTheModel(f"{path}: {value!r} is no {kind}")
    if kind == "string" and shape.metadata.get("enum") and value not in shape.metadata["enum"]:
        raise NotTheModel(f"{path}: {value!r} is none of {shape.metadata['enum']}")
    return value


def fitting(record: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    """Members of `record` that `shape` has."""
    return {k: v for k, v in record.items() if k in shape.members}


def may_give(op: OperationModel, code: str) -> None:
    """NotTheModel for an error that the operation does not have."""
    if code not in COMMON | {e.name for e in op.error_shapes}:
        raise NotTheModel(f"{op.name} does not give {code}")
