"""kill -9 at each named fault point, early and late in a run: nothing half-written is seen, a rerun ends the same."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import kill_worker
import pytest
import store_tables as tables

from bqx.base.faults import FAULT_POINTS
from bqx.store.bars import BarStore
from bqx.store.contract import PartitionInfo
from bqx.store.lake import Lake
from bqx.store.manifest import Manifest

HERE = Path(__file__).parent


def state(root: Path) -> dict[str, object]:
    """All a reader can see: names, contents, files and their hashes, bars by day."""
    manifest = Manifest(root / "manifest.sqlite")
    lake, bars = Lake(root, manifest), BarStore(root, manifest)
    seen: dict[str, object] = {info.name: _visible(info) for info in lake.partitions()}
    seen["days"] = bars.day_hashes(kill_worker.PAIRS, 0, 1 << 40)
    seen["months"] = [(m["pair"], m["ym"], m["path"], m["versions"]) for m in bars.months()]
    manifest.close()
    return seen


def _visible(info: PartitionInfo) -> tuple[object, ...]:
    files = tuple((piece.path, piece.file_hash) for piece in info.pieces)
    return info.content_hash, info.complete_through, info.input_hash, files


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    root = tmp_path_factory.mktemp("undisturbed")
    kill_worker.run(root)
    return state(root)


def test_the_undisturbed_run_is_what_it_should_be(undisturbed: dict[str, object]) -> None:
    names = {f"{d}_{p}_{ym}" for d in kill_worker.DATASETS for p in kill_worker.PAIRS for ym in ("2024_07", "2024_08")}
    assert set(undisturbed) == names | {"days", "months"}
    assert all(len(undisturbed[name][3]) == 1 for name in names)  # type: ignore[index]


POINTS = [f"{point}:{hit}" for point in FAULT_POINTS for hit in ((1, 6) if "commit" in point else (1, 7, 13))]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """Folder with one project a fault point, and how each run ended."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, str(HERE / "kill_worker.py"), str(folder), *POINTS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return folder, json.loads(done.stdout)


@pytest.mark.parametrize("where", POINTS)
def test_kill_and_run_again(where: str, killed: tuple[Path, dict[str, int]], undisturbed: dict[str, object]) -> None:
    root = killed[0] / where.replace(":", "-")
    assert killed[1][where] == -signal.SIGKILL
    manifest = Manifest(root / "manifest.sqlite")
    lake = Lake(root, manifest)
    assert lake.verify(deep=True) == []
    for info in lake.partitions():  # absent or complete: July whole, August by whole tails
        assert info.rows in ((300,) if info.key.ym == "2024_07" else (5, 10))
    for dataset in kill_worker.DATASETS:  # a commit's pairs become visible together
        by_month: dict[str, set[object]] = {}
        for info in lake.partitions(dataset=dataset):
            by_month.setdefault(info.key.ym, set()).add((info.complete_through, len(info.pieces)))
        assert all(len(seen) == 1 for seen in by_month.values())
    referenced = {p.path for i in lake.partitions() for p in i.pieces}
    on_disk = {p.relative_to(root).as_posix() for p in (root / "lake").rglob("*") if p.is_file()}
    manifest.close()
    if where.startswith(("after-temp", "after-fsync")):
        assert any(".tmp-" in name for name in _files(root))
    assert referenced <= on_disk

    kill_worker.run(root)
    assert state(root) == undisturbed
    manifest = Manifest(root / "manifest.sqlite")
    lake = Lake(root, manifest)
    lake.gc(keep_generations=0)
    live = {p.path for i in lake.partitions() for p in i.pieces} | {
        m["path"] for m in BarStore(root, manifest).months()
    }
    assert _files(root) == live
    assert lake.verify(deep=True) == []
    manifest.close()


def _files(root: Path) -> set[str]:
    return {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file() and p.parent != root}


def test_two_processes_commit_beside_each_other(tmp_path: Path) -> None:
    """Receipts of different partitions from two processes: all arrive, none is lost."""
    Manifest(tmp_path / "manifest.sqlite").close()
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[2]); import store_tables as t\n"
        "from bqx.store.lake import Lake; from bqx.store.manifest import Manifest\n"
        "root = pathlib.Path(sys.argv[1]); lake = Lake(root, Manifest(root / 'manifest.sqlite'))\n"
        "for n in range(1, 10): lake.commit([t.stage(lake, t.DATASET, sys.argv[3], f'2024_0{n}')])\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(HERE), pair]) for pair in kill_worker.PAIRS
    ]
    assert [process.wait(timeout=60) for process in running] == [0, 0]
    lake = Lake(tmp_path, Manifest(tmp_path / "manifest.sqlite"))
    assert len(lake.partitions()) == 18
    assert len({info.known_from for info in lake.partitions()}) == 18
    assert lake.verify(deep=True) == []
    assert lake.read(tables.DATASET).collect().height == 18 * 300
