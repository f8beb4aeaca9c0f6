"""Trackers that are files, and the mapping file."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from bqx.base.config import load_config
from bqx.base.errors import SecretError, TrackerError, TrackerSchema
from bqx.ops.tracker.airtable import AirtableTracker
from bqx.ops.tracker.export import ExportTracker
from bqx.ops.tracker.local import LocalTracker
from bqx.ops.tracker.mapping import TrackerMap
from bqx.ops.tracker.open import open_tracker
from bqx.ops.tracker.outbox import Value
from bqx.ops.tracker.port import Change, Uncertain, same


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        (LocalTracker, "records.json", "{"),
        (LocalTracker, "records.json", "[]"),
        (LocalTracker, "records.json", '{"format": 2, "records": []}'),
        (LocalTracker, "records.json", '{"format": 1, "records": [1]}'),
        (ExportTracker, "records.csv", ""),
        (ExportTracker, "records.csv", "name,code\na,b\n"),
        (ExportTracker, "records.csv", "code,name\na\n"),
    ],
)
def test_a_broken_file_is_named_and_kept(tmp_path: Path, kind: type, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    for call in (lambda: kind(tmp_path).read(), lambda: kind(tmp_path).write([Change("1", {"notes": "x"}, None)])):
        with pytest.raises(TrackerError, match="cannot be read") as caught:
            call()
        assert str(tmp_path / name) == caught.value.where
    assert (tmp_path / name).read_text() == text


def test_a_write_on_what_was_not_read_is_refused(tmp_path: Path) -> None:
    tracker = LocalTracker(tmp_path)
    tracker.write([Change("1", {"notes": "a"}, None)])
    found = tracker.read()["1"]
    tracker.write([Change("1", {"notes": "b"}, found)])
    with pytest.raises(Uncertain):
        tracker.write([Change("1", {"hours": 2}, found)])
    with pytest.raises(Uncertain):
        tracker.write([Change("1", {"hours": 2}, None)])
    assert tracker.read()["1"].fields == {"notes": "b"}


CELLS: dict[str, Value] = {
    "formula": "=HYPERLINK(1)",
    "plus": "+1+cmd",
    "at": "@sum",
    "quote": "'text",
    "comma": 'a,"b"\nc',
    "pipe": "a|b\\c",
    "number": -2.5,
    "whole": 10_315_898,
    "minus": "-7",
    "none": None,
}


def test_every_cell_comes_back_and_none_is_a_formula(tmp_path: Path) -> None:
    tracker = ExportTracker(tmp_path)
    shown = tracker.shown("1", CELLS)
    tracker.write([Change("1", shown, None)])
    back = tracker.read()["1"].fields
    assert all(same(back.get(name), value) for name, value in shown.items())
    for line in (tmp_path / "records.csv").read_text().splitlines():
        assert not line.startswith(("=", "+", "@"))
        assert not any(f"{mark}{start}" in line for mark in (",", ',"') for start in "=+@")
    table = (tmp_path / "records.md").read_text()
    assert "a\\|b\\\\c" in table
    assert len({line.replace("\\|", "").count("|") for line in table.splitlines()[2:]}) == 1


def _add(folder: str, code: str) -> None:
    tracker = LocalTracker(Path(folder))
    for n in range(20):
        tracker.write([Change(f"{code}.{n}", {"notes": "x"}, None)])


def test_two_processes_lose_nothing_of_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_add, args=(str(tmp_path), code)) for code in ("1", "2")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(LocalTracker(tmp_path).read()) == 40
    assert json.loads((tmp_path / "records.json").read_text())["format"] == 1


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("x = 1", "sections and nothing else"),
        ("[tables]", "sections and nothing else"),
        ("[tables.a]\ntable = 'A'\nkey = 'K'", "tables.a.fields"),
        ("[tables.a]\ntable = 'A'\nkey = 'K'\ncodes = '('\nfields = {name = 'N'}", "not a regular expression"),
        ("[tables.a]\ntable = 'A'\nkey = 'K'\nfields = {name = 'N', notes = 'N'}", "two of our fields go to N"),
        ("[tables.a]\ntable = 'A'\nkey = 'K'\ncolour = 1\nfields = {name = 'N'}", "tables.a.colour"),
        ("not toml", "cannot be read"),
    ],
)
def test_a_mapping_that_cannot_be_says_where(tmp_path: Path, text: str, match: str) -> None:
    path = tmp_path / "map.toml"
    path.write_text(text)
    with pytest.raises(TrackerSchema, match=match) as caught:
        TrackerMap.load(path)
    assert str(path) in str(caught.value.where)


def test_a_code_has_one_table(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text(
        "[tables.stages]\ntable = 'Stages'\nkey = 'K'\ncodes = '1.*'\nfields = {name = 'N'}\n"
        "[tables.tasks]\ntable = 'Tasks'\nkey = 'K'\ncodes = '(1.9|TSK).*'\nfields = {name = 'N'}\n"
    )
    mapping = TrackerMap.load(path)
    assert mapping.table_of("1.6").table == "Stages"
    assert mapping.table_of("TSK-1").table == "Tasks"
    for code, match in (("1.9", "stages and tasks"), ("x", "no table")):
        with pytest.raises(TrackerSchema, match=match):
            mapping.table_of(code)


def test_the_settings_choose_the_tracker(tmp_path: Path) -> None:
    assert type(open_tracker(load_config(tmp_path))) is LocalTracker
    assert type(open_tracker(load_config(tmp_path, {"tracker.kind": "export"}))) is ExportTracker
    with pytest.raises(SecretError, match="no secrets provider"):
        open_tracker(load_config(tmp_path, {"tracker.kind": "airtable"}))
    vault = {"secrets.provider": "file", "secrets.path": str(tmp_path / "vault.toml")}
    assert type(open_tracker(load_config(tmp_path, {"tracker.kind": "airtable", **vault}))) is AirtableTracker
