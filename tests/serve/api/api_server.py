"""A server over a small world, and a client that may ask it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from bqx.build.project import Project
from bqx.serve.api.assemble import Settings, make_server
from bqx.serve.api.keys import Keys
from bqx.serve.api.limits import Limits
from bqx.serve.api.server import ApiServer


@dataclass
class Served:
    """A running server over a project of its own, and a client with a key."""

    world: Any
    project: Project
    server: ApiServer
    key: str
    client: httpx.Client

    @property
    def predictor(self) -> Any:
        return self.server.service.predictor

    def predict(self, pair: str = "eurusd", **more: Any) -> httpx.Response:
        return self.client.post("/predict", json={"pair": pair, **more})

    def close(self) -> None:
        self.client.close()
        self.server.close()
        self.project.close()


Serve = Callable[..., Served]


def start_server(
    world: Any,
    *,
    after: float = 20.0,
    limits: Limits | None = None,
    rate: float = 10_000.0,
    run: str | None = "first",
    **more: Any,
) -> Served:
    """A server whose clock is `after` seconds past the world's last bar. more : of Settings."""
    project = Project.open(world.root)
    _, key = Keys(world.root).make("test", rate)
    server = make_server(project, Settings(run, start=world.now + after, **more), limits)
    server.refresher.every = 0.05
    server.start()
    client = httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {key}"}, timeout=30)
    return Served(world, project, server, key, client)
