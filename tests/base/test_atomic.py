import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bqx.base.atomic import is_temporary, replacing, write_bytes, write_text
from bqx.base.errors import ConfigError, DiskError
from bqx.base.faults import FAULT_POINTS, fault

KILLED = -signal.SIGKILL
FILE_POINTS = FAULT_POINTS[:3]


def run(code: str, fault_at: str | None = None) -> int:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    if fault_at:
        env["BQX_FAULT"] = fault_at
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True).returncode


def test_writes_replace_whole_files_and_leave_no_temp(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b.txt"
    write_text(target, "første\n")
    write_bytes(target, b"second")
    assert target.read_bytes() == b"second"
    assert [p.name for p in target.parent.iterdir()] == ["b.txt"]


def test_an_error_inside_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "b.txt"
    write_text(target, "old")
    with pytest.raises(KeyError), replacing(target) as temp:
        temp.write_text("new")
        raise KeyError("boom")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("point", FILE_POINTS)
def test_a_kill_leaves_the_old_or_the_new_file_never_half(tmp_path: Path, point: str) -> None:
    target = tmp_path / "b.txt"
    target.write_text("old")
    code = f"from bqx.base.atomic import write_text; write_text(__import__('pathlib').Path({str(target)!r}), 'new')"
    assert run(code, point) == KILLED
    assert target.read_text() == ("new" if point == "after-rename" else "old")
    leftovers = [p for p in tmp_path.iterdir() if p != target]
    assert len(leftovers) == (0 if point == "after-rename" else 1)
    assert all(is_temporary(p) for p in leftovers)
    assert run(code) == 0
    assert target.read_text() == "new"


def test_the_nth_hit_is_counted(tmp_path: Path) -> None:
    code = (
        "from bqx.base.atomic import write_text; from pathlib import Path\n"
        f"for i in range(4): write_text(Path({str(tmp_path)!r}) / str(i), 'x')"
    )
    assert run(code, "after-rename:3") == KILLED
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0", "1", "2"]


def test_misspelt_faults_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BQX_FAULT", "after-fsink")
    with pytest.raises(ConfigError, match="after-fsink"):
        fault("after-fsync")
    monkeypatch.delenv("BQX_FAULT")
    with pytest.raises(ValueError, match="unknown fault point"):
        fault("nowhere")


def test_a_full_disk_is_a_disk_error(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(DiskError, match="no space"), replacing(tmp_path / "x") as temp:
        temp.symlink_to("/dev/full")
        with temp.open("wb", buffering=0) as file:
            file.write(b"x")
    assert list(tmp_path.iterdir()) == []
