"""A live process that a test kills: `live_worker.py ROOT FEED DIE_AT` takes the bars of FEED (npz) as they come."""

from __future__ import annotations

import os
import signal
import sys

import numpy as np

from bqx.build.project import Project
from bqx.features.catalogue import own_datasets
from bqx.serve.live.bar import Bar
from bqx.serve.live.book import Book
from bqx.serve.live.engine import Engine


def main(root: str, feed: str, die_at: str) -> None:
    engine = Engine(Project.open(root), [own_datasets()["returns_std_rate"]], every=40)
    book = Book(engine.pairs, engine.calendar, engine.next)
    with np.load(feed) as data:
        bars = [
            Bar(str(p), int(m), tuple(v)) for p, m, v in zip(data["pair"], data["minute"], data["values"], strict=True)
        ]
    for bar in bars:
        if bar.minute < engine.next:
            continue
        now = 60.0 * bar.minute + 61
        book.offer(bar, now)
        for minute, rows in book.ready(now):
            engine.take(minute, rows)
            if minute == int(die_at):
                os.kill(os.getpid(), signal.SIGKILL)  # taken, nothing told, nothing on the disk by itself
            engine.prepare()


if __name__ == "__main__":
    main(*sys.argv[1:])
