"""The registry of soak checks: name -> what it shows and the callable that runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.soak.api_load import api_load
from benchmarks.soak.backtest import backtests
from benchmarks.soak.causality import clock, fdr
from benchmarks.soak.cluster import cluster
from benchmarks.soak.cluster_laws import cluster_laws
from benchmarks.soak.cpu_target import cpu_target
from benchmarks.soak.dataset_year import dataset_year
from benchmarks.soak.evaluator_noise import noise
from benchmarks.soak.evaluator_planted import planted as evaluator_planted
from benchmarks.soak.full_year import full_year
from benchmarks.soak.image_build import image_build
from benchmarks.soak.kill import kill
from benchmarks.soak.live_parity import live_parity
from benchmarks.soak.migrate import migrate_stage
from benchmarks.soak.models_gates import models_gates
from benchmarks.soak.models_pieces import models_pieces
from benchmarks.soak.monitors import monitors
from benchmarks.soak.postgres_copy import postgres_copy
from benchmarks.soak.postgres_leaves import postgres_leaves
from benchmarks.soak.promises import promises
from benchmarks.soak.regimes import regimes
from benchmarks.soak.selection_planted import planted
from benchmarks.soak.stages import stages_market, stages_three
from benchmarks.soak.state import State
from benchmarks.soak.tracker_kill import tracker_kill
from benchmarks.soak.tracker_runs import tracker_runs
from benchmarks.soak.train_kill import train_kill
from benchmarks.soak.train_phases import train_phases
from benchmarks.soak.train_scale import train_scale
from benchmarks.soak.year import year


@dataclass(frozen=True)
class Check:
    """`run` gets the state of earlier, unfinished calls and returns the result; `ok` in it decides the exit code.

    size, unit : how much unless told, and of what. sibling : the file in tests/ that runs the same code small.
    """

    title: str
    run: Callable[[State], dict[str, Any]]
    size: int
    unit: str
    sibling: str


CHECKS: dict[str, Check] = {
    "backtest": Check(
        "backtests of planted skill pass the economics gate, of noise never; intervals hold 0 as often as they say",
        backtests, 80, "worlds", "benchmarks/test_backtest_soak.py",
    ),
    "api-load": Check(
        "/predict at 100 requests a second, open loop, 28 models: P99 at most 50 ms, no error, over minute changes",
        api_load, 10, "minutes", "benchmarks/test_api_soak.py",
    ),
    "causality-clock": Check(
        "Granger of 756 directed pairs over a month of 1-minute returns within 5 minutes, equal to statsmodels'",
        clock, 28, "pairs", "benchmarks/test_causality_soak.py",
    ),
    "causality-fdr": Check(
        "worlds without links: false discovery rate of each method and both at or under q; planted links are found",
        fdr, 200, "null worlds", "benchmarks/test_causality_soak.py",
    ),
    "cluster": Check(
        "threads, worker processes, two hosts over S3 and PostgreSQL: same bytes whatever fails, and efficiency",
        cluster, 8, "faults", "benchmarks/test_cluster_soak.py",
    ),
    "cluster-laws": Check(
        "what a unit costs besides its work: calls, receipts, files; docs/cluster.md extrapolates from it",
        cluster_laws, 12, "units", "benchmarks/test_cluster_soak.py",
    ),
    "cpu-target": Check(
        "every dataset, extensions too, compiled for a CPU without AVX or FMA: the same bits",
        cpu_target, 99, "datasets", "benchmarks/test_cpu_target_soak.py",
    ),
    "dataset-year": Check(
        "a pair-year of 2,640 candidates: memory of making and streaming it, time of one selection",
        dataset_year, 12, "months", "benchmarks/test_selection_soak.py",
    ),
    "evaluator-noise": Check(
        "worlds without skill: the evaluator's intervals cover the truth, no skill is told, mechanical R2 is H.1",
        noise, 400, "worlds", "benchmarks/test_evaluator_soak.py",
    ),
    "evaluator-planted": Check(
        "worlds with a known drift: the oracle's interval covers the truth, a ridge finds it and never beats it",
        evaluator_planted, 200, "worlds", "benchmarks/test_evaluator_soak.py",
    ),
    "full-year": Check(
        "the year of 28 pairs end to end on two workers, each cost apart; a minute appended, one family changed",
        full_year, 12, "months", "benchmarks/test_full_year_soak.py",
    ),
    "image-build": Check(
        "what the Containerfiles say, done by hand: three venvs from hashed locks; bars to answers through them",
        image_build, 4, "weeks", "benchmarks/test_images_soak.py",
    ),
    "kill": Check(
        "a build killed at 50 random points and run again gives the bytes of an undisturbed one",
        kill, 50, "kills", "benchmarks/test_kill_soak.py",
    ),
    "live-parity": Check(
        "a month of 28 pairs bar by bar, each day from a restored state: every column equals batch to the bit",
        live_parity, 22, "trade days", "benchmarks/test_live_soak.py",
    ),
    "migrate-stage": Check(
        "stage 1.6.9 with 30,867,054 rows on each PostgreSQL here: exact counts, all names, time, and the way back",
        migrate_stage, 100, "% of the rows", "benchmarks/test_migrate_soak.py",
    ),
    "models-gates": Check(
        "the whole pipeline on worlds of noise: nothing is promotable; on planted ones something is",
        models_gates, 3, "worlds of each", "benchmarks/test_models_soak.py",
    ),
    "models-pieces": Check(
        "intervals cover 90 % and follow a drift, tuned sets called better are, only better estimators are admitted",
        models_pieces, 100, "worlds", "benchmarks/test_models_pieces_soak.py",
    ),
    "monitors": Check(
        "at most one false alarm a month on stationary dependent data; planted shifts found in time; type I of A/B",
        monitors, 200, "worlds", "benchmarks/test_monitors_soak.py",
    ),
    "postgres-copy": Check(
        "a partition of 30,000 x 56 float4 into PostgreSQL at half the speed of psql's binary copy or better",
        postgres_copy, 15, "rounds", "benchmarks/test_postgres_soak.py",
    ),
    "postgres-leaves": Check(
        "28 pairs x 12 months x 35 datasets of empty partitions in PostgreSQL: time, catalogue, planning",
        postgres_leaves, 12, "months", "benchmarks/test_postgres_soak.py",
    ),
    "promises": Check(
        "P1-P4, NULL pattern, bounds and references of every dataset on 28 simulated pairs over three months",
        promises, 28, "pairs", "benchmarks/test_promises_soak.py",
    ),
    "regimes": Check(
        "planted regimes are found by the hidden Markov states, and random walks have none",
        regimes, 20, "trials of 28 lanes", "benchmarks/test_regimes_soak.py",
    ),
    "stages-market": Check(
        "all stages on 28 pairs and a month: unattended, sums of every report, evidence against DuckDB",
        stages_market, 28, "pairs", "benchmarks/test_stages_soak.py",
    ),
    "stages-three": Check(
        "all stages on three pairs: those of the panel are not computable, the rest is validated",
        stages_three, 2, "months", "benchmarks/test_stages_soak.py",
    ),
    "tracker-kill": Check(
        "a process killed between commit and delivery and started again: every change in the tracker exactly once",
        tracker_kill, 60, "kills", "benchmarks/test_tracker_kill_soak.py",
    ),
    "tracker-runs": Check(
        "people, limits, faults and deaths against a served Airtable: nothing lost, doubled or in the wrong record",
        tracker_runs, 1000, "runs in real time", "benchmarks/test_tracker_runs_soak.py",
    ),
    "selection-planted": Check(
        "five planted columns of R2 0.005 beside decoys of correlation 0.9 are found among 2,640 candidates",
        planted, 10, "worlds", "benchmarks/test_selection_soak.py",
    ),
    "train-kill": Check(
        "a training run killed at 40 random points and run again gives the bytes of an undisturbed one, models too",
        train_kill, 40, "kills", "research/test_training_kill.py",
    ),
    "train-phases": Check(
        "minutes to learn from: rotated phases against a fixed one, three rows a label against one and against all",
        train_phases, 80, "worlds", "research/test_training_scale.py",
    ),
    "train-scale": Check(
        "3 pairs x 2 horizons x 2 folds trained; the law of seconds on a held-back cell; 28 x 5 x 6 forecast",
        train_scale, 7, "months", "research/test_training_scale.py",
    ),
    "year": Check(
        "28 simulated pairs, every dataset: time, size, memory, full verification",
        year, 12, "months", "benchmarks/test_year_soak.py",
    ),
}  # fmt: skip
