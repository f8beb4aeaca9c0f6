"""The small sibling of `make soak CHECK=image-build`: which steps are replayed, and that a step that fails is told."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

import pytest

image_build: Any = importlib.import_module("benchmarks.soak.image_build")
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", ["processing", "training", "inference"])
def test_every_step_but_those_about_users_is_replayed_in_a_folder(kind: str, tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "images" / kind / "Containerfile").read_text()
    lines = [line for _, line, _ in image_build.replayed(text, tmp_path)]
    assert "--require-hashes" in lines[1] and f"{tmp_path}/opt/bqx/bin/pip check" in lines[1]
    assert not [line for line in lines if "/opt/bqx" in line.replace(f"{tmp_path}/opt/bqx", "") or "useradd" in line]
    environments = [environment for _, _, environment in image_build.replayed(text, tmp_path)]
    assert environments[0] == {} and environments[-1]["BQX_CACHE_DIR"] == f"{tmp_path}/var/cache/bqx"
    assert (kind == "processing") == any("bqx.features.warm" in line for line in lines)


def test_a_step_that_fails_is_told_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The base without a digest is refused by the Containerfile's own first step."""

    def context(kind: str, source: Path, out: Path) -> None:
        out.mkdir(parents=True)
        shutil.copyfile(ROOT / "deploy" / "images" / kind / "Containerfile", out / "Containerfile")

    monkeypatch.setattr(image_build, "write_context", context)
    monkeypatch.setattr(image_build, "check_context", lambda _: None)
    monkeypatch.setattr(image_build, "DIGEST", "python:3.11")
    with pytest.raises(RuntimeError, match="line 8 of training: BASE_IMAGE must name a digest"):
        image_build.build("training", tmp_path)
