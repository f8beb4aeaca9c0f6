"""A promise that changed needs a raised version; the lock in the package says what was promised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bqx.features import versions
from bqx.features.catalogue import built_in, own_datasets
from bqx.features.declare import Column, Dataset
from bqx.features.support import Lag, Price
from bqx.features.versions import make_lock, outdated, read_lock, unraised

HOME = own_datasets()["returns_raw_rate"]


def test_the_lock_is_kept() -> None:
    homes = list(built_in().values())
    wrong = unraised(read_lock(), homes)
    assert not wrong, "\n".join(wrong)
    stale = outdated(read_lock(), homes)
    assert not stale, f"run `make versions` and commit src/bqx/features/versions.json: {', '.join(stale)}"


def with_first(change: Callable[[Column], Column], version: int = 1) -> Dataset:
    return replace(HOME, columns=(change(HOME.columns[0]), *HOME.columns[1:]), version=version)


CHANGES: dict[str, dict[str, Any]] = {
    "formula": {"formula": "y(t) - y(t-2)"},
    "unit": {"unit": "percent"},
    "warm-up": {"support": Lag(Price(), 2, "SEG")},
    "policy": {"policy": "XGAP"},
    "type": {"dtype": "f8"},
    "bounds": {"bounds": (-1.0, 1.0)},
    "tag": {"tags": frozenset({"level"})},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_promise_needs_a_higher_version(name: str) -> None:
    lock = make_lock([HOME])
    changed = with_first(lambda c: replace(c, **CHANGES[name]))
    (line,) = unraised(lock, [changed])
    assert line.startswith("returns_raw_rate is still version 1, but changed ret_1: set version=2")
    assert "`make versions`" in line
    raised = replace(changed, version=2)
    assert unraised(lock, [raised]) == []
    assert outdated(lock, [raised]) == ["returns_raw_rate"], "the lock has to be written again"
    assert raised.code_hash != HOME.code_hash, "its partitions go stale"


def test_columns_that_come_and_go() -> None:
    lock = make_lock([HOME])
    fewer = replace(HOME, columns=HOME.columns[1:])
    assert "removed ret_1" in unraised(lock, [fewer])[0]
    assert "added ret_1" in unraised(make_lock([fewer]), [HOME])[0]
    renamed = with_first(lambda c: replace(c, name="change_1"))
    assert "added change_1; removed ret_1" in unraised(lock, [renamed])[0]
    assert "versions only rise" in unraised(make_lock([replace(HOME, version=3)]), [HOME])[0]


def test_words_may_change_and_new_datasets_only_need_the_lock() -> None:
    lock = make_lock([HOME])
    words = with_first(lambda c: replace(c, source="Somebody (2030)", summary="In other words.", alias_of="x_rate.y"))
    assert unraised(lock, [words]) == []
    assert outdated(lock, [words]) == []
    assert unraised({}, [HOME]) == []
    assert outdated({}, [HOME]) == outdated(lock, []) == ["returns_raw_rate"]


def test_the_script(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(versions, "FILE", tmp_path / "versions.json")
    monkeypatch.setattr(versions, "built_in", lambda: {HOME.name: HOME})
    assert versions.main([]) == 1
    assert "make versions" in capsys.readouterr().err
    assert versions.main(["--write"]) == 0
    assert versions.main([]) == 0
    assert read_lock() == make_lock([HOME])
    changed = with_first(lambda c: replace(c, formula="something else"))
    monkeypatch.setattr(versions, "built_in", lambda: {HOME.name: changed})
    before = (tmp_path / "versions.json").read_text()
    assert versions.main(["--write"]) == 1, "not before the version is raised"
    assert "set version=2" in capsys.readouterr().err
    assert (tmp_path / "versions.json").read_text() == before
    assert versions.main(["--accept"]) == 0
    assert versions.main([]) == 0
