"""`/invocations` of the SageMaker container contract: feature rows in, forecasts in the model's units out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from bqx.serve.api.models import ModelSet, Resident
from bqx.serve.api.problems import Refused

F4 = NDArray[np.float32]
TARGET = "x-amzn-sagemaker-target-model"
QUANTILES = ("q05", "q10", "q50", "q90", "q95")
POINT = ("f3", "f4", "p_up", "lo80", "hi80", "lo90", "hi90")


def model_for(models: ModelSet, target: str | None, pair: str | None) -> Resident:
    """By the multi-model header (`eurusd` or `eurusd.tar.gz`), the body's pair, or the only model there is."""
    name = (target or "").rpartition("/")[2].removesuffix(".tar.gz") or pair
    held = models.all()
    if not name and len(held) == 1:
        return next(iter(held.values()))
    found = models.get(name) if name else None
    if found is None:
        raise Refused(
            404 if name else 422,
            "no_model",
            "no model of that name" if name else "which model? there is more than one",
            f"send the header {TARGET}: {next(iter(held))}",
        )
    return found


def read_json(body: bytes) -> tuple[str | None, list[str] | None, list[list[Any]]]:
    """Pair, column names and rows of `{"pair": ..., "columns": [...], "instances": [[...], ...]}`; the first two may be
    absent."""
    try:
        data = json.loads(body, parse_constant=_not_json)
    except (ValueError, RecursionError) as error:
        raise _bad("the body is not JSON; NULL is null, NaN and Infinity are not JSON") from error
    if not isinstance(data, dict) or set(data) - {"pair", "columns", "instances"} or "instances" not in data:
        raise _bad("the body must be an object of instances, and columns and pair if wanted")
    pair, columns, rows = data.get("pair"), data.get("columns"), data["instances"]
    if pair is not None and not isinstance(pair, str):
        raise _bad("pair must be text")
    if columns is not None and not (isinstance(columns, list) and all(isinstance(c, str) for c in columns)):
        raise _bad("columns must be a list of names")
    if not (isinstance(rows, list) and all(isinstance(r, list) for r in rows)):
        raise _bad("instances must be a list of rows")
    for k, row in enumerate(rows):
        if any(v is not None and (isinstance(v, bool) or not isinstance(v, int | float)) for v in row):
            raise _bad(f"row {k} has something that is neither a number nor null")
    return pair, columns, rows


def read_csv(body: bytes) -> tuple[list[str] | None, list[list[Any]]]:
    """Column names, when the first line has any, and rows; an empty field is NULL."""
    try:
        lines = [r for r in csv.reader(io.StringIO(body.decode("utf-8"), newline=""), strict=True) if r]
    except (UnicodeDecodeError, csv.Error) as error:
        raise _bad("the body is not CSV in UTF-8") from error
    named = bool(lines) and any("." in c and not _is_number(c) for c in lines[0])
    columns = [c.strip() for c in lines[0]] if named else None
    rows: list[list[Any]] = []
    for k, line in enumerate(lines[1:] if named else lines):
        try:
            rows.append([None if not c.strip() else float(c) for c in line])
        except ValueError as error:
            raise _bad(f"row {k} has a field that is no number") from error
    return columns, rows


def matrix(model: Resident, columns: Sequence[str] | None, rows: Sequence[Sequence[Any]], most: int) -> F4:
    """Rows as float32 in the model's order, NaN for NULL; Refused 422 for any that does not fit."""
    names = [c.name for c in model.columns]
    if not 1 <= len(rows) <= most:
        what = f"{len(rows):,} rows; 1 to {most:,} are taken"
        raise Refused(413, "too_large", what) if rows else _bad(what)
    width = len(names) if columns is None else len(columns)
    for k, row in enumerate(rows):
        if len(row) != width:
            raise _bad(f"row {k} has {len(row):,} values, not {width:,}")
    if columns is not None and sorted(columns) != sorted(names):
        raise _bad(f"{len(columns):,} columns are not the {len(names):,} of the model, each once")
    if width != len(names):
        raise _bad(f"{width:,} values, the model has {len(names):,} columns")
    try:
        X = np.array(rows, dtype=np.float64)
    except (OverflowError, ValueError) as error:
        raise _bad("a number is out of range") from error
    given_null = np.array([[v is None for v in row] for row in rows])
    if not np.all(np.isfinite(X) | given_null) or np.any(np.abs(X) > np.finfo(np.float32).max):
        raise _bad("a number is not finite in float32")
    if columns is not None:
        at = {c: k for k, c in enumerate(columns)}
        X = X[:, [at[c] for c in names]]
    return np.ascontiguousarray(X, dtype=np.float32)


def answer(model: Resident, X: F4) -> dict[str, Any]:
    """JSON form, see `schemas.InvocationOut`."""
    with model.lock:
        said = model.artefact.predict(X)
    arrays = {name: _plain(getattr(said, name)) for name in POINT} | {"quantiles": _plain(said.quantiles)}
    return {
        "pair": model.pair,
        "version": model.located.version,
        "horizons": list(model.artefact.horizons),
        "quantiles": list(QUANTILES),
        "predictions": [{name: values[k] for name, values in arrays.items()} for k in range(len(X))],
    }


def as_csv(data: dict[str, Any]) -> str:
    """The same as CSV with a head: f3_15, f3_30 ..., q05_15 ...; NULL is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    h, q = data["horizons"], data["quantiles"]
    writer.writerow([f"{name}_{x}" for name in (*POINT, *q) for x in h])
    for p in data["predictions"]:
        line = [v for name in POINT for v in p[name]]
        line += [p["quantiles"][k][j] for j in range(len(q)) for k in range(len(h))]
        writer.writerow(["" if v is None else repr(v) for v in line])
    return out.getvalue()


def _plain(values: NDArray[Any]) -> list[Any]:
    wide = np.asarray(values, dtype=np.float64)
    boxed = wide.astype(object)
    boxed[~np.isfinite(wide)] = None
    out: list[Any] = boxed.tolist()
    return out


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _bad(what: str) -> Refused:
    return Refused(422, "bad_request", what)


def _not_json(name: str) -> NoReturn:
    raise ValueError(name)
