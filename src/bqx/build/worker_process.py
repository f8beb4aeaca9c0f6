"""`python -m bqx.build.worker_process`: one worker of the engine `processes`, lines of JSON in and out.

In: {"job": text, "item": text}. Out: {"result": ...} as often as there are results, then {"end": how it failed or {}}.
It ends when its input does: a coordinator that was killed leaves no worker behind.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from typing import IO

from bqx.base.process import keep_freed_memory
from bqx.build.executor import Json
from bqx.build.remote import perform


def main() -> None:
    keep_freed_memory()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a family prints must not be taken for a result
    work: queue.SimpleQueue[Json] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin, work), daemon=True).start()
    halt = threading.Event()

    def send(data: Json) -> None:
        out.write(json.dumps(data) + "\n")
        out.flush()

    while True:
        call = work.get()
        send({"end": perform(call["job"], call["item"], lambda result: send({"result": result}), halt)})


def _listen(stream: IO[str], work: queue.SimpleQueue[Json]) -> None:
    for line in stream:
        work.put(json.loads(line))
    os._exit(0)  # in mid-unit too: nobody is left to take it


if __name__ == "__main__":
    main()
