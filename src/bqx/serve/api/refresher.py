"""What runs beside the requests: new rows are forecast, promoted models exchanged, the state written down."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bqx.base.atomic import write_text
from bqx.base.errors import BqxError
from bqx.base.runlog import event
from bqx.market.calendar import datetime_of
from bqx.serve.api.answers import number, signal_dict
from bqx.serve.api.freshness import MAX_AGE, age_in_bars, asked
from bqx.serve.api.predictor import Predictor

STATUS = Path("serve") / "status.json"
FORMAT = 1


class Refresher:
    """A thread that looks every `every` seconds; its failures are counted, logged and shown, and it goes on.

    checks : by name, called at each look; what they raise is an alert until they no longer do.
    """

    def __init__(self, predictor: Predictor, root: Path, *, every: float = 0.5, status_every: float = 5.0) -> None:
        self.predictor, self.path, self.every, self.status_every = predictor, root / STATUS, every, status_every
        self.url = ""
        self.checks: dict[str, Callable[[], None]] = {}
        self._alerts: dict[str, dict[str, Any]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bqx-refresh", daemon=True)
        self._began = time.time()

    def start(self) -> None:
        """The first look is made here, so that the server answers at once."""
        self.look()
        self.write("running")
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=30)
        self.write("ended")

    def look(self) -> None:
        """Models first, then rows."""
        self._try("models", self._reload)
        self._try("rows", self._refresh)
        for name, check in self.checks.items():
            self._try(name, check)

    def _run(self) -> None:
        written = time.monotonic()
        while not self._stop.wait(self.every):
            self.look()
            if time.monotonic() - written >= self.status_every:
                written = time.monotonic()
                self._try("status", lambda: self.write("running"))

    def _reload(self) -> None:
        for pair in self.predictor.models.reload():
            self.predictor.metrics.count("model_changes")
            event("serve.model", pair=pair)

    def _refresh(self) -> None:
        if made := self.predictor.refresh():
            self.predictor.metrics.count("refreshed", made)

    def _try(self, what: str, work: Callable[[], None]) -> None:
        try:
            work()
            self._alerts.pop(what, None)
        except Exception as error:  # noqa: BLE001 - the thread must live; what failed is shown until it works again
            if what not in self._alerts:
                event("serve.refresher_failed", "error", part=what, what=str(error))
            self.predictor.metrics.count(f"{what}_failures")
            code = error.code if isinstance(error, BqxError) else "BQX000"
            text = error.what if isinstance(error, BqxError) else type(error).__name__
            self._alerts[what] = {"part": what, "code": code, "what": text}

    def write(self, state: str) -> None:
        """`serve/status.json`, wholly or not at all."""
        write_text(self.path, json.dumps(self.status(state), indent=1, allow_nan=False) + "\n")

    def status(self, state: str) -> dict[str, Any]:
        """What the console's live page shows."""
        p = self.predictor
        now = p.clock()
        question = asked(p.calendar, now)
        pairs: list[dict[str, Any]] = []
        alerts = list(self._alerts.values())
        latest = p.latest()
        for pair, model in sorted(p.models.all().items()):
            made = latest.get(pair)
            if made is None:
                pairs.append({"pair": pair, "bar": None})
                alerts.append({"part": pair, "code": "BQX848", "what": f"{pair} has no forecast"})
                continue
            age = age_in_bars(p.calendar, question, made.row.last_bar)
            if age > MAX_AGE and question.opens is None:
                alerts.append({"part": pair, "code": "BQX848", "what": f"{pair} is stale: {age:,} bars old"})
            best = made.best
            pairs.append({
                "pair": pair,
                "bar": datetime_of(made.row.minute).isoformat(),
                "age_bars": age,
                "move_bps": number(made.said.move[0, best]),
                "low_bps": number(made.said.lo80[0, best]),
                "high_bps": number(made.said.hi80[0, best]),
                **signal_dict(made.signals[best], made.said.horizons[best]),
                "version": model.located.version,
                "promoted": model.located.promoted,
            })  # fmt: skip
        return {
            "format": FORMAT,
            "state": state,
            "pid": os.getpid(),
            "url": self.url,
            "written_at": time.time(),
            "began_at": self._began,
            "clock": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
            "market_opens": None if question.opens is None else datetime_of(question.opens).isoformat(),
            "source": p.source.name,
            "simulated": p.simulated,
            "pairs": pairs,
            "latency": p.metrics.summary(),
            "alerts": alerts,
        }
