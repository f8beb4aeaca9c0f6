"""A server, or a predictor, of a project's settings."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bqx.base.errors import ServeError
from bqx.serve.api.freshness import Clock, as_if
from bqx.serve.api.keys import Keys
from bqx.serve.api.limits import Limits
from bqx.serve.api.metrics import Metrics
from bqx.serve.api.model_sources import ModelSource, RegistryModels, RunModels
from bqx.serve.api.models import ModelSet
from bqx.serve.api.predictor import Predictor
from bqx.serve.api.store_source import StoreSource

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.serve.api.live_thread import LiveThread
    from bqx.serve.api.server import ApiServer


@dataclass(frozen=True)
class Settings:
    """As `bqx serve` takes them. run : a run of `bqx train`, None for the registry. start : seconds since 1970 the
    clock begins at, None for the real one. feed : a file of bars that grows, for the live engine; None serves what is
    built.
    """

    run: str | None = None
    host: str = "127.0.0.1"
    port: int = 0
    cost: float | None = None
    start: float | None = None
    container: bool = False
    cors: tuple[str, ...] = ()
    tls: tuple[str, str] | None = None
    feed: Path | None = None


def make_predictor(
    project: Project, run: str | None, clock: Clock, *, cost: float | None = None, metrics: Metrics | None = None
) -> Predictor:
    """Models of a run, or of the registry, over the project's store."""
    chosen: ModelSource = RegistryModels(project.root) if run is None else RunModels(project.root, run)
    models = ModelSet(chosen, project.root)
    source, known = StoreSource(project, cost=cost), project.simulated
    return Predictor(models, source, project.calendar, clock, metrics or Metrics(), simulated=known)


def make_server(project: Project, settings: Settings, limits: Limits | None = None) -> ApiServer:
    """Models loaded and verified, socket bound; ServeError when nobody could ask or nothing could answer."""
    from bqx.serve.api.app import Service
    from bqx.serve.api.server import ApiServer

    keys = Keys(project.root)
    if not settings.container and not any(k.revoked_at is None for k in keys.list()):
        raise ServeError("there is no API key, so nobody could ask", fix="`bqx serve keys make LABEL`")
    clock = time.time if settings.start is None else as_if(settings.start)
    metrics = Metrics()
    predictor = make_predictor(project, settings.run, clock, cost=settings.cost, metrics=metrics)
    live = None if settings.feed is None else _live(project, predictor, settings.feed, settings.cost)
    service = Service(predictor, keys, limits or Limits(), metrics, settings.container, settings.cors)
    try:
        return ApiServer(service, project.root, host=settings.host, port=settings.port, tls=settings.tls, live=live)
    except BaseException:
        if live is not None:
            live.close()
        raise


def _live(project: Project, predictor: Predictor, feed: Path, cost: float | None) -> LiveThread:
    from bqx.serve.api.live_thread import LiveThread
    from bqx.serve.live.feeds.growing import GrowingFile

    store = StoreSource(project, cost=cost)
    live = LiveThread(project, predictor.models, store, GrowingFile(feed), cost=cost)
    predictor.source = live.source
    return live
