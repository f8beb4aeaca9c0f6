"""The live engine beside the server: a thread that takes bars from a feed and tells the source."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from bqx.base.errors import BqxError, ServeError
from bqx.base.runlog import event
from bqx.features.catalogue import dataset
from bqx.serve.api.live_source import LiveSource

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.serve.api.models import ModelSet
    from bqx.serve.api.store_source import StoreSource
    from bqx.serve.live.feeds.port import Feed

FOLDER = Path("serve") / "live"
"""State of its own: it holds only the datasets the models read."""


class LiveThread:
    """Takes minutes from a feed, which it closes, until :meth:`close`; `source` has them. Raises LiveError."""

    def __init__(
        self, project: Project, models: ModelSet, store: StoreSource, feed: Feed, *, cost: float | None = None
    ) -> None:
        from bqx.serve.live.engine import Engine
        from bqx.serve.live.run import live_run

        columns = list(dict.fromkeys(c for model in models.all().values() for c in model.columns))
        homes = [dataset(name) for name in dict.fromkeys(c.dataset for c in columns)]
        self._feed = feed
        self._engine = Engine(project, homes, project.root / FOLDER)
        self.source = LiveSource(self._engine, store, columns, cost=cost)
        self._running = live_run(self._engine, self._feed)
        self._stop = threading.Event()
        self._failure = ""
        self._thread = threading.Thread(target=self._run, name="bqx-live", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def check(self) -> None:
        """ServeError when it no longer takes bars; the server goes on and its data grow stale."""
        if not self._thread.is_alive():
            raise ServeError(f"live takes no bars any more: {self._failure or 'its feed ended'}", fix="start it again")

    def close(self) -> None:
        """The state is saved, so that the next start goes on from here."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)
        self._feed.close()
        if self._engine.told.minutes:  # without a new minute the state on disk is this one
            self._engine.save()
        self._engine.close()

    def _run(self) -> None:
        try:
            self._running.run(told=self.source.take, stop=self._stop.is_set)
        except BqxError as error:
            self._failure = error.what
            event("serve.live_failed", "error", code=error.code, what=error.what)
        except Exception as error:  # noqa: BLE001 - the log has it, `check` says that it ended
            self._failure = type(error).__name__
            event("serve.live_failed", "error", what=repr(error))
