import sqlite3
import threading
from pathlib import Path

import pytest

from bqx.base.errors import StoreError, Unsupported, UsageError
from bqx.store.known import known_text, known_us, now_us
from bqx.store.manifest import Manifest
from bqx.store.schema import STEPS


def test_a_new_manifest_is_wal_strict_and_of_the_current_format(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / "manifest.sqlite")
    assert manifest.format() == len(STEPS) == 4
    with manifest.connection() as con:
        assert con.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert con.execute("PRAGMA synchronous").fetchone() == (2,)
        assert con.execute("PRAGMA foreign_keys").fetchone() == (1,)
        strict = con.execute("SELECT name, strict FROM pragma_table_list WHERE type = 'table' AND schema = 'main'")
        assert {s for name, s in strict if not name.startswith("sqlite_")} == {1}


def test_a_newer_format_is_refused_naming_both(tmp_path: Path) -> None:
    path = tmp_path / "manifest.sqlite"
    Manifest(path).close()
    con = sqlite3.connect(path)
    con.execute("PRAGMA user_version = 7")
    con.close()
    with pytest.raises(Unsupported, match="format 7, this bqx knows formats up to 4"):
        Manifest(path)


def _add_note(con: sqlite3.Connection) -> None:
    con.execute("CREATE TABLE note (text TEXT NOT NULL) STRICT")
    con.execute("INSERT INTO note SELECT count(*) || ' datasets' FROM dataset")


def _break(con: sqlite3.Connection) -> None:
    _add_note(con)
    con.execute("INSERT INTO no_such_table VALUES (1)")


def test_an_older_format_is_upgraded_with_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "manifest.sqlite"
    old = Manifest(path)
    with old.transaction() as con:
        con.execute("INSERT INTO dataset (name) VALUES ('base_bqx')")
    old.close()
    new = Manifest(path, steps=[*STEPS, _add_note])
    assert new.format() == len(STEPS) + 1
    with new.connection() as con:
        assert con.execute("SELECT text FROM note").fetchone() == ("1 datasets",)
        assert con.execute("SELECT name FROM dataset").fetchone() == ("base_bqx",)
    new.close()
    with pytest.raises(Unsupported, match=f"format {len(STEPS) + 1}"):
        Manifest(path)


def test_format_1_gets_tables_for_declarations_and_keeps_its_certificates(tmp_path: Path) -> None:
    path = tmp_path / "manifest.sqlite"
    old = Manifest(path, steps=STEPS[:1])
    row = ("time_dual", "hour_sin", "code", "data", 1, "[]")
    with old.transaction() as con:
        con.execute("INSERT INTO certificate VALUES (?, ?, ?, ?, ?, ?)", row)
    old.close()
    new = Manifest(path)
    assert new.format() == len(STEPS)
    with new.connection() as con:
        assert [tuple(r) for r in con.execute("SELECT * FROM certificate")] == [row]
        assert con.execute("SELECT count(*) FROM declared_by").fetchone() == (0,)


def test_an_upgrade_that_fails_leaves_the_old_format_untouched(tmp_path: Path) -> None:
    path = tmp_path / "manifest.sqlite"
    Manifest(path).close()
    with pytest.raises(StoreError, match="no_such_table"):
        Manifest(path, steps=[*STEPS, _break])
    again = Manifest(path)
    assert again.format() == len(STEPS)
    with again.connection() as con:
        assert con.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'note'").fetchone() == (0,)


def test_other_files_are_not_taken_for_a_manifest(tmp_path: Path) -> None:
    path = tmp_path / "manifest.sqlite"
    con = sqlite3.connect(path)
    con.execute("CREATE TABLE mine (a)")
    con.commit()
    con.close()
    with pytest.raises(StoreError, match="not a bqx manifest"):
        Manifest(path)
    junk = tmp_path / "junk.sqlite"
    junk.write_bytes(b"\x00\x01junk" * 1000)
    with pytest.raises(StoreError, match="cannot be read"):
        Manifest(junk)
    assert junk.read_bytes() == b"\x00\x01junk" * 1000


def test_known_times_rise_over_threads(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / "manifest.sqlite")
    seen: list[int] = []

    def work() -> None:
        for _ in range(25):
            with manifest.transaction() as con:
                seen.append(manifest.tick(con, "test"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 100
    assert seen == sorted(set(seen))


def test_known_at_cannot_go_back(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / "manifest.sqlite")
    with manifest.transaction() as con:
        manifest.tick(con, "test", 1_000)
    with pytest.raises(StoreError, match="not after the last change"), manifest.transaction() as con:
        manifest.tick(con, "test", 1_000)


def test_known_at_rises_when_the_clock_goes_back(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / "manifest.sqlite")
    ahead = now_us() + 3_600_000_000
    with manifest.transaction() as con:
        assert manifest.tick(con, "test", ahead) == ahead
        assert manifest.tick(con, "test") == ahead + 1


def test_readers_see_a_snapshot_and_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / "manifest.sqlite")
    other = Manifest(tmp_path / "manifest.sqlite")
    count = "SELECT count(*) FROM dataset"
    with manifest.connection() as reader:
        assert reader.execute(count).fetchone() == (0,)
        with other.transaction() as con:
            con.execute("INSERT INTO dataset (name) VALUES ('base_bqx')")
        assert reader.execute(count).fetchone() == (0,)
    with pytest.raises(ZeroDivisionError), manifest.transaction() as con:
        con.execute("INSERT INTO dataset (name) VALUES ('base_rate')")
        raise ZeroDivisionError
    with manifest.connection() as reader:
        assert reader.execute(count).fetchone() == (1,)


def test_registries_are_append_only(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / "manifest.sqlite")
    with manifest.transaction() as con:
        at = manifest.tick(con, "test")
        con.execute("INSERT INTO baseline VALUES ('eurusd', 1, 0, 0, 1.1, 'x', ?)", (at,))
    for sql in ("UPDATE baseline SET baseline_mid = 2", "DELETE FROM baseline"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"), manifest.transaction() as con:
            con.execute(sql)


def test_as_of_times() -> None:
    assert known_us("2024-07-01") == known_us("2024-07-01T00:00:00Z") == 1_719_792_000_000_000
    assert known_us("2024-07-01T02:00:00.000007+02:00") == 1_719_792_000_000_007
    assert known_text(1_719_792_000_000_007) == "2024-07-01T00:00:00.000007Z"
    for text in ("2024-07-01T00:00:00", "yesterday"):
        with pytest.raises(UsageError, match="time"):
            known_us(text)
