"""The inference server of a container: /ping and /invocations, every model in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bqx.ops.container.layout import Layout
from bqx.ops.container.multi import MultiModel
from bqx.ops.container.resident import FolderModels, LoadedModels, NoRows
from bqx.serve.api.models import ModelSet

if TYPE_CHECKING:
    from bqx.serve.api.gate import App
    from bqx.serve.api.server import ApiServer

MODELS = "models"
"""Where a multi-model endpoint unpacks archives, under the root."""


@contextmanager
def container_server(
    layout: Layout, trusted: frozenset[str], *, host: str = "0.0.0.0", port: int = 8080, multi: bool = False  # noqa: S104 - a container's port is opened by who runs it
) -> Iterator[ApiServer]:  # fmt: skip
    """A bound server over model/, or with `multi` over what the endpoint loads; its state lies in a temporary folder.

    Nothing is served before every model is loaded and verified: ArtefactError, ModelRefused, ServeError.
    """
    from bqx.market.calendar import Calendar
    from bqx.serve.api.app import Service
    from bqx.serve.api.keys import Keys
    from bqx.serve.api.limits import Limits
    from bqx.serve.api.metrics import Metrics
    from bqx.serve.api.predictor import Predictor
    from bqx.serve.api.server import ApiServer

    models: ModelSet
    wrap: Callable[[App], App] = lambda app: app  # noqa: E731 - one line says it
    if multi:
        loaded = LoadedModels(layout.root / MODELS, trusted)
        models, wrap = loaded, lambda app: MultiModel(app, loaded)
    else:
        models = ModelSet(FolderModels(layout.model), trusted)
    metrics = Metrics()
    with TemporaryDirectory(prefix="bqx-serve-") as folder:
        predictor = Predictor(models, NoRows(), Calendar.load(), time.time, metrics, simulated=False)
        service = Service(predictor, Keys(Path(folder)), Limits(), metrics, container=True)
        server = ApiServer(service, Path(folder), host=host, port=port, wrap=wrap)
        try:
            yield server
        finally:
            server.close()


def healthy(port: int, seconds: float = 3.0) -> bool:
    """Whether the server of this container answers /ping with 200."""
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
