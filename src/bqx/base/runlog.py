"""Run ids and logs: quiet for people, one JSON object a line for machines, redacted for both."""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import sys
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bqx.base.errors import UsageError
from bqx.base.redaction import redact, scrub

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_logger = logging.getLogger("bqx")


@dataclass(frozen=True, slots=True)
class RunContext:
    """One call of the command line or of the library."""

    run_id: str
    command: str
    started_at: str  # ISO 8601, UTC
    log_json: bool


_current: RunContext | None = None


def start_run(command: str, *, run_id: str | None = None, log_json: bool = False) -> RunContext:
    """Begin a run: choose its id, send logs to stderr in the asked form. A second call begins a new run.

    Without `log_json` only warnings and errors are shown. Other libraries' logs pass the same redaction.
    """
    global _current
    if run_id is not None and not _RUN_ID.fullmatch(run_id):
        raise UsageError(
            f"run id {run_id!r} is not usable",
            fix="use 1-64 of A-Z a-z 0-9 . _ - and begin with one of the first",
        )
    now = datetime.now(UTC)
    _current = RunContext(
        run_id or f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}", command, _iso(now.timestamp()), log_json
    )
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _Stderr)]:
        root.removeHandler(old)
    handler = _Stderr(
        _JsonFormatter() if log_json else _HumanFormatter(), logging.DEBUG if log_json else logging.WARNING
    )
    root.addHandler(handler)
    logging.captureWarnings(False)
    logging.captureWarnings(log_json)  # a Python warning must not break the one-object-a-line promise
    set_level(os.environ.get("BQX_LOG_LEVEL", "info"))
    event("run.start", command=command)
    return _current


def current_run() -> RunContext:
    """The run that was started last; library use without one gets a quiet run of its own."""
    global _current
    if _current is None:
        now = datetime.now(UTC)
        _current = RunContext(f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}", "library", _iso(now.timestamp()), False)
    return _current


def set_level(level: str) -> None:
    """Apply ``log.level`` (debug, info, warning, error). People still see warnings and errors only."""
    if level.lower() not in _LEVELS:
        raise UsageError(f"log level {level!r} is unknown", fix=f"use one of {', '.join(_LEVELS)}")
    _logger.setLevel(_LEVELS[level.lower()])


def event(name: str, /, level: str = "info", **fields: Any) -> None:
    """Log an event such as ``store.commit`` with fields; field names that sound secret are masked."""
    _logger.log(_LEVELS[level], name, extra={"fields": fields})


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Stderr(logging.StreamHandler[Any]):
    """Writes to the ``sys.stderr`` of the moment; a record that cannot be rendered safely is withheld."""

    def __init__(self, formatter: logging.Formatter, level: int) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(formatter)
        self.setLevel(level)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        sys.stderr.write(
            json.dumps({"event": "log.failed", "logger": record.name, "run_id": current_run().run_id}) + "\n"
        )


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _iso(record.created),
            "level": record.levelname.lower(),
            "run_id": current_run().run_id,
            "event": redact(record.getMessage()),
            "fields": scrub(getattr(record, "fields", {})),
        }
        if record.name != "bqx":
            line["logger"] = record.name
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = redact("".join(traceback.format_exception(*record.exc_info)))
        return json.dumps(line, default=str)


class _HumanFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = scrub(getattr(record, "fields", {}))
        text = f"{record.levelname.lower()}: {redact(record.getMessage())}"
        text += "".join(f" {k}={v}" for k, v in fields.items())
        if record.exc_info and record.exc_info[0] is not None:
            text += "\n" + redact("".join(traceback.format_exception(*record.exc_info)))
        return text
