"""Extensions in a project: off unless named, then built, verified, read and explained like others; counts stay."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bqx.base.errors import ConfigError, UsageError
from bqx.build.choice import Choice
from bqx.build.project import Project
from bqx.build.run import build
from bqx.build.verify import verify
from bqx.cli.main import main
from bqx.features.catalogue import EXTENSIONS, count, datasets, extensions, own_datasets, switched_on
from bqx.store.partition import PartitionKey
from few_datasets import with_few

Copy = Callable[[Path], Project]
DATASETS = ("reg_rate", "reg_bqx")


@pytest.fixture(scope="module", autouse=True)
def few_datasets() -> Iterator[None]:
    yield from with_few()


def open_with(project: Project, names: str) -> Project:
    return Project.open(project.root, overrides={"features.extensions": names})


def test_off_by_default(unbuilt: Path, copy: Copy) -> None:
    project = copy(unbuilt)
    assert not project.extensions
    assert not {name for name in project.catalogue if name in extensions()}
    with pytest.raises(UsageError, match="reg_rate"):
        build(project, Choice(datasets=("reg_rate",)))


def test_switched_on_it_is_built_like_others(unbuilt: Path, copy: Copy) -> None:
    project = open_with(copy(unbuilt), "reg")
    assert set(project.extensions) == set(DATASETS)
    report = build(project, Choice(pairs=("gbpusd",), datasets=("reg_rate",), first_month="2024_07"), threads=1)
    assert report.failures == [] and report.partitions == 1
    (info,) = [i for i in project.store.partitions() if i.key.dataset == "reg_rate"]
    assert info.name == "reg_rate_gbpusd_2024_07"
    assert PartitionKey.parse(info.name) == info.key
    assert not [p for p in verify(project).problems if "reg_rate" in str(p)]
    frame = project.frame("gbpusd", ["reg_rate"], ["reg_rate.quadratic_term_w60"])
    assert frame["reg_rate.quadratic_term_w60"].count() > 5000
    again = build(project, Choice(pairs=("gbpusd",), datasets=("reg_rate",), first_month="2024_07"), threads=1)
    assert (again.built, again.fresh) == (0, 1)
    off = Project.open(project.root)
    assert off.store.read("reg_rate", ["gbpusd"], None, ["r2_w15"]).collect().height == info.rows, "still readable"
    assert not [p for p in verify(off).problems if "reg_rate" in str(p)], "what is off is nobody's fault"
    off.close()
    project.close()


def test_counts_stay() -> None:
    own = list(own_datasets().values())
    with_all = [*own, *switched_on(("all",)).values()]
    before, after = count(own), count(with_all)
    assert (after["counted"], after["inherited"], after["laggable"]) == (1264, 184, 344)
    assert {k: v for k, v in after.items() if k in ("counted", "inherited", "laggable", "users")} == {
        k: v for k, v in before.items() if k in ("counted", "inherited", "laggable", "users")
    }
    assert after["auxiliary"] - before["auxiliary"] == sum(len(h.columns) for h in extensions().values())
    assert not {*datasets()} & {*extensions()}


def test_names_of_a_switch() -> None:
    assert set(switched_on(("reg_bqx",))) == {"reg_bqx"}
    assert set(switched_on(("multiscale",))) == {f"multiscale_{s}m_{d}" for s in (30, 60) for d in ("rate", "bqx")}
    assert set(switched_on(("multiscale_30m",))) == {"multiscale_30m_rate", "multiscale_30m_bqx"}
    assert switched_on(("all",)) == extensions()
    assert switched_on(()) == {}
    with pytest.raises(ConfigError, match="wavelett") as error:
        switched_on(("wavelett",))
    assert all(name in str(error.value.fix) for name in EXTENSIONS)


def test_a_misspelt_name_in_the_file(unbuilt: Path, copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    root = copy(unbuilt).root
    text = (root / "bqx.toml").read_text()
    (root / "bqx.toml").write_text(text.replace("extensions = []", 'extensions = ["regg"]', 1))
    with pytest.raises(SystemExit):
        main(["-C", str(root), "features", "list"])
    assert "did you mean reg?" in capsys.readouterr().err


def test_the_list_shows_what_is_on(
    unbuilt: Path, copy: Copy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copy(unbuilt).root

    def listed(*more: str) -> set[str]:
        main(["-C", str(root), "features", "list", "--json", *more])
        rows = json.loads(capsys.readouterr().out)
        assert all(not row["counted"] for row in rows if row["stage"] == "ext")
        return {row["dataset"] for row in rows}

    assert not listed() & set(extensions())
    assert set(extensions()) <= listed("--extensions")
    monkeypatch.setenv("BQX_FEATURES_EXTENSIONS", "reg")
    assert listed() & set(extensions()) == set(DATASETS)
