"""What is too good is quarantined before anyone sees a figure; a planted signal is found, and noise is not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from training_worlds import COLUMNS, cli, next_bar, order, plant

from bqx.base.errors import LeakError, QuarantinedError, UsageError
from bqx.build.project import Project
from bqx.research.artefact import Signer, make_key
from bqx.research.dataset import Dataset
from bqx.research.labels import Labels
from bqx.research.leakage.result import LeakResult
from bqx.research.target_set import target
from bqx.research.training import signing
from bqx.research.training.folder import Run, open_run
from bqx.research.training.judge import plain
from bqx.research.training.quarantine import check_quarantine
from bqx.research.training.run import train

KEY = make_key()[0]


@pytest.fixture
def leaky(noise_world: Project, noise_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The drill: one column of 20 is a bar late, and nothing else is known."""
    plant(monkeypatch, next_bar(noise_world, "eurusd"))
    return train(order(noise_dataset, pairs=("eurusd",), horizons=(15, 60)), "leaky", signer=Signer(KEY))


def test_a_one_bar_look_ahead_is_quarantined_before_anyone_sees_a_figure(leaky: Run, noise_world: Project) -> None:
    assert leaky.state == "quarantined" and leaky.closed
    words = leaky.head["result"]["too_good"]
    for h in (15, 60):
        assert any(f"h = {h}" in text and "of the very next bar" in text for text in words), "a bar is 1 / h of y4"
    assert not {"scores", "pooled"} & set(leaky.head["result"])
    assert not (leaky.folder / "artefacts").exists(), "no model is made of it either"
    with pytest.raises(QuarantinedError, match="very next bar"):
        check_quarantine(leaky)
    shown = cli(noise_world, "runs", "show", "leaky")
    assert shown["state"] == "quarantined" and "pooled" not in shown["result"]
    rows = {r["what"]: r["values"] for r in cli(noise_world, "runs", "compare", "leaky")}
    assert rows["y4 skill, %"] == ["quarantined"]
    with pytest.raises(QuarantinedError):
        cli(noise_world, "stage", "model", "--run", "leaky")


def test_only_who_has_the_leakage_tests_pass_can_sign(
    leaky: Run, noise_world: Project, noise_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def suite(bad: str) -> object:
        def run_suite(dataset: Dataset, pair: str, *, tests: tuple[str, ...], **words: object) -> list[LeakResult]:
            asked.append(tests)
            return [LeakResult(t, "made up", 900, int(t == bad), "differs at 10:31") for t in tests]

        return run_suite

    monkeypatch.setattr(signing, "run_suite", suite("L1"))
    with pytest.raises(LeakError, match="L1 failed on eurusd: differs at 10:31"):
        cli(noise_world, "runs", "sign", "leaky", "--by", "Ada", "--reason", "looks fine")
    assert open_run(noise_world, "leaky").signed is None and asked == [("L1", "L2", "L3", "L4", "L5", "L6")]
    monkeypatch.setattr(signing, "run_suite", suite(""))
    with pytest.raises(UsageError, match="a name and a reason"):
        signing.sign(leaky, noise_dataset, by=" ", reason="x")
    data = cli(noise_world, "runs", "sign", "leaky", "--by", "Ada", "--reason", "a planted drill")
    assert data["by"] == "Ada" and data["run_hash"] == leaky.hash and len(data["tests"]["eurusd"]) == 6
    signed = open_run(noise_world, "leaky")
    check_quarantine(signed)
    again = train(order(noise_dataset, pairs=("eurusd",), horizons=(15, 60)), "leaky", signer=Signer(KEY))
    assert again.state == "quarantined" and again.head["result"]["pooled"]["y4"]["skill"] > 0.01
    assert again.artefact("eurusd").is_dir(), "now its figures are shown and its models are made"
    (leaky.folder / "signed.json").unlink()


def test_nothing_is_signed_that_needs_no_signature(noise_dataset: Dataset) -> None:
    run = SimpleNamespace(state="done", name="fine")
    with pytest.raises(UsageError, match="not quarantined"):
        signing.sign(run, noise_dataset, by="Ada", reason="because")  # type: ignore[arg-type]


def planted(r2: float, seed: int, horizon: int = 15) -> object:
    """A column that explains `r2` of y4: its share of the truth and noise of its own."""

    def column(labels: Labels) -> np.ndarray:
        y = target(f"y4_{horizon}").value(labels)
        noise = np.random.default_rng([seed, int(labels.position[0]), len(labels)]).normal(size=len(y))
        return np.sqrt(r2) * y + np.sqrt(1 - r2) * noise

    return column


def test_a_planted_signal_is_found_and_noise_is_not(noise_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = train(order(noise_dataset, COLUMNS[:3]), "noise")
    plant(monkeypatch, planted(0.02, 1))  # type: ignore[arg-type]
    signal = train(order(noise_dataset, COLUMNS[:3]), "signal")
    found = {run.name: run.head["result"]["pooled"]["y4"] for run in (noise, signal)}
    assert found["noise"]["low"] <= 0.0 and found["noise"]["verdict"] == "no demonstrated skill"
    assert found["signal"]["low"] > 0.0 and found["signal"]["verdict"] == "skill against the random walk"
    assert found["signal"]["low"] <= 0.02 <= found["signal"]["high"] + 0.01, "and it is not more than was planted"
    assert (noise.state, signal.state) == ("done", "done"), "2 % is not too good to be true"


def test_what_is_plainly_too_good_is_quarantined_too(noise_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, planted(0.2, 2))  # type: ignore[arg-type]
    run = train(order(noise_dataset, COLUMNS[:3], pairs=("usdjpy",)), "glaring")
    words = run.head["result"]["too_good"]
    assert run.state == "quarantined" and any("fold 1 h = 15: y4 skill" in text for text in words)
    assert any("all together: y4 skill" in text for text in words), "cell by cell and pooled"


def test_luck_of_a_small_cell_is_no_leak_and_a_leak_in_one_is_seen() -> None:
    import polars as pl

    rng = np.random.default_rng(0)
    y = rng.normal(size=480)
    wrong = 0
    for _ in range(300):  # persistent forecasts of one week at 75 bars: hits of 58 % are common by chance
        f = np.repeat(rng.normal(size=12), 40)
        table = pl.DataFrame({"y4": np.convolve(y, np.ones(5), "same"), "f4": f})
        found = plain([table], "y4", 75, 15)
        assert found is not None
        wrong += found.too_good is not None
        y = rng.normal(size=480)
    assert wrong == 0
    table = pl.DataFrame({"y4": y, "f4": 0.3 * y + 0.3 * rng.normal(size=480)})
    leak = plain([table], "y4", 15, 15)
    assert leak is not None and leak.too_good is not None and "skill" in leak.too_good
    assert plain([table.with_columns(pl.lit(None, pl.Float64).alias("y4"))], "y4", 15, 15) is None


def test_the_tests_a_signature_needs_can_be_run_alone(noise_dataset: Dataset) -> None:
    from bqx.research.leakage.suite import run_suite

    (found,) = run_suite(noise_dataset, "eurusd", tests=("L5",))
    assert found.test == "L5" and found.ok
    with pytest.raises(UsageError, match="no leakage test L15"):
        run_suite(noise_dataset, "eurusd", tests=("L15",))
