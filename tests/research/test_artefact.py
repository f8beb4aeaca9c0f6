"""An artefact predicts the same bits after it was written and read, and nothing that was tampered with is loaded."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_rows import FACTS, invented_rows

from bqx.base.errors import ArtefactError, CheckError, IntervalError, SecretError, UsageError
from bqx.base.secret import Secret
from bqx.base.secret_file import FileProvider
from bqx.research.artefact import (
    SIGNING_KEY,
    Artefact,
    Predictions,
    Recipe,
    Signer,
    fit_horizon,
    fit_model,
    fit_pooled,
    make_key,
    read_trusted,
    trust,
)
from bqx.research.artefact.fit import assemble

ROWS = invented_rows()


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer(make_key()[0])


@pytest.fixture(scope="module", params=["boosting", "ridge", "xgboost", "random_walk"])
def made(request: pytest.FixtureRequest) -> Artefact:
    return fit_model(ROWS, Recipe(request.param), FACTS)


@pytest.fixture(scope="module")
def ridge() -> Artefact:
    return fit_model(ROWS, Recipe("ridge"), FACTS)


@pytest.fixture
def folder(ridge: Artefact, signer: Signer, tmp_path: Path) -> Path:
    ridge.save(tmp_path / "eurusd", signer)
    return tmp_path / "eurusd"


def same(a: Predictions, b: Predictions) -> None:
    for f in fields(Predictions)[2:]:
        np.testing.assert_array_equal(getattr(a, f.name), getattr(b, f.name), err_msg=f.name)


def test_the_same_bits_after_writing_and_reading(made: Artefact, signer: Signer, tmp_path: Path) -> None:
    digest = made.save(tmp_path / "a", signer)
    back = Artefact.load(tmp_path / "a", [signer.public])
    assert back.digest == digest == made.digest and back.horizons == (15, 60) and back.columns == ROWS.columns
    words = {"minute": ROWS.minute, "sigma": ROWS.sigma}
    whole = made.predict(ROWS.X, **words)
    same(whole, back.predict(ROWS.X, **words))
    alone = [back.predict(ROWS.X[k : k + 1], minute=ROWS.minute[k : k + 1], sigma=ROWS.sigma[k : k + 1]).lo90[0]
             for k in range(40)]  # fmt: skip
    np.testing.assert_array_equal(whole.lo90[:40], alone)
    assert np.isfinite(whole.quantiles).all() and (np.diff(whole.quantiles, axis=2) >= 0).all()
    assert ((whole.p_up > 0) & (whole.p_up < 1)).all() and (whole.lo90 <= whole.hi90).all()
    assert made.save(tmp_path / "a", signer) == digest, "the same artefact may be written again"
    assert made.simulated


def test_heads_have_learnt(made: Artefact) -> None:
    """On new rows mean and chance of a rise follow column 0, the width column 1; the random walk knows neither."""
    new = invented_rows(seed=9)
    p, y = made.predict(new.X), new.y4[15]
    width = p.hi90[:, 0] - p.lo90[:, 0]
    assert abs(np.mean((p.lo90[:, 0] <= y) & (y <= p.hi90[:, 0])) - 0.9) < 0.03
    if made.manifest["recipe"]["estimator"] == "random_walk":
        assert not p.f4.any() and np.ptp(p.p_up[:, 0]) == 0 and np.ptp(width) < 1e-12
        return
    mean, spread = np.nan_to_num(new.X[:, 0]), np.nan_to_num(new.X[:, 1])
    assert np.corrcoef(p.f4[:, 0], mean)[0, 1] > 0.4 and np.corrcoef(p.f4[:, 1], mean)[0, 1] < -0.4
    assert np.corrcoef(p.p_up[:, 0], mean)[0, 1] > 0.4 and np.corrcoef(width, spread)[0, 1] > 0.4


def test_a_horizon_depends_on_no_other() -> None:
    alone = fit_horizon(ROWS, 15, Recipe("boosting", {"rounds": 5}))
    less = replace(ROWS, y3={15: ROWS.y3[15]}, y4={15: ROWS.y4[15]})
    assert fit_model(less, Recipe("boosting", {"rounds": 5}), FACTS).models[15].files() == alone.files()
    whole = assemble(ROWS, Recipe("boosting", {"rounds": 5}), FACTS, {15: alone})
    assert whole.horizons == (15,) and whole.manifest["models"]["15"]["rows"] == len(ROWS)


def test_only_the_heads_asked_for(signer: Signer, tmp_path: Path) -> None:
    made = fit_model(ROWS, Recipe("ridge", heads=("point",)), FACTS)
    made.save(tmp_path / "p", signer)
    p = Artefact.load(tmp_path / "p", [signer.public]).predict(ROWS.X)
    assert np.isfinite(p.f3).all() and np.isnan(p.p_up).all() and np.isnan(p.quantiles).all() and np.isnan(p.lo80).all()


def test_walk_intervals_begin_where_the_artefact_stands_and_learn_late(ridge: Artefact) -> None:
    new = invented_rows(seed=5, n=400)
    model = ridge.models[60]
    first = model.walk(new.X, new.position, new.minute, new.sigma, new.y4[60])
    still = model.predict(new.X, model.intervals.cells.of(new.minute, new.sigma))
    np.testing.assert_array_equal(first[:4, 8:], still[:4, 8:], err_msg="before any label of 60 bars is known")
    assert (first[4:, 8:] != still[4:, 8:]).any()
    np.testing.assert_array_equal(first[:, :8], still[:, :8])
    later = new.y4[60].copy()
    later[200:] = 50.0
    other = model.walk(new.X, new.position, new.minute, new.sigma, later)
    np.testing.assert_array_equal(first[:204], other[:204], err_msg="labels count h bars later, no sooner")
    assert (other[204:, 8:] != first[204:, 8:]).any()


def test_pooled_pairs_share_a_model_and_keep_their_own_level(signer: Signer, tmp_path: Path) -> None:
    parts = {"eurusd": invented_rows(n=1600, tilt=0.5), "usdjpy": invented_rows("usdjpy", n=1600, seed=1, tilt=-0.5)}
    made = fit_pooled(parts, Recipe("boosting", {"share": 1.0}), FACTS)
    a, b = (made[p].predict(ROWS.X).f4[:, 0].mean() for p in ("eurusd", "usdjpy"))
    assert a - b > 0.5, "the indicator column tells the pairs apart"
    made["usdjpy"].save(tmp_path / "u", signer)
    same(Artefact.load(tmp_path / "u", [signer.public]).predict(ROWS.X), made["usdjpy"].predict(ROWS.X))
    assert made["eurusd"].models[15].point is made["usdjpy"].models[15].point
    assert made["eurusd"].models[15].intervals.score.shape == made["usdjpy"].models[15].intervals.score.shape
    with pytest.raises(UsageError, match="two or more"):
        fit_pooled({"eurusd": ROWS}, Recipe("ridge"), FACTS)
    with pytest.raises(UsageError, match="other columns"):
        fit_pooled({"eurusd": ROWS, "usdjpy": invented_rows("usdjpy", columns=4)}, Recipe("ridge"), FACTS)


def edit_manifest(folder: Path) -> None:
    data = json.loads((folder / "manifest.json").read_text())
    data["columns"][0], data["columns"][1] = data["columns"][1], data["columns"][0]
    (folder / "manifest.json").write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")


def flip(folder: Path) -> None:
    path = folder / "h15" / "point" / "ridge.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def resign(folder: Path) -> None:
    """Edit and sign again, with a key of one's own."""
    edit_manifest(folder)
    stranger = Signer(make_key()[0])
    signature = {"key": stranger.public, "signature": stranger.sign((folder / "manifest.json").read_bytes())}
    (folder / "manifest.sig").write_text(json.dumps(signature))


def link(folder: Path) -> None:
    path = folder / "h15" / "point" / "ridge.npz"
    path.rename(folder.parent / "elsewhere.npz")
    path.symlink_to(folder.parent / "elsewhere.npz")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (flip, "was changed after it was signed"),
        (edit_manifest, "signature does not fit"),
        (resign, "not trusted here"),
        (link, "does not belong"),
        (lambda f: (f / "manifest.sig").unlink(), "not signed"),
        (lambda f: (f / "manifest.sig").write_text("{}"), "signature file cannot be read"),
        (lambda f: (f / "manifest.json").unlink(), "cannot be read"),
        (lambda f: (f / "h60" / "conformal.npz").unlink(), "conformal.npz is absent"),
        (lambda f: (f / "h60" / "extra.pkl").write_bytes(b"x"), "does not belong"),
    ],
)
def test_planted_faults_are_refused(folder: Path, signer: Signer, fault: Callable[[Path], None], says: str) -> None:
    Artefact.load(folder, [signer.public])
    fault(folder)
    with pytest.raises(ArtefactError, match=says):
        Artefact.load(folder, [signer.public])


def test_foreign_keys_and_trusted_files(folder: Path, signer: Signer, tmp_path: Path) -> None:
    project = tmp_path / "project"
    for nobody in ([], [make_key()[1]], project):
        with pytest.raises(ArtefactError, match="not trusted"):
            Artefact.load(folder, nobody)
    trust(project, signer.public, "of this test")
    trust(project, signer.public, "again")
    assert read_trusted(project) == {signer.public}
    Artefact.load(folder, project)
    (project / "models" / "trusted.keys").write_text("not-a-key\n")
    with pytest.raises(ArtefactError, match="line 1"):
        read_trusted(project)


def test_columns_in_another_order_are_refused(ridge: Artefact) -> None:
    names = list(ridge.columns)
    ridge.predict(ROWS.X[:3], columns=names)
    with pytest.raises(ArtefactError, match=r"column 0 is invented_rate.c1.*c0"):
        ridge.predict(ROWS.X[:3], columns=[names[1], names[0], *names[2:]])
    with pytest.raises(ArtefactError, match="column 7 is None"):
        ridge.predict(ROWS.X[:3], columns=names[:-1])
    with pytest.raises(ArtefactError, match="7 columns given"):
        ridge.predict(ROWS.X[:3, :-1])
    with pytest.raises(UsageError, match="both"):
        ridge.predict(ROWS.X, minute=ROWS.minute)
    with pytest.raises(ArtefactError, match="catalogue none"):
        ridge.check_catalogue()


def test_a_folder_is_never_written_over(folder: Path, signer: Signer) -> None:
    with pytest.raises(ArtefactError, match="something else"):
        fit_model(ROWS, Recipe("random_walk"), FACTS).save(folder, signer)
    made = Artefact.load(folder, [signer.public])
    flip(folder)
    with pytest.raises(ArtefactError, match="something else"):
        made.save(folder, signer)


@pytest.mark.parametrize(("point", "whole"), [("before-commit", False), ("after-commit", True)])
def test_a_killed_writer_leaves_all_or_nothing(point: str, whole: bool, signer: Signer, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from model_rows import FACTS, invented_rows\n"
        "from bqx.research.artefact import Recipe, Signer, fit_model, make_key\n"
        "made = fit_model(invented_rows(n=900), Recipe('ridge', heads=('point',)), FACTS)\n"
        "made.save(Path(sys.argv[2]) / 'm', Signer(make_key()[0]))\n"
    )
    words = [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)]
    dead = subprocess.run(words, env={**os.environ, "BQX_FAULT": point}, capture_output=True, check=False)
    assert dead.returncode == -9
    assert (tmp_path / "m").is_dir() == whole and bool(list(tmp_path.glob(".m.part-*"))) != whole
    made = fit_model(invented_rows(n=900), Recipe("ridge", heads=("point",)), FACTS)
    made.save(tmp_path / "m", signer)
    assert not list(tmp_path.glob(".m.part-*")) or whole
    key = json.loads((tmp_path / "m" / "manifest.sig").read_text())["key"]
    assert Artefact.load(tmp_path / "m", [key]).digest == made.digest and (key == signer.public) != whole


def test_the_private_key_comes_from_the_provider_and_stays_hidden(tmp_path: Path) -> None:
    private, public = make_key()
    (tmp_path / SIGNING_KEY).write_text(private.reveal())
    (tmp_path / SIGNING_KEY).chmod(0o600)
    assert Signer.of(FileProvider(tmp_path)).public == public
    assert private.reveal() not in repr(private)
    bad = "short" + os.urandom(4).hex()
    with pytest.raises(SecretError, match="32 bytes") as error:
        Signer(Secret(bad))
    assert bad not in str(error.value) and error.value.__cause__ is None


def test_equal_inputs_give_equal_folders_in_another_process(signer: Signer) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from model_rows import FACTS, invented_rows\n"
        "from bqx.research.artefact import Recipe, fit_model\n"
        "print(fit_model(invented_rows(n=900), Recipe('boosting', {'rounds': 5}, seed=7), FACTS).digest)"
    )
    env = {**os.environ, "OMP_NUM_THREADS": "4"}
    words = [sys.executable, "-c", code, str(Path(__file__).parent)]
    other = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout.strip()
    mine = fit_model(invented_rows(n=900), Recipe("boosting", {"rounds": 5}, seed=7), FACTS)
    assert mine.digest == other
    assert fit_model(invented_rows(n=900), Recipe("boosting", {"rounds": 5}, seed=8), FACTS).digest != other


def test_bad_recipes_and_too_few_rows() -> None:
    with pytest.raises(UsageError, match="ridge, boosting"):
        Recipe("persistence")
    with pytest.raises(UsageError, match="point, quantile"):
        Recipe("ridge", heads=("mean",))
    with pytest.raises(UsageError, match="seed"):
        Recipe("ridge", {"seed": 1})
    with pytest.raises(UsageError, match="dataset_hash"):
        fit_model(ROWS, Recipe("random_walk"), {k: v for k, v in FACTS.items() if k != "dataset_hash"})
    with pytest.raises(CheckError):
        fit_model(ROWS.take(np.arange(80)), Recipe("random_walk"), FACTS)
    with pytest.raises(IntervalError, match="100 are the least"):
        fit_model(ROWS.take(np.arange(350)), Recipe("random_walk"), FACTS)


def test_the_page_makes_a_model(signer: Signer, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text("utf-8")
    code = next(b for b in re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S) if "def make" in b)
    scope: dict[str, Any] = {}
    exec(code, scope)
    made = scope["make"](ROWS, FACTS, signer, tmp_path / "model")
    assert made.manifest["recipe"]["params"] == {"rounds": 60} and made.predict(ROWS.X, columns=ROWS.columns).f4.any()
