"""What the registry says is what is served: production signals, research holds, a promotion arrives by itself."""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_server import start_server
from benchmarks.soak.api_world import fit

from bqx.base.errors import ModelRefused
from bqx.build.project import Project
from bqx.research.artefact import Artefact
from bqx.research.backtest.result import rule_of
from bqx.research.registry import Model, Registry
from bqx.serve.api.model_sources import RegistryModels
from bqx.serve.api.models import ModelSet

WHO = {"who": "test", "reason": "test"}


@pytest.fixture
def world(served_world: Any, tmp_path: Path) -> Any:
    shutil.copytree(served_world.root, tmp_path / "p")
    return replace(served_world, root=tmp_path / "p")


def registered(world: Any, pair: str) -> tuple[Registry, Model]:
    """The pair's artefact as a pending model; states are moved without the gates, which have tests of their own."""
    artefact, registry = Artefact.load(world.artefacts / pair, world.root), Registry(world.root)
    path = (world.artefacts / pair).relative_to(world.root).as_posix()
    return registry, registry.add(
        pair=pair, digest=artefact.digest, path=path, run="first", run_hash="none", simulated=True, facts={}
    )


def test_a_promotion_arrives(world: Any) -> None:
    registry, model = registered(world, "eurusd")
    registered(world, "usdjpy")
    with closing(start_server(world, run=None, cost=0.0)) as served:
        before = served.predict().json()
        assert (before["model"]["version"], before["model"]["promoted"]) == ("eurusd:1", False)
        assert before["model"]["note"] == "pending: no demonstrated skill"
        assert {h["signal"]["action"] for h in before["horizons"]} == {"HOLD"}
        registry.move(registry.move(model, "approved", **WHO, gates=[]), "production", **WHO, gates=[])
        deadline = time.monotonic() + 15
        while not (after := served.predict().json())["model"]["promoted"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        for h in after["horizons"]:
            side = "BUY" if h["expected_move_bps"] > 0 else "SELL"
            beyond = abs(h["expected_move_bps"]) > rule_of(None).extra_cost_bps
            assert h["signal"]["action"] == (side if beyond else "HOLD")
        assert not served.predict("usdjpy").json()["model"]["promoted"], "nobody promoted this one"
        registry.move(registry.production("eurusd"), "archived", **WHO, gates=[])  # type: ignore[arg-type]
        while served.predict().status_code != 404:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_simulated_market_shows_no_skill_on_a_real_one(world: Any) -> None:
    registry, model = registered(world, "eurusd")
    registry.move(model, "production", **WHO, gates=[])
    resident = ModelSet(RegistryModels(world.root), world.root).get("eurusd")
    assert resident is not None
    assert resident.located.promoted
    assert resident.demonstrated(simulated=True)
    assert not resident.demonstrated(simulated=False)


def test_another_artefact_than_the_registered_one_is_refused(world: Any) -> None:
    registered(world, "eurusd")
    with closing(Project.open(world.root)) as project:
        other = fit(project, "eurusd", world.start, world.end, rounds=2)
    shutil.rmtree(world.artefacts / "eurusd")
    other.save(world.artefacts / "eurusd", world.signer)
    with pytest.raises(ModelRefused, match="not the one that was registered"):
        ModelSet(RegistryModels(world.root), world.root)
