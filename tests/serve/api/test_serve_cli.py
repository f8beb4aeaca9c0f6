"""`bqx serve keys` and `bqx predict` on the command line: what they print, write, resume and refuse."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from api_server import Served

from bqx.cli.main import main


@pytest.fixture
def root(served_world: Any, tmp_path: Path) -> Path:
    shutil.copytree(served_world.root, tmp_path / "p", ignore=shutil.ignore_patterns("serve"))
    return tmp_path / "p"


def bqx(capsys: pytest.CaptureFixture[str], root: Path, *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    try:
        main(["-C", str(root), *words])
    except SystemExit as done:
        said = capsys.readouterr()
        return int(done.code or 0), said.out, said.err
    said = capsys.readouterr()
    return 0, said.out, said.err


def test_keys(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bqx(capsys, root, "serve", "keys", "list")[1] == "no keys: `bqx serve keys make LABEL`\n"
    code, out, _ = bqx(capsys, root, "serve", "keys", "make", "desk", "--rate", "5")
    key = out.splitlines()[0]
    ident = key.split("_")[1]
    assert code == 0
    assert "cannot be shown again" in out
    code, out, _ = bqx(capsys, root, "serve", "keys", "list", "--json")
    (row,) = json.loads(out)
    assert (row["id"], row["label"], row["rate"], row["revoked_at"]) == (ident, "desk", 5.0, None)
    assert "digest" not in row
    assert key.split("_", 2)[2] not in out
    assert f"{ident} desk: revoked" in bqx(capsys, root, "serve", "keys", "revoke", ident)[1]
    assert "revoked" in bqx(capsys, root, "serve", "keys", "list")[1]
    code, _, err = bqx(capsys, root, "serve", "keys", "revoke", "nobody")
    assert (code, "BQX849" in err) == (10, True)
    code, _, err = bqx(capsys, root, "serve", "keys", "make", "a\nb")
    assert (code, "BQX002" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 7, "no API key"),
        (("--container",), 7, "no registry of models"),
        (("--models", "none"), 7, "no API key"),
        (("--models", "none", "--container"), 7, "has no artefacts"),
        (("--models", "first", "--host", "0.0.0.0"), 7, "would cross the network"),
        (("--models", "first", "--as-if", "2024-03-07T08:00"), 2, "has no offset"),
        (("--models", "first", "--as-if", "now"), 2, "is not an ISO time"),
        (("--models", "first", "--as-if", "2024-03-07T08:00Z", "--feed", "x.csv"), 2, "a time of its own"),
        (("--models", "first", "--tls-cert", "bqx.toml"), 2, "belong together"),
    ],
)
def test_serve_refuses(
    root: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(root)
    found, _, err = bqx(capsys, root, "serve", *words)
    assert (found, said in err) == (code, True), err


def test_predict_at_a_time(root: Path, capsys: pytest.CaptureFixture[str], served: Served) -> None:
    """The command line, as JSON and for people, says what the server says."""
    at = datetime.fromtimestamp(served.world.now - 1234, UTC).isoformat()
    code, out, _ = bqx(capsys, root, "predict", "--models", "first", "--at", at, "--json")
    rows = json.loads(out)
    assert (code, [r["pair"] for r in rows]) == (0, ["eurusd", "usdjpy"])
    asked = served.predict("usdjpy", timestamp=at).json()
    for part in ("asked_at", "horizons", "signal", "features", "model", "data"):
        assert rows[1][part] == asked[part]
    _, out, _ = bqx(capsys, root, "predict", "--models", "first", "--at", at, "--pairs", "EUR/USD")
    assert "eurusd" in out
    assert "SIMULATED: HOLD" in out
    assert out.count("80 %") == 5
    code, _, err = bqx(capsys, root, "predict", "--models", "first", "--at", "2024-03-03T10:00Z")
    assert (code, "the market is closed" in err) == (5, True)


def test_predict_months(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run writes nothing; a second run finds what is there; a file that was changed is made again, to the bit."""
    words = ("predict", "--models", "first", "--json")
    out = root / "predictions" / "first"

    def run(*more: str) -> dict[str, str]:
        code, text, _ = bqx(capsys, root, *words, *more)
        assert code == 0
        data = json.loads(text)
        assert data["simulated"] is True
        return {f"{p['pair']} {p['month']}": p["state"] for p in data["parts"]}

    names = {"eurusd 2024_02", "eurusd 2024_03", "usdjpy 2024_02", "usdjpy 2024_03"}
    assert run("--dry-run") == dict.fromkeys(names, "to do")
    assert not out.exists()
    assert run() == dict.fromkeys(names, "written")
    assert run() == dict.fromkeys(names, "there")
    path = out / "eurusd_2024_03.parquet"
    before = path.read_bytes()
    path.write_bytes(before[:-1])
    (out / "usdjpy_2024_02.parquet.json").write_text("{")
    assert run() == {n: "written" if n in ("eurusd 2024_03", "usdjpy 2024_02") else "there" for n in names}
    assert path.read_bytes() == before
    assert run("--month", "2024_02", "--pairs", "eurusd", "--format", "csv") == {"eurusd 2024_02": "written"}
    assert run() == dict.fromkeys(names, "there"), "the other form is beside it"
    table, csv = (
        pl.read_parquet(out / "eurusd_2024_02.parquet"),
        pl.read_csv(out / "eurusd_2024_02.csv", infer_schema_length=None),
    )
    assert table["move_60"].to_list() == csv["move_60"].to_list()
    assert table["signal_60"].unique().to_list() == [0]
    receipt = json.loads((out / "eurusd_2024_02.csv.json").read_text())
    assert receipt["promoted"] is False
    code, _, err = bqx(capsys, root, "predict", "--models", "first", "--month", "2025_01")
    assert code == 9
    assert "no rows of eurusd in the span" in err
