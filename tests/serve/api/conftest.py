"""Servers on loopback over a small world, and clients that may ask them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_server import Serve, Served, start_server


@pytest.fixture(scope="module")
def served(served_world: Any) -> Iterator[Served]:
    """A server for tests that only ask, its clock 20 s past the last bar."""
    found = start_server(served_world)
    yield found
    found.close()


@pytest.fixture
def serve(served_world: Any, tmp_path: Path) -> Iterator[Serve]:
    """serve(copy=True, after=20, limits=..., rate=...) -> a server of the test's own; `copy` to change its project."""
    running: list[Served] = []

    def start(*, copy: bool = False, **more: Any) -> Served:
        world = served_world
        if copy:
            root = tmp_path / f"p{len(running)}"
            shutil.copytree(world.root, root)
            world = replace(world, root=root)
        running.append(start_server(world, **more))
        return running[-1]

    yield start
    for each in running:
        each.close()
