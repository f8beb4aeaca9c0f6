"""Models rise by their gates alone; what serves a pair is one model, and the one before can come back."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from registered import World, backtest, make_world

from bqx.base.errors import ArtefactError, PromotionRefused, QuarantinedError, RegistryError, Unsupported, UsageError
from bqx.research.registry.comparison import compare
from bqx.research.registry.evidence import Evidence
from bqx.research.registry.gates import GATES, Gate, judge
from bqx.research.registry.lineage import lineage, users
from bqx.research.registry.promote import add_run, archive, promote, restore
from bqx.research.registry.rehearse import rehearse
from bqx.research.registry.report import RESEARCH, model_report
from bqx.research.registry.store import Registry
from bqx.research.training.folder import Run

ME = {"who": "tester", "reason": "a test"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Run, Run]:
    """A run with R2 0.03, below the limits of L14, and one of noise."""
    world = make_world(tmp_path_factory.mktemp("registry"))
    return world, world.run("good", r2=0.03, weeks=12), world.run("noise", seed=5)


@pytest.fixture
def world(shared: tuple[World, Run, Run], tmp_path: Path) -> World:
    """The same runs, with a registry of their own and nothing recorded."""
    import shutil

    shutil.copytree(shared[0].root, tmp_path / "p")
    for path in [tmp_path / "p/models/registry.sqlite", *(tmp_path / "p/models").glob("*/backtest.json")]:
        path.unlink(missing_ok=True)
    shutil.rmtree(tmp_path / "p/datasets", ignore_errors=True)
    return World(tmp_path / "p", Registry(tmp_path / "p"), shared[0].signer)


def run_of(world: World, name: str) -> Run:
    return Run.read(world.root / "models" / name)


def gates(world: World, name: str = "good") -> dict[str, Gate]:
    model = world.models(run_of(world, name))["eurusd"]
    return {g.name: g for g in judge(Evidence(world.registry, model))}


def test_without_evidence_every_gate_but_those_of_the_evaluation_blocks(world: World) -> None:
    found = gates(world)
    assert list(found) == list(GATES) == [f"GATE{k}" for k in range(1, 9)]
    assert {n for n, g in found.items() if g.verdict == "no evidence"} == {
        "GATE1",
        "GATE4",
        "GATE5",
        "GATE6",
        "GATE7",
        "GATE8",
    }
    assert found["GATE2"].passed and found["GATE2"].figures["horizons"] == [15, 60], found["GATE2"]
    with pytest.raises(PromotionRefused, match=r"GATE1 leakage: no evidence.*GATE4 economics: no evidence") as refused:
        promote(world.registry, world.registry.model("eurusd"), **ME)
    assert "GATE7" not in str(refused.value), "approval does not ask for the service"
    (run_of(world, "good").folder / "evaluation.json").unlink()
    assert gates(world)["GATE2"].verdict == gates(world)["GATE3"].verdict == "no evidence"


def test_with_all_evidence_a_planted_skill_rises_to_production(world: World) -> None:
    world.leakage()
    backtest(run_of(world, "good"))
    found = gates(world)
    assert all(found[f"GATE{k}"].passed for k in range(1, 7)), found
    model, _ = promote(world.registry, world.registry.model("eurusd"), **ME, dry_run=True)
    assert model.state == "pending" and world.registry.changes(model) == []
    model, _ = promote(world.registry, model, **ME)
    assert model.state == "approved" and model.research
    with pytest.raises(PromotionRefused, match="GATE7 service: no evidence"):
        promote(world.registry, model, **ME)
    world.hand_in(but="parity")
    with pytest.raises(PromotionRefused, match="nothing recorded of parity"):
        promote(world.registry, model, **ME)
    world.hand_in(bad="security")
    with pytest.raises(PromotionRefused, match="GATE8 operations: fail, security failed"):
        promote(world.registry, model, **ME)
    world.hand_in()
    model, _ = promote(world.registry, model, **ME)
    assert world.registry.production("eurusd") == model and not model.research
    assert [c["after"] for c in world.registry.changes(model)] == ["approved", "production"]
    assert len(world.registry.changes(model)[-1]["gates"]) == 8
    with pytest.raises(UsageError, match="nothing to promote"):
        promote(world.registry, model, **ME)


def test_a_plug_in_must_be_admitted(world: World) -> None:
    """Its manifest names a package; then GATE2 asks for the comparison with ridge and boosting, of this very run."""
    run = run_of(world, "good")
    model = world.models(run)["eurusd"]
    facts = {**model.facts, "plug_in": "fx-deep 1.0"}

    def gate() -> Gate:
        return judge(Evidence(world.registry, replace(model, facts=facts)))[1]

    def write(**words: Any) -> None:
        data = {"run_hash": run.hash, "admitted": True, "verdict": "not admitted", **words}
        (run.folder / "admission.json").write_text(json.dumps(data))

    assert model.facts["plug_in"] is None
    assert gate().verdict == "no evidence" and "fx-deep 1.0 is a plug-in" in gate().reason
    write(run_hash="0" * 32)
    assert gate().verdict == "no evidence"
    write(admitted=False)
    assert gate().verdict == "fail" and "not admitted" in gate().reason
    write()
    assert gate().passed


def test_noise_rises_nowhere_whatever_else_is_recorded(world: World) -> None:
    world.leakage()
    world.hand_in()
    backtest(run_of(world, "noise"))
    assert gates(world, "noise")["GATE2"].verdict == "fail"
    assert "no demonstrated skill" in gates(world, "noise")["GATE2"].reason
    with pytest.raises(PromotionRefused, match="GATE2 skill: fail, no demonstrated skill"):
        promote(world.registry, world.registry.model("eurusd"), **ME)


def expectancy(mean: float | None, low: float | None, stressed: float | None) -> dict[str, Any]:
    return {"expectancy": [{"stress": 1.0, "mean": mean, "low90": low}, {"stress": 1.5, "mean": stressed}]}


@pytest.mark.parametrize(
    ("gate", "change", "verdict"),
    [
        ("GATE4", expectancy(0.9, -0.1, 0.5), "fail"),
        ("GATE4", expectancy(0.9, 0.1, -0.1), "fail"),
        ("GATE4", expectancy(None, None, None), "fail"),
        ("GATE4", expectancy(1.0, None, 1.0), "no evidence"),
        ("GATE5", {"deflated": {"dsr": 0.94, "trials": 3}}, "fail"),
        ("GATE5", {"pbo": {"pbo": 0.21}}, "fail"),
        ("GATE5", {"pbo": None, "missing": {"pbo": "too few days"}}, "no evidence"),
        ("GATE6", {"concentration": 0.41}, "fail"),
    ],
)  # fmt: skip
def test_what_a_backtest_must_show(world: World, gate: str, change: dict[str, Any], verdict: str) -> None:
    backtest(run_of(world, "good"))
    assert gates(world)[gate].passed
    backtest(run_of(world, "good"), **change)
    assert gates(world)[gate].verdict == verdict


def test_a_leak_test_that_failed_blocks(world: World) -> None:
    world.leakage()
    assert gates(world)["GATE1"].passed
    world.leakage(bad="L9")
    assert gates(world)["GATE1"].verdict == "fail" and "L9" in gates(world)["GATE1"].reason


@pytest.mark.parametrize(
    ("gate", "change"),
    [
        ("GATE3", lambda d: d["spread"].update(within=False)),
        ("GATE3", lambda d: d["targets"]["y3"]["calibration"]["60"].update(p=1e-9)),
        ("GATE2", lambda d: [c.update(q_bh=0.2) for c in d["targets"]["y3"]["cells"] if c["pair"] == "eurusd"]),
        ("GATE6", lambda d: [f.update(skill=-f["skill"]) for f in d["targets"]["y3"]["parts"]["fold"][:2]]),
    ],
)
def test_what_an_evaluation_must_show(world: World, gate: str, change: Any) -> None:
    run = run_of(world, "good")
    backtest(run)
    assert gates(world)[gate].passed
    data = json.loads((run.folder / "evaluation.json").read_text())
    change(data)
    (run.folder / "evaluation.json").write_text(json.dumps(data))
    assert gates(world)[gate].verdict == "fail"


def test_evidence_of_another_run_of_the_name_does_not_count(world: World) -> None:
    run = run_of(world, "good")
    backtest(run, run_hash="f" * 32)
    assert gates(world)["GATE4"].verdict == "no evidence"
    (run.folder / "backtest.json").write_text("[1]")
    with pytest.raises(RegistryError, match="not a JSON object"):
        gates(world)


def test_an_artefact_that_was_touched_neither_enters_nor_rises(world: World) -> None:
    world.leakage()
    backtest(run_of(world, "good"))
    model = world.models(run_of(world, "good"))["eurusd"]
    victim = next((world.root / model.path).glob("**/*.npz"))
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ArtefactError, match="changed"):
        promote(world.registry, model, **ME)
    with pytest.raises(ArtefactError, match="changed"):
        add_run(world.registry, run_of(world, "good"))
    victim.write_bytes(whole)
    assert promote(world.registry, model, **ME)[0].state == "approved"


def test_a_quarantined_run_stays_outside(world: World) -> None:
    run = world.run("odd", state="quarantined")
    with pytest.raises(QuarantinedError):
        add_run(world.registry, run)
    assert world.registry.models() == []


def raise_to_production(world: World, name: str) -> None:
    """Past the gates, for what comes after them."""
    model = world.models(run_of(world, name))["eurusd"]
    model = world.registry.move(model, "approved", **ME, gates=[])
    world.registry.move(model, "production", **ME, gates=[])


def test_one_model_serves_and_the_one_before_comes_back(world: World) -> None:
    raise_to_production(world, "good")
    raise_to_production(world, "noise")
    first, second = world.registry.models("eurusd")
    assert (first.state, second.state) == ("archived", "production")
    rehearsed = rehearse(world.registry, second)
    assert rehearsed["ok"] and rehearsed["serves_after"] is None and 0 < rehearsed["seconds"] < 300
    restore(world.registry, first, **ME)
    assert [m.state for m in world.registry.models("eurusd")] == ["production", "archived"]
    third = rehearse(world.registry, world.registry.models("eurusd")[0])
    assert third["ok"] and third["serves_after"] is None
    archive(world.registry, world.registry.models("eurusd")[0], **ME)
    assert world.registry.production("eurusd") is None
    usdjpy = world.registry.models("usdjpy")[0]
    archived = archive(world.registry, usdjpy, **ME)
    with pytest.raises(UsageError, match="did not serve"):
        restore(world.registry, archived, **ME)


def test_a_rehearsal_brings_back_what_served_and_touches_nothing(world: World) -> None:
    raise_to_production(world, "good")
    waiting = world.models(run_of(world, "noise"))["eurusd"]
    before = world.registry.path.read_bytes()
    found = rehearse(world.registry, waiting)
    assert found["ok"] and found["serves_after"] == "eurusd:1"
    assert world.registry.path.read_bytes() == before
    (world.root / "models/good/artefacts/eurusd/manifest.sig").unlink()
    with pytest.raises(ArtefactError, match="not signed"):
        rehearse(world.registry, waiting)


def test_a_model_that_moved_meanwhile_is_not_moved_again(world: World) -> None:
    model = world.models(run_of(world, "good"))["eurusd"]
    world.registry.move(model, "approved", **ME, gates=[])
    with pytest.raises(RegistryError, match="no longer pending"):
        world.registry.move(model, "archived", **ME, gates=[])
    with pytest.raises(UsageError, match="name and a reason"):
        archive(world.registry, world.registry.model("eurusd"), who=" ", reason="x")


def test_versions_and_names(world: World) -> None:
    once, again = world.models(run_of(world, "good")), world.models(run_of(world, "good"))
    assert once == again
    second = world.models(run_of(world, "noise"))
    assert (once["eurusd"].version, second["eurusd"].version) == (1, 2)
    assert world.registry.model("eurusd") == second["eurusd"] and world.registry.model("eurusd:1") == once["eurusd"]
    assert {m.state for m in world.registry.models()} == {"pending"} and world.registry.models(state="approved") == []
    with pytest.raises(UsageError, match=r"no model 'eurusd:9'.*eurusd:1, eurusd:2"):
        world.registry.model("eurusd:9")


def test_lineage_and_users(world: World) -> None:
    model = world.models(run_of(world, "good"))["eurusd"]
    made = lineage(world.registry, model)
    assert made["run"]["hash"] == model.run_hash and made["datasets"] == {"invented_rate": 8}
    assert made["dataset"]["here"] is False and made["sources"] == {}
    assert [m.name for m in users(world.registry, "invented_rate.c3")] == ["eurusd:1", "usdjpy:1"]
    assert users(world.registry, "invented_rate.c9") == []


def test_comparison(world: World) -> None:
    good, noise = run_of(world, "good"), run_of(world, "noise")
    assert {c.verdict for c in compare(good, good)} == {"no demonstrated difference"}
    with pytest.raises(UsageError, match="other truths"):
        compare(good, noise)
    worse = world.run("half", r2=0.03, weeks=12, quality=-1.0, evaluated=False)
    found = {(c.pair, c.horizon, c.target): c for c in compare(good, worse)}
    assert len(found) == 8 and {c.verdict for c in found.values()} == {"first is better"}
    assert {c.verdict for c in compare(worse, good)} == {"first is worse"}


def test_the_page_says_what_stands_in_the_way(world: World) -> None:
    model = world.models(run_of(world, "noise"))["eurusd"]
    text = model_report(world.registry, model).markdown()
    assert "SIMULATED" in text and RESEARCH in text and "no demonstrated skill" in text
    assert all(name in text for name in GATES) and "no evidence" in text
    html = model_report(world.registry, model).html()
    assert "://" not in html.replace("http://www.w3.org", "") and "GATE8" in html


def test_files_that_are_no_registry(tmp_path: Path) -> None:
    path = tmp_path / "models" / "registry.sqlite"
    path.parent.mkdir()
    path.write_bytes(b"not a database at all, but long enough to be read as one" * 20)
    with pytest.raises(RegistryError, match="cannot be read"):
        Registry(tmp_path)
    path.unlink()
    with sqlite3.connect(path) as con:
        con.execute("CREATE TABLE mine (x)")
    con.close()
    with pytest.raises(RegistryError, match="no registry"):
        Registry(tmp_path)
    path.unlink()
    Registry(tmp_path)
    with sqlite3.connect(path) as con:
        con.execute("PRAGMA user_version = 9")
    con.close()
    with pytest.raises(Unsupported, match="format 9"):
        Registry(tmp_path)
