"""DDL has one home: `bqx store upgrade` and what it calls. Any other file that makes or alters tables is named here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "bqx"
DDL = re.compile(
    r"^\s*(?:CREATE|ALTER|DROP|TRUNCATE|GRANT|REVOKE|COMMENT\s+ON|REINDEX|CLUSTER)\s+"
    r"(?:OR\s+REPLACE\s+)?(?:UNIQUE\s+|UNLOGGED\s+|TEMP(?:ORARY)?\s+|FOREIGN\s+|MATERIALIZED\s+)*"
    r"(?:TABLE|INDEX|SCHEMA|VIEW|FUNCTION|TRIGGER|SEQUENCE|TYPE|ROLE|DATABASE|DEFAULT|EXTENSION|ALL|USAGE|EXECUTE"
    r"|SELECT|INSERT|\{|\")",
    re.IGNORECASE | re.MULTILINE,
)
HOMES = {
    "store/pg/ddl.py": "the statements of `bqx store upgrade` and adopt",
    "store/schema.py": "the manifest's own tables, for SQLite and (translated) for PostgreSQL",
    "store/pg/dialect.py": "their translation",
    "store/sql.py": "views of a DuckDB in memory",
    "ops/cloud/state.py": "an SQLite file of the steps of a deployment",
    "ops/stages/schema.py": "an SQLite file of the plan",
    "ops/tracker/schema.py": "an SQLite file of the trackers",
    "research/registry/store.py": "an SQLite file of models",
    "research/trials.py": "an SQLite file of trials",
}
ROOMS = ("store/migrate/",)
"""The rename engine: altering tables is what it is for, by plans that it journals."""


def offences(text: str) -> list[str]:
    """DDL in string constants of a file, docstrings left out."""
    tree = ast.parse(text)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    assert documented
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in bare:
            value = node.value if isinstance(node.value, str) else node.value.decode(errors="replace")
            found += [match.group(0).strip() for match in DDL.finditer(value)]
    return found


def test_no_ddl_outside_its_homes() -> None:
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if name not in HOMES and not name.startswith(ROOMS) and (lines := offences(path.read_text(encoding="utf-8"))):
            found[name] = lines
    assert found == {}


def test_the_homes_are_still_needed() -> None:
    for name in HOMES:
        assert offences((SOURCE / name).read_text(encoding="utf-8")) or name == "store/pg/dialect.py", name


@pytest.mark.parametrize(
    "text",
    [
        'con.execute("CREATE TABLE x (a int)")',
        'con.execute(f"ALTER TABLE {name} ADD COLUMN b int")',
        'con.execute(b"drop index i")',
        'sql = """\n  TRUNCATE TABLE x"""',
        'sql.SQL("CREATE OR REPLACE FUNCTION {} ()")',
        'x = "GRANT SELECT ON t TO r"',
    ],
)
def test_the_lint_sees_it(text: str) -> None:
    assert offences(text)


def test_prose_is_no_offence() -> None:
    assert offences('"""CREATE TABLE in a docstring."""\nx = "drop the table"\n') == []
