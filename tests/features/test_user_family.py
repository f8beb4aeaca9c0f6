"""Families of users: found by their entry points, treated like ours, never counted, and harmless when broken."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from bqx.build.certify import certify
from bqx.build.choice import Choice
from bqx.build.project import Project
from bqx.build.run import build
from bqx.build.status import project_status
from bqx.build.verify import verify
from bqx.cli.main import main
from bqx.features import catalogue
from bqx.features.checks import CHECKS, World, run
from bqx.features.users import GROUP
from bqx.market.simulated import simulated_source
from bqx.store.sql import Sql

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/own-families.md").read_text(encoding="utf-8")
NAME, COLUMN = "straightness_rate", "straightness_15"
Install = Callable[..., Path]


def block(language: str) -> str:
    """The first block of the tutorial in a language."""
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def tweaked(old: str, new: str) -> str:
    source = block("python")
    assert old in source
    return source.replace(old, new)


def forget() -> None:
    for cached in (catalogue.datasets, catalogue.users, catalogue.own_datasets):
        cached.cache_clear()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """install(distribution, module, source, **entry points): an installed package as the importer finds it.

    A folder on the path with the module and the .dist-info that an installer writes.
    """
    modules: list[str] = []

    def make(distribution: str, module: str, source: str, **points: str) -> Path:
        folder = tmp_path / f"site-{distribution}"
        info = folder / f"{distribution.replace('-', '_')}-0.1.dist-info"
        info.mkdir(parents=True)
        (folder / f"{module}.py").write_text(source, encoding="utf-8")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.1\n", "utf-8")
        lines = [f"[{GROUP}]", *(f"{name} = {value}" for name, value in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        monkeypatch.syspath_prepend(str(folder))
        modules.append(module)
        forget()
        return folder

    yield make
    for module in modules:
        sys.modules.pop(module, None)
    monkeypatch.undo()
    forget()


@pytest.fixture
def tutorial(install: Install) -> Path:
    """The package of docs/own-families.md, installed as its pyproject.toml says."""
    about = tomllib.loads(block("toml"))["project"]
    return install(about["name"], "straightness", block("python"), **about["entry-points"][GROUP])


@pytest.fixture
def project(tmp_path: Path, world: World) -> Iterator[Project]:
    """Four weeks of the small world's bars, nothing built."""
    made = Project.create(tmp_path / "p", pairs=world.pairs)
    for pair in ("eurusd", "usdjpy"):
        made.bars.ingest(pair, world.frames[pair], simulated_source(1))
    yield made
    made.close()


def test_the_tutorial_is_thirty_lines() -> None:
    """Blank ones and imports apart."""
    lines = [line for line in block("python").splitlines() if line.strip()]
    assert len([line for line in lines if not line.startswith(("import", "from"))]) <= 30


def test_listed_and_not_counted(tutorial: Path) -> None:
    ours, all_ = list(catalogue.own_datasets().values()), list(catalogue.datasets().values())
    assert [d.name for d in all_] == [*(d.name for d in ours), NAME]
    assert all_[-1].origin == "fx-straightness"
    assert not all_[-1].counted
    assert {d.origin for d in ours} == {"bqx"}
    sizes = catalogue.count(all_)
    assert sizes["users"] == 1
    for key in ("counted", "inherited", "laggable", "auxiliary"):
        assert sizes[key] == catalogue.count(ours)[key]
    assert catalogue.describe(*catalogue.column(f"{NAME}.{COLUMN}"))["origin"] == "fx-straightness"
    assert catalogue.users().problems == ()


@pytest.mark.parametrize("check", CHECKS)
def test_the_tutorial_keeps_the_promises(check: str, tutorial: Path, world: World) -> None:
    results = CHECKS[check](catalogue.dataset(NAME), world)
    assert [(r.column, r.passed, r.reason) for r in results] == [(COLUMN, True, "")]


def test_a_look_ahead_is_found(install: Install, world: World) -> None:
    source = tweaked("straightness(streams.rate_close,", "straightness(np.roll(streams.rate_close, -1, 0),")
    install("fx-early", "straightness", source, straightness="straightness:DATASET")
    found = {r.check for r in run([catalogue.dataset(NAME)], world) if not r.passed}
    assert {"P1 causal", "P2 anchored", "reference"} <= found


def test_reading_over_the_weekend_is_found(install: Install, world: World) -> None:
    """The kernel looks further back than the support declares."""
    source = tweaked("seg_age[r] >= n and path > 0.0", "path > 0.0")
    install("fx-further", "straightness", source, straightness="straightness:DATASET")
    found = {r.check for r in run([catalogue.dataset(NAME)], world, ["nulls", "partition"]) if not r.passed}
    assert found == {"P2 anchored", "P3 null pattern"}


def test_built_read_queried_certified(tutorial: Path, project: Project, world: World) -> None:
    report = build(project, Choice.parse(project.resolve_column, datasets=f"{NAME},time_dual"), threads=1)
    assert (report.failures, report.built) == ([], 4)  # two months of two datasets
    frame = project.frame("eurusd", columns=[COLUMN])
    values = frame[f"{NAME}.{COLUMN}"]
    assert values.len() - values.null_count() > 20_000
    assert 0.0 <= float(values.min()) < 0.05 < 0.95 < float(values.max()) <= 1.0  # type: ignore[arg-type]
    home = catalogue.dataset(NAME)
    first, last = world.span
    whole = world.only(("eurusd",)).values(home, first, last)[COLUMN][:, 0].astype("f4")
    stored = frame[f"{NAME}.{COLUMN}"].cast(pl.Float32).to_numpy()
    assert (stored[-5000:] == whole[-5000:]).sum() > 4000
    assert verify(project, recompute=2).problems == []
    results = list(certify(project, [home], world, ["nulls", "bounds"]))
    assert [r.passed for r in results] == [True, True]
    with project.manifest.connection() as con:
        rows = con.execute("SELECT dataset, column FROM certificate").fetchall()
    assert [tuple(r) for r in rows] == [(NAME, COLUMN)]
    counted = Sql(project.root, project.manifest).query(f"SELECT count({COLUMN}) AS n FROM {NAME}")
    assert counted["n"][0] > 20_000


def test_an_edit_makes_it_stale(tutorial: Path) -> None:
    before = {name: d.code_hash for name, d in catalogue.datasets().items()}
    path = tutorial / "straightness.py"
    path.write_text(path.read_text().replace("min(abs(", "max(abs("))
    after = {name: d.code_hash for name, d in catalogue.datasets().items()}
    assert [name for name in before if before[name] != after[name]] == [NAME]


def test_all_files_of_a_package_count(tutorial: Path, tmp_path: Path) -> None:
    """A family whose helper lies in another file of its package."""
    package = tmp_path / "own"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "helper.py").write_text("X = 1\n")
    (package / "family.py").write_text("from own.helper import X\ndef compute(streams, names):\n    return {}\n")
    sys.path.insert(0, str(tmp_path))
    try:
        from own.family import compute  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("own.family"), sys.modules.pop("own")
    home = replace(catalogue.dataset(NAME), compute=compute)
    before = home.code_hash
    (package / "helper.py").write_text("X = 2\n")
    assert home.code_hash != before


def test_uninstalled(tutorial: Path, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its partitions stay; nothing else minds."""
    build(project, Choice.parse(project.resolve_column, datasets=f"{NAME},time_dual"), threads=1)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(tutorial)])
    forget()
    assert NAME not in project.catalogue
    assert {name.partition("_rate_")[0] for name in project_status(project)["not_wanted"]} == {"straightness"}
    assert [c for c in project.frame("eurusd").columns if c.startswith(NAME)] == []
    assert verify(project).problems == []
    assert build(project, Choice.parse(project.resolve_column, datasets="time_dual"), threads=1).built == 0


def test_a_family_that_fails_costs_no_other(install: Install, project: Project) -> None:
    source = tweaked("    out = np.empty", "    raise RuntimeError('no luck')\n    out = np.empty")
    install("fx-luckless", "straightness", source, straightness="straightness:DATASET")
    choice = Choice.parse(project.resolve_column, datasets=f"{NAME},time_dual")
    report = build(project, choice, threads=1, retries=0, check=False)
    assert {f["dataset"] for f in report.failures} == {NAME}
    assert "no luck" in report.failures[0]["reason"]
    assert report.built == 2


DECLARED = 'Dataset("straightness", "rate", (COLUMN,), compute, reference, '
BROKEN = {
    "no such module": ("", "nowhere:DATASET", "No module named 'nowhere'"),
    "raises": ("raise OSError('licence expired')", "straightness:DATASET", "OSError: licence expired"),
    "no such name": ("", "straightness:DATASET", "AttributeError"),
    "not a dataset": ("DATASET = [1]", "straightness:DATASET", "gives int, not a Dataset"),
    "our name": (tweaked(DECLARED, 'Dataset("returns_raw", "rate", (COLUMN,), compute, reference, '),
                 "straightness:DATASET", "dataset returns_raw_rate is already one of bqx"),
    "inherited": (tweaked(DECLARED, DECLARED + "inherited=True, "), "straightness:DATASET", "claims inherited=True"),
    "laggable": (tweaked(DECLARED, DECLARED + "laggable=True, "), "straightness:DATASET", "claims laggable=True"),
    "stage": (tweaked(DECLARED, DECLARED + 'stage="1.7.3", '), "straightness:DATASET", "claims stage='1.7.3'"),
    "upper case": (tweaked('Dataset("straightness"', 'Dataset("Straightness"'),
                   "straightness:DATASET", "is not a dataset name"),
    "column name": (tweaked('Column("straightness_15"', 'Column("ts_utc"'),
                    "straightness:DATASET", "column named 'ts_utc'"),
    "no columns": (tweaked("(COLUMN,)", "()"), "straightness:DATASET", "has no columns"),
    "no source": (tweaked(DECLARED, 'Dataset("straightness", "rate", (COLUMN,), print, reference, '),
                  "straightness:DATASET", "cannot be read"),
    "twice": (block("python") + "TWO = (DATASET, DATASET)\n", "straightness:TWO", "is already one of"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_broken(case: str, install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    """Left out, named, and the command line works on."""
    source, point, words = BROKEN[case]
    install("fx-broken", "straightness", source, straightness=point)
    other = tweaked('Dataset("straightness"', 'Dataset("fine"')
    install("zz-fine", "fine", other, fine="fine:DATASET")
    (error,) = catalogue.users().problems
    assert "fx-broken" in error.what
    assert words in error.what
    assert f"fx-broken, entry point straightness = {point}" == error.where
    ours = list(catalogue.own_datasets())
    assert list(catalogue.datasets()) == [*ours, "fine_rate"]
    forget()
    main(["features", "list"])
    out, err = capsys.readouterr()
    assert "(zz-fine)" in out
    assert "fx-broken" in err
    with pytest.raises(SystemExit) as done:
        main(["features", "show", f"{NAME}.{COLUMN}"])
    assert done.value.code == 2
    assert "fx-broken" in capsys.readouterr().err


def test_two_packages_of_one_name(install: Install) -> None:
    install("fx-one", "one", block("python"), a="one:DATASET")
    install("fx-two", "two", block("python"), a="two:DATASET")
    assert catalogue.dataset(NAME).origin == "fx-one"
    (error,) = catalogue.users().problems
    assert "fx-two" in error.what
    assert "already one of fx-one" in error.what


def test_in_a_process_of_its_own(install: Install) -> None:
    """The real command over a broken package."""
    folder = install("fx-broken", "straightness", "import nothing_of_the_kind", straightness="straightness:DATASET")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(folder)])}
    command = [sys.executable, "-c", "from bqx.cli.main import main; main()", "features", "list", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert '"returns_raw_rate"' in done.stdout
    assert "warning" in done.stderr
    assert "families of fx-broken cannot be loaded: ModuleNotFoundError" in done.stderr
