"""One build on every engine and on two hosts, then again and again with a fault: the same bytes, and what it costs."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.soak.cluster_laws import manifest_only
from benchmarks.soak.postgres_copy import running
from benchmarks.soak.state import State
from bqx.build.choice import Choice
from bqx.build.processes import Processes
from bqx.build.progress import Silent
from bqx.build.project import Project
from bqx.build.run import build
from bqx.build.worker import Outcome
from bqx.features.catalogue import own_datasets
from bqx.market.calendar import Calendar, minute_of
from bqx.market.simulated import simulate, simulated_source

sys.path.append(str(Path(__file__).parents[2] / "tests"))
import postgres_database
from hosts import TwoHosts, why_no_namespaces
from s3_server import Proxy

PAIRS = ("audusd", "eurusd", "gbpusd", "usdjpy")
START, END = minute_of(datetime(2024, 5, 6, tzinfo=UTC)), minute_of(datetime(2024, 7, 27, tzinfo=UTC))
DATASETS = tuple(own_datasets())
LARGE = (PAIRS, START, minute_of(datetime(2024, 8, 31, tzinfo=UTC)))
"""Pairs, first minute and end of the market that efficiency is measured on: four months, two for each worker."""
EFFICIENCY_BAR, FREE_CORES = 0.85, 1.8
ENGINES = (("threads", 1), ("threads", 2), ("processes", 1), ("processes", 2))
STORM = ("503", "cut", "500", "lost", "torn")
FAULTS = ("worker killed", "worker cut off", "scheduler restarted", "storage storm")


def cluster(state: State, major: int = 18) -> dict[str, Any]:
    """The first trial compares engines and measures efficiency, then `state.size` faults."""
    began = time.perf_counter()
    world = simulate(Calendar.load(), START, END, seed=7, pairs=PAIRS, origin_minute=START)
    with tempfile.TemporaryDirectory(prefix="bqx-cluster-") as folder, running(major) as server:
        dsn = manifest_only(server.dsn())
        if not state.trials:
            pairs, start, end = LARGE
            large = simulate(Calendar.load(), start, end, seed=7, pairs=pairs, origin_minute=start)
            state.add(engines(Path(folder) / "engines", world, large))
            print(f"engines: {state.trials[0]}", flush=True)
        for number in range(len(state.trials) - 1, state.size):
            rng = random.Random(f"{state.seed}:{number}")  # noqa: S311 - reproducible trials, no secret
            trial = faulty(Path(folder) / f"fault{number}", world, dsn, FAULTS[number % len(FAULTS)], rng)
            trial["same"] = trial.pop("digest") == state.trials[0]["digest"]
            state.add(trial)
            print(f"{number}: {trial['fault']}, {'same bytes' if trial['same'] else trial['problem']}", flush=True)
    first, trials = state.trials[0], state.trials[1:]
    bad = [t for t in trials if not (t["same"] and t["honest"] and t["whole"]) and t["fault"] != "skipped"]
    slow = first["judged"] and min(first["efficiency"].values(), default=1.0) < EFFICIENCY_BAR
    return {
        "ok": first["same"] and not bad and not slow and any(t["fault"] != "skipped" for t in trials),
        "faults": len(trials),
        "by_kind": dict(Counter(t["fault"] for t in trials)),
        "units_a_build": first["units"],
        "workers_lost": sum(t["lost"] for t in trials),
        "problems": bad,
        "engines": first,
        "seconds": round(time.perf_counter() - began, 1),
    }


def filled(root: Path, world: dict[str, pl.DataFrame], project: Project | None = None) -> Project:
    """A project with the world's bars."""
    made = project or Project.create(root, pairs=tuple(world))
    for pair, frame in world.items():
        made.bars.ingest(pair, frame, simulated_source(7))
    return made


def engines(folder: Path, world: dict[str, pl.DataFrame], large: dict[str, pl.DataFrame]) -> dict[str, Any]:
    """Digests of `world` on 1 and 2 threads and 1 and 2 worker processes, then seconds of `large` on the same workers,
    whose kernels are loaded by then.

    efficiency : time of one over twice the time of two. machine : the same of two builds that have nothing to do with
    each other, side by side: what the machine's cores leave each other. judged : whether two cores were free before.
    """
    seconds: dict[str, float] = {}
    digests, free, units = set(), [], 0
    for engine, n in ENGINES:
        executor = Processes(n) if engine == "processes" else engine
        for name, bars in (("same", world), ("large", large)):
            project = filled(folder / f"{engine}{n}{name}", bars)
            free.append(free_cores())
            report = build(project, Choice(datasets=DATASETS), engine=executor, threads=n)
            if name == "same":
                digests.add(project.store.digest())
                units = report.built
            else:
                seconds[f"{engine} {n}"] = round(report.seconds, 2)
            project.close()
        if isinstance(executor, Processes):
            executor.close()
    efficiency = {
        engine: round(seconds[f"{engine} 1"] / (2 * seconds[f"{engine} 2"]), 3) for engine, n in ENGINES if n == 2
    }
    alone, beside = (_apart(folder / f"apart{n}", large, n) for n in (1, 2))
    return {
        "same": len(digests) == 1, "digest": min(digests), "units": units, "seconds": seconds,
        "efficiency": efficiency, "machine": round(alone / beside, 3), "bar": EFFICIENCY_BAR, "free_cores": min(free),
        "judged": min(free) >= FREE_CORES, "load_average": round(os.getloadavg()[0], 1),
    }  # fmt: skip


ALONE = """
import sys
from pathlib import Path
from bqx.build.choice import Choice
from bqx.build.project import Project
from bqx.build.run import build
project = Project.open(Path(sys.argv[1]))
print(build(project, Choice(datasets=tuple(sys.argv[2].split(","))), threads=1).seconds)
"""


def _apart(folder: Path, world: dict[str, pl.DataFrame], n: int) -> float:
    """Seconds of `n` builds at once, each of a project of its own by a process with one thread; the slowest."""
    for k in range(n):
        filled(folder / str(k), world).close()
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", ALONE, str(folder / str(k)), ",".join(DATASETS)],
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )
        for k in range(n)
    ]
    return max(float(p.communicate()[0]) for p in begun)


def free_cores(over: float = 2.0) -> float:
    """Cores that had nothing to do for the last `over` seconds, by /proc/stat."""

    def idle() -> float:
        return float(Path("/proc/stat").read_text().splitlines()[0].split()[4]) / os.sysconf("SC_CLK_TCK")

    before, clock = idle(), time.perf_counter()
    time.sleep(over)
    return round((idle() - before) / (time.perf_counter() - clock), 2)


class Watch(Silent):
    """Strikes when the `at`-th unit has been committed; counts what was told, and compares it with the manifest."""

    def __init__(self, project: Project, at: int, strike: Callable[[], None]) -> None:
        self.project, self.at, self.strike, self.told = project, at, strike, 0
        self.honest = True

    def advance(self, outcome: Outcome) -> None:
        self.told += outcome.reason is None
        held = self.project.store.partitions(dataset=outcome.unit.dataset)
        there = {(info.key.pair, info.key.ym) for info in held}
        self.honest &= all((piece.pair, outcome.unit.ym) in there for piece in outcome.unit.pieces)
        if self.told == self.at:
            self.strike()


def faulty(folder: Path, world: dict[str, pl.DataFrame], dsn: str, fault: str, rng: random.Random) -> dict[str, Any]:
    """One build on two hosts with a fault at a random unit."""
    apart = fault == "worker cut off"
    if apart and (why := why_no_namespaces()):
        return {"fault": "skipped", "problem": why, "digest": "", "honest": True, "whole": True, "lost": 0}
    postgres_database.empty(dsn)
    told: list[str] = []
    problem = ""
    with ExitStack() as stack:
        hosts = TwoHosts(folder, dsn, stack, PAIRS, apart=apart)
        proxy = stack.enter_context(Proxy(hosts.storage)) if fault == "storage storm" else None
        project = filled(hosts.root, world, Project.open(hosts.root))
        strikes: dict[str, Callable[[], None]] = {
            "worker killed": lambda: hosts.cluster.workers[rng.randrange(2)].kill(),
            "worker cut off": lambda: hosts.cut(rng.randrange(2)),
            "scheduler restarted": hosts.restart,
            "storage storm": lambda: None,
        }
        if proxy is not None:
            hosts.reach_storage_by(proxy.endpoint)
            project.close()
            project = Project.open(hosts.root)
            proxy.fault = lambda *_: rng.choice(STORM) if rng.random() < 0.15 else None
        watch = Watch(project, rng.randrange(1, 2 * len(DATASETS)), strikes[fault])
        report = build(
            project, Choice(datasets=DATASETS), engine=hosts.cluster.engine, progress=lambda _: watch,
            told=told.append, check=False,
        )  # fmt: skip
        if proxy is not None:
            proxy.fault = lambda *_: None
        problem = "; ".join(f["reason"] for f in report.failures[:2])
        damage = project.store.verify(deep=True)
        digest = project.store.digest()
        project.close()
    return {
        "fault": fault, "at": watch.at, "honest": watch.honest and watch.told == report.built, "whole": damage == [],
        "lost": len(told), "digest": digest, "problem": problem or str(damage[:1]), "built": report.built,
        "seconds": round(report.seconds, 1),
    }  # fmt: skip
