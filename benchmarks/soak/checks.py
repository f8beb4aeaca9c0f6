"""The registry of soak checks: name -> what it shows and the callable that runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.soak.causality import clock, fdr
from benchmarks.soak.cluster import cluster
from benchmarks.soak.dataset_year import dataset_year
from benchmarks.soak.kill import kill
from benchmarks.soak.migrate import migrate_stage
from benchmarks.soak.postgres_copy import postgres_copy
from benchmarks.soak.postgres_leaves import postgres_leaves
from benchmarks.soak.promises import promises
from benchmarks.soak.regimes import regimes
from benchmarks.soak.selection_planted import planted
from benchmarks.soak.stages import stages_market, stages_three
from benchmarks.soak.state import State
from benchmarks.soak.tracker_kill import tracker_kill
from benchmarks.soak.tracker_runs import tracker_runs
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
    "causality-clock": Check(
        "Granger of 756 directed pairs over a month of 1-minute returns within 5 minutes, equal to statsmodels'",
        clock, 28, "pairs", "benchmarks/test_causality_soak.py",
    ),
    "causality-fdr": Check(
        "worlds without links: false discovery rate of each method and both at or under q; planted links are found",
        fdr, 200, "null worlds", "benchmarks/test_causality_soak.py",
    ),
    "cluster": Check(
        "threads, worker processes, two hosts over S3 and PostgreSQL: same bytes whatever fails; what a unit costs",
        cluster, 8, "faults", "benchmarks/test_cluster_soak.py",
    ),
    "dataset-year": Check(
        "a pair-year of 2,640 candidates: memory of making and streaming it, time of one selection",
        dataset_year, 12, "months", "benchmarks/test_selection_soak.py",
    ),
    "kill": Check(
        "a build killed at 50 random points and run again gives the bytes of an undisturbed one",
        kill, 50, "kills", "benchmarks/test_kill_soak.py",
    ),
    "migrate-stage": Check(
        "stage 1.6.9 with 30,867,054 rows on each PostgreSQL here: exact counts, all names, time, and the way back",
        migrate_stage, 100, "% of the rows", "benchmarks/test_migrate_soak.py",
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
    "year": Check(
        "28 simulated pairs, every dataset: time, size, memory, full verification",
        year, 12, "months", "benchmarks/test_year_soak.py",
    ),
}  # fmt: skip
