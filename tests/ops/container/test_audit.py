"""The dependency audit on made-up databases: ranges, versions, excuses, and files that are not OSV."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bqx.base.errors import AuditError
from bqx.ops.container.__main__ import main
from bqx.ops.container.auditing import audit
from bqx.ops.container.locked import Pin
from bqx.ops.container.osv import look_up

NOW = datetime(2026, 11, 27, tzinfo=UTC)
PIN = Pin("Some_Package", "2.3.1", ("ab" * 32,), "", 1)


def entry(affected: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"id": "X-1", "modified": "2026-11-20T00:00:00Z", "summary": "bad", "affected": affected, **more}


def of(name: str = "some-package", **more: Any) -> dict[str, Any]:
    return {"package": {"ecosystem": "PyPI", "name": name}, **more}


def span(*events: tuple[str, str], kind: str = "ECOSYSTEM") -> dict[str, Any]:
    return {"ranges": [{"type": kind, "events": [{k: v} for k, v in events]}]}


@pytest.mark.parametrize(
    ("part", "hit"),
    [
        (of(versions=["2.3.1"]), True),
        (of(versions=["2.3.1.0"]), True),
        (of(versions=["2.3.0"]), None),
        (of("some.package", versions=["2.3.1"]), True),
        (of("other", versions=["2.3.1"]), None),
        (of(**span(("introduced", "0"), ("fixed", "2.3.1"))), None),
        (of(**span(("introduced", "0"), ("fixed", "2.3.2"))), True),
        (of(**span(("introduced", "0"), ("last_affected", "2.3.1"))), True),
        (of(**span(("introduced", "0"), ("last_affected", "2.3.0"))), None),
        (of(**span(("introduced", "2.4"))), None),
        (of(**span(("fixed", "2.0"), ("introduced", "0"), ("introduced", "2.3"))), True),
        (of(**span(("introduced", "0"), ("fixed", "2.0"), ("introduced", "2.4"))), None),
        (of(**span(("introduced", "not a version"))), False),
        (of(**span(("introduced", "0"), kind="GIT")), False),
        (of(versions=["1.0"], **span(("introduced", "0"), kind="GIT")), None),
        (of(), False),
        ({"package": {"ecosystem": "npm", "name": "some-package"}, "versions": ["2.3.1"]}, None),
    ],
)
def test_versions_and_ranges_are_evaluated_as_the_schema_says(
    part: dict[str, Any], hit: bool | None, tmp_path: Path
) -> None:
    path = tmp_path / "db.json"
    path.write_text(json.dumps(entry([part])))
    found = look_up(path, [PIN]).hits
    assert [h.certain for h in found] == ([] if hit is None else [hit])


def test_forms_of_a_database_and_withdrawn_entries(tmp_path: Path) -> None:
    rows = [
        entry([of(versions=["2.3.1"])]),
        entry([of(versions=["2.3.1"])], id="X-2", withdrawn="2026-01-01T00:00:00Z"),
    ]
    (tmp_path / "list.json").write_text(json.dumps(rows))
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for row in rows:
            archive.writestr(f"{row['id']}.json", json.dumps(row))
    for name in ("list.json", "lines.jsonl", "all.zip"):
        found = look_up(tmp_path / name, [PIN])
        assert found.entries == 2 and [h.id for h in found.hits] == ["X-1"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("[]", "empty"),
        ("{", "not JSON"),
        ("[1]", "no object"),
        ('{"modified": "2026"}', "no id"),
        ('{"id": "x"}', "no modified"),
        (json.dumps(entry([1])), "no list of objects"),  # type: ignore[list-item]
        (json.dumps(entry([of(versions="1")])), "are lists"),
        (json.dumps(entry([of(ranges=[{"type": "ECOSYSTEM"}])])), "no events"),
        (json.dumps(entry([of(**span(("began", "1")))])), "unknown event"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_is_not_osv_is_refused_and_never_skipped(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "db.json").write_text(text)
    with pytest.raises(AuditError, match=words):
        look_up(tmp_path / "db.json", [PIN])


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A lock of numpy alone, and a database that knows something of its version."""
    import numpy

    (tmp_path / "a.lock").write_text(f"numpy=={numpy.__version__} --hash=sha256:{'ab' * 32}\n")
    (tmp_path / "db.json").write_text(json.dumps([entry([of("NumPy", versions=[numpy.__version__])])]))
    return tmp_path


def test_an_audit_finds_excuses_and_says_what_it_did_not_look_at(world: Path) -> None:
    lock, database = world / "a.lock", world / "db.json"
    assert not audit(lock, None, now=NOW).as_dict()["ok"], "without a database nothing is said to be fine"
    result = audit(lock, database, now=NOW)
    assert [f.id for f in result.bad] == ["X-1"] and result.hashes == 1

    def excuse(**changes: Any) -> Path:
        row = {"package": "numpy", "id": "X-1", "reason": "not reached", "expires": "2026-12-31", **changes}
        lines = [f"{k} = {v}" if k == "expires" else f"{k} = {json.dumps(v)}" for k, v in row.items()]
        (world / "allow.toml").write_text("[[allow]]\n" + "\n".join(lines))
        return world / "allow.toml"

    assert audit(lock, database, excuse(), now=NOW).as_dict()["ok"]
    for changes, words in (
        ({"expires": "2026-11-01"}, "over"),
        ({"expires": "2029-01-01"}, "more than a year"),
        ({"reason": " "}, "has a reason"),
        ({"id": "X-9"}, "excuses nothing"),
    ):
        with pytest.raises(AuditError, match=words):
            audit(lock, database, excuse(**changes), now=NOW)
    with pytest.raises(AuditError, match="38 days old"):
        audit(lock, database, now=datetime(2026, 12, 28, tzinfo=UTC))


def test_a_licence_that_binds_users_is_found(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bqx.ops.container import auditing

    monkeypatch.setattr(auditing, "licence", lambda _: "GNU Affero General Public License v3")
    assert [f.kind for f in audit(world / "a.lock", None, now=NOW).bad] == ["licence"]
    monkeypatch.setattr(auditing, "licence", lambda _: "GNU Lesser General Public License (LGPL)")
    assert not audit(world / "a.lock", None, now=NOW).bad


def test_the_command_ends_with_5_for_a_finding(world: Path) -> None:
    import numpy

    fresh = datetime.now(UTC).isoformat()
    rows = [entry([of("numpy", versions=[numpy.__version__])], modified=fresh)]
    (world / "db.json").write_text(json.dumps(rows))
    done = CliRunner().invoke(
        main, ["audit", "--lock", str(world / "a.lock"), "--osv", str(world / "db.json"), "--json"]
    )
    assert isinstance(done.exception, AuditError) and done.exception.exit_code == 5
    assert json.loads(done.stdout)["found"][0]["id"] == "X-1"
