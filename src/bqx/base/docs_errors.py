"""Writes ``docs/errors.md`` from the catalogue: ``python -m bqx.base.docs_errors docs/errors.md``."""

from __future__ import annotations

import sys
from pathlib import Path

from bqx.base.atomic import write_text
from bqx.base.errors import catalogue

_HEAD = """\
# Errors

Every error bqx raises on purpose has a stable code and an exit code for scripts. It says what is wrong, where, and
what to do. With `--json` or `--log-json` it is one JSON object on stderr:
`{"error": {"code", "title", "exit_code", "what", "where", "fix"}}`.

This page is made by `python -m bqx.base.docs_errors docs/errors.md`; a test fails when it is stale.

| Code | Exit | Python class | Meaning | Usual next step |
|---|---:|---|---|---|
"""
_TAIL = """
Other exit codes: 0 done, 1 or 2 a wrong call that the command line itself refused, 130 interrupted (what was
committed stays; the same command goes on), 137 killed.
"""


def render() -> str:
    """The page as Markdown."""
    rows = [
        f"| {cls.code} | {cls.exit_code} | `{cls.__name__}` | {cls.title} | {cls.next_step} |\n" for cls in catalogue()
    ]
    return _HEAD + "".join(rows) + _TAIL


if __name__ == "__main__":
    write_text(Path(sys.argv[1]), render())
