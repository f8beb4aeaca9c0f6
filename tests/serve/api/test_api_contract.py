"""The contract of every route, on a real uvicorn server on loopback."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from api_server import Served

from bqx.market.calendar import datetime_of
from bqx.serve.api.batch import chunks, plan, write_part
from bqx.serve.api.parity import parity
from bqx.serve.api.predictor import Predictor
from bqx.serve.api.schemas import BatchOut, InvocationOut, PredictOut


def reason(found: httpx.Response) -> tuple[int, str]:
    assert found.headers["content-type"] == "application/json"
    error = found.json()["error"]
    assert error["request_id"] == found.headers["x-request-id"]
    return found.status_code, error["reason"]


def test_predict(served: Served) -> None:
    found = served.predict(features=True)
    assert found.status_code == 200
    data = found.json()
    PredictOut.model_validate(data)
    assert data["request_id"] == found.headers["x-request-id"]
    assert data["pair"] == "eurusd"
    assert [h["bars"] for h in data["horizons"]] == [15, 30, 45, 60, 75]
    for h in data["horizons"]:
        lo80, hi80 = h["interval_80_bps"]
        lo90, hi90 = h["interval_90_bps"]
        assert lo90 <= lo80 < hi80 <= hi90
        assert 0 < h["probability_up"] < 1
        assert list(h["quantiles_bps"].values()) == sorted(h["quantiles_bps"].values())
        assert (h["signal"]["action"], h["signal"]["strength"]) == ("HOLD", 0.0), "research models do not signal"
    assert data["data"]["bar"] == datetime_of(served.world.end - 1).isoformat()
    assert data["data"]["simulated"] is True
    assert data["data"]["age_bars"] == 0
    assert 20 <= data["data"]["age_seconds"] < 50
    assert data["features"]["used"] == 38 == len(data["features"]["values"])
    assert data["features"]["null"] == sum(v is None for v in data["features"]["values"].values())
    assert data["model"] | {"digest": "", "catalogue_version": ""} == {
        "version": "first", "promoted": False, "simulated": True, "digest": "", "catalogue_version": "",
        "note": "run first is research: no demonstrated skill"}  # fmt: skip
    assert found.headers["cache-control"] == "no-store"


def test_request_ids_are_kept_when_they_are_plain(served: Served) -> None:
    for given, kept in (("abc-1.2_X", True), ("a" * 65, False), ("x y", False), ('"}', False)):
        found = served.client.post("/predict", json={"pair": "eurusd"}, headers={"x-request-id": given})
        assert (found.json()["request_id"] == given) is kept


def test_answers_equal_the_batch(served: Served, tmp_path: Path) -> None:
    """Served values equal offline ones bit for bit, over the hours of two segments and with NULL features."""
    model = served.predictor.model("usdjpy")
    parts = plan(served.project, model, tmp_path, (None, None), cost=None, kind="parquet")
    assert [p.ym for p in parts] == ["2024_02", "2024_03"]
    assert sum(write_part(served.project, model, p, cost=None) for p in parts) > 10_000
    table = pl.concat(pl.read_parquet(p.path) for p in parts)
    known = np.flatnonzero(table["sigma"].is_not_null().to_numpy() & (table["left"].to_numpy() > 0))
    picked = [known[0], known[1], *np.random.default_rng(1).choice(known, 90, replace=False), known[-1]]
    compared, nulls = 0, 0
    batch = [{"pair": "usdjpy", "timestamp": (table["ts_utc"][int(at)] + timedelta(seconds=60 + k % 60)).isoformat()}
             for k, at in enumerate(picked)]  # fmt: skip
    answers: list[dict[str, Any]] = []
    for first in range(0, len(batch), 50):
        answers += served.client.post("/predict/batch", json={"requests": batch[first : first + 50]}).json()["results"]
    for at, item in zip(picked, answers, strict=True):
        row, got = table.row(int(at), named=True), item["answer"]
        if got is None:  # the minute has no bar of its own, and more than two before it have none
            assert item["error"]["reason"] == "no_row"
            continue
        assert got["data"]["bar"] == row["ts_utc"].isoformat()
        for h in got["horizons"]:
            b = h["bars"]
            ends = [*(h["interval_80_bps"] or [None] * 2), *(h["interval_90_bps"] or [None] * 2)]
            online = [h["expected_move_bps"], *ends, *h["quantiles_bps"].values(), h["probability_up"],
                      h["innovation_sigma"]]  # fmt: skip
            names = ("move", "lo80", "hi80", "lo90", "hi90", "q05", "q10", "q50", "q90", "q95", "p_up", "innovation")
            assert online == [row[f"{n}_{b}"] for n in names], (row["ts_utc"], b)
            compared += sum(v is not None for v in online)
            nulls += sum(v is None for v in online)
            assert {"BUY": 1, "SELL": -1, "HOLD": 0}[h["signal"]["action"]] == row[f"signal_{b}"]
    assert compared >= 4000
    assert nulls % 12 == 0


def test_batch(served: Served) -> None:
    asked = [{"pair": "eurusd"}, {"pair": "usdjpy"}, {"pair": "gbpusd"}, {"pair": "zzzzzz"},
             {"pair": "eurusd", "timestamp": "2024-03-03T10:00:00Z"}]  # fmt: skip
    found = served.client.post("/predict/batch", json={"requests": asked})
    data = found.json()
    BatchOut.model_validate(data)
    assert [r["answer"]["pair"] for r in data["results"][:2]] == ["eurusd", "usdjpy"]
    assert [r["error"]["reason"] for r in data["results"][2:]] == ["no_model", "unknown_pair", "closed"]
    assert reason(served.client.post("/predict/batch", json={"requests": []})) == (422, "bad_request")
    assert reason(served.client.post("/predict/batch", json={"requests": asked * 13})) == (422, "bad_request")


def test_refusals(served: Served) -> None:
    ask = served.predict
    assert reason(ask("eurxxx")) == (422, "unknown_pair")
    assert reason(ask("audnzd")) == (404, "no_model")
    assert ask("EUR/USD").json()["pair"] == "eurusd"
    later = datetime.fromtimestamp(served.world.now, UTC) + timedelta(days=1)
    assert reason(ask(timestamp=later.isoformat())) == (422, "future")
    assert reason(ask(timestamp="2024-03-06T10:00:00")) == (422, "bad_request"), "a time needs an offset"
    assert reason(ask(timestamp="2024-01-24T10:00:00Z")) == (404, "no_row")
    assert reason(ask(timestamp="1805-01-01T00:00:00Z")) == (404, "no_row")
    assert reason(ask(timestamp="0001-01-01T00:00:00Z")) == (404, "no_row")
    assert reason(ask(timestamp="2024-02-26T00:10:00Z")) == (409, "no_volatility")
    assert reason(ask(secret="x")) == (422, "bad_request")
    for body in (b"", b"{", b"[]", b'{"pair": 3}', b"\xff\xfe", b'{"pair": "eurusd", "pair": {}}', b"1e999", b"NaN"):
        found = served.client.post("/predict", content=body, headers={"content-type": "application/json"})
        assert reason(found) == (422, "bad_request"), body
    assert reason(served.client.get("/predict")) == (405, "no_such_method")
    assert reason(served.client.get("/nothing")) == (404, "no_such_path")
    assert served.client.get("/docs").status_code == 404, "no page that loads scripts from elsewhere"


def measured(served: Served) -> dict[str, str]:
    lines = served.client.get("/metrics").text.splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_health_ping_and_metrics(served: Served) -> None:
    bare = httpx.Client(base_url=served.server.url)
    assert bare.get("/ping").status_code == 200
    assert bare.get("/health").json() == {"status": "ok"}
    assert bare.get("/metrics").status_code == 401
    before = measured(served)
    for _ in range(3):
        served.predict()
    text = served.client.get("/metrics").text
    series = measured(served)
    answered = 'bqx_requests_total{route="/predict",status="200"}'
    assert float(series[answered]) - float(before.get(answered, 0)) == 3
    assert series["bqx_predict_seconds_count"] == series['bqx_predict_seconds_bucket{le="+Inf"}'] == series[answered]
    assert float(series["bqx_predict_seconds_sum"]) > 0
    assert series['bqx_data_age_bars{pair="eurusd"}'] == "0.0"
    assert series["bqx_models"] == "2.0"
    assert series["bqx_models_promoted"] == "0.0"
    kinds = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(kinds) == len(set(kinds)), "a family is declared once"


def test_openapi_says_what_is_there(served: Served) -> None:
    data = httpx.get(served.server.url + "openapi.json").json()
    assert set(data["paths"]) == {"/predict", "/predict/batch", "/ping", "/invocations", "/health", "/metrics"}
    assert data["paths"]["/predict"]["post"]["security"] == [{"key": []}]
    assert data["paths"]["/ping"]["get"]["security"] == []
    assert {"200", "401", "409", "413", "422", "429", "503"} <= set(data["paths"]["/predict"]["post"]["responses"])


def rows(served: Served, n: int) -> tuple[list[str], np.ndarray[Any, Any]]:
    model = served.predictor.model("eurusd")
    chunk = next(chunks(served.project, model, served.world.end - n, served.world.end, None))
    return [c.name for c in model.columns], chunk.block.X


def test_invocations_equal_the_model(served: Served) -> None:
    """JSON, JSON with columns in another order, and CSV with and without names give what the model says."""
    names, X = rows(served, 40)
    X = X.copy()
    X[0, :] = np.nan
    X[1, 3] = np.nan
    want = served.predictor.model("eurusd").artefact.predict(X)
    target = {"X-Amzn-SageMaker-Target-Model": "eurusd.tar.gz"}
    plain = [[None if math.isnan(v) else float(v) for v in row] for row in X]
    order = np.random.default_rng(0).permutation(len(names))
    turned = {"columns": [names[k] for k in order], "instances": [[r[k] for k in order] for r in plain]}
    head, lines = ",".join(names), "\n".join(",".join("" if v is None else repr(v) for v in r) for r in plain)
    bodies = [
        ("application/json", json.dumps({"instances": plain})),
        ("application/json; charset=utf-8", json.dumps(turned)),
        ("text/csv", lines),
        ("text/csv", f"{head}\n{lines}\n"),
    ]
    for kind, body in bodies:
        found = served.client.post("/invocations", content=body, headers={"content-type": kind, **target})
        data = found.json()
        InvocationOut.model_validate(data)
        for name in ("f3", "f4", "p_up", "lo80", "hi80", "lo90", "hi90", "quantiles"):
            got = np.array([p[name] for p in data["predictions"]], dtype=np.float64)
            assert np.array_equal(got, getattr(want, name), equal_nan=True), (kind, name)
    found = served.client.post(
        "/invocations", content=lines, headers={"content-type": "text/csv", "accept": "text/csv", **target}
    )
    table = pl.read_csv(found.content)
    assert np.array_equal(table["f4_60"].to_numpy(), want.f4[:, 3])
    assert np.array_equal(table["q95_15"].to_numpy(), want.quantiles[:, 0, 4])


def test_invocations_refuse(served: Served) -> None:
    names, _ = rows(served, 1)
    row = [0.0] * len(names)
    good = {"pair": "eurusd", "instances": [row]}

    def ask(data: Any, kind: str = "application/json", **headers: str) -> tuple[int, str]:
        body = data if isinstance(data, str | bytes) else json.dumps(data)
        return reason(served.client.post("/invocations", content=body, headers={"content-type": kind, **headers}))

    assert ask({"instances": [row]}) == (422, "no_model"), "two models: one must be named"
    assert ask(good | {"pair": "gbpusd"}) == (404, "no_model")
    assert ask(good, **{"X-Amzn-SageMaker-Target-Model": "../../etc/passwd"}) == (404, "no_model")
    assert ask(good, kind="application/x-npy") == (415, "content_type")
    for rows_ in ([row[:-1]], [[*row, 1.0]], [], [["1.0", *row[1:]]], [[True, *row[1:]]], [[1e39, *row[1:]]], "x", [3]):
        assert ask(good | {"instances": rows_}) == (422, "bad_request"), rows_
    assert ask(good | {"instances": [[0]] * 1025}) == (413, "too_large")
    assert ask(good | {"instances": [[10**400, *row[1:]]]}) == (422, "bad_request")
    assert ask(good | {"columns": [*names[:-1], "nonsense"]}) == (422, "bad_request")
    assert ask(good | {"columns": [*names[:-1], names[0]]}) == (422, "bad_request")
    assert ask(good | {"more": 1}) == (422, "bad_request")
    assert ask(json.dumps(good).replace("0.0", "NaN", 1)) == (422, "bad_request")
    assert ask("[" * 100_000) == (422, "bad_request")
    csv = {"X-Amzn-SageMaker-Target-Model": "eurusd"}
    for body in ("", "a,b\n", ",".join(["1"] * 3), ",".join(["nan"] * len(names)), '"', b"\xff" * len(names)):
        assert ask(body, kind="text/csv", **csv) == (422, "bad_request"), body


def test_parity_is_counted(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """No number differs; a server that forgets a pair's volatility is seen."""
    found = parity(served.project, served.predictor, "usdjpy", minutes=40, seed=2)
    assert found["ok"] and found["differ"] == 0 and found["compared"] >= 40 * 24 - 24 * found["refused"]
    honest = Predictor._predict
    monkeypatch.setattr(Predictor, "_predict", lambda self, model, row: honest(self, model, replace(row, sigma=1.0)))
    monkeypatch.setattr(served.predictor, "_kept", type(served.predictor._kept)())
    found = parity(served.project, served.predictor, "usdjpy", minutes=40, seed=2)
    assert not found["ok"] and found["differ"] > 500
