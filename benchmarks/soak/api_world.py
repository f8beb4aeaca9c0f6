"""A small world to serve: simulated bars, three built datasets, one signed model a pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bqx.build.choice import Choice
from bqx.build.project import Project
from bqx.build.run import build
from bqx.market.calendar import Calendar
from bqx.market.simulated import simulate, simulated_source
from bqx.research.artefact import Artefact, Recipe, Signer, TrainingRows, fit_model, make_key, trust
from bqx.research.candidate_read import read_blocks
from bqx.research.candidates import Candidate, candidates, catalogue_version
from bqx.research.labels import Labels, make_labels
from bqx.research.target_set import target
from bqx.research.training.folder import FORMAT, REQUIRED, head_hash, write_head

DATASETS = ("returns_raw_rate", "returns_std_rate", "time_dual")
RUN = "first"
HORIZONS = (15, 30, 45, 60, 75)
ROUNDS = 8


@dataclass(frozen=True)
class World:
    """end : first minute without bars, in the middle of a segment. signer : whom the project trusts."""

    root: Path
    pairs: tuple[str, ...]
    start: int
    end: int
    signer: Signer

    @property
    def now(self) -> float:
        """The first moment the last bar is complete, seconds since 1970."""
        return 60.0 * self.end

    @property
    def artefacts(self) -> Path:
        return self.root / "models" / RUN / "artefacts"


def chosen() -> tuple[Candidate, ...]:
    """Columns of the models: those of the three datasets, and one lag of them."""
    return tuple(c for c in candidates("seed") if c.dataset in DATASETS and c.lag in (0, 5))


def make_world(root: Path, pairs: Sequence[str], start: int, end: int, *, seed: int = 0) -> World:
    """Bars of [start, end), a segment start and an open minute; the first pair's model is fitted, the others are the
    same trees under their names, which is all that serving them needs."""
    project = Project.create(root, pairs=pairs)
    frames = simulate(project.calendar, start, end, seed=seed, pairs=pairs, origin_minute=start)
    for pair, frame in frames.items():
        project.bars.ingest(pair, frame, simulated_source(seed, origin_minute=start))
    build(project, Choice(datasets=DATASETS))
    secret, public = make_key()
    trust(root, public, "soak")
    world = World(root, tuple(sorted(pairs)), start, end, Signer(secret))
    first = fit(project, world.pairs[0], start, end)
    for pair in world.pairs:
        mine = replace(first, pair=pair, manifest={**first.manifest, "pair": pair})
        mine.save(world.artefacts / pair, world.signer)
    head: dict[str, Any] = dict.fromkeys(REQUIRED) | {"format": FORMAT, "name": RUN, "pairs": list(world.pairs)}
    head |= {"horizons": list(HORIZONS), "simulated": True, "state": "done"}
    write_head(world.artefacts.parent, head | {"hash": head_hash(head)})
    project.close()
    return world


def extend(world: World, minutes: int, *, seed: int = 0) -> None:
    """Import and build the next minutes, as `bqx update` would."""
    project = Project.open(world.root)
    end = world.end + minutes
    frames = simulate(project.calendar, world.start, end, seed=seed, pairs=world.pairs, origin_minute=world.start)
    for pair, frame in frames.items():
        project.bars.ingest(pair, frame, simulated_source(seed, origin_minute=world.start))
    build(project, Choice(datasets=DATASETS))
    project.close()


def fit(project: Project, pair: str, start: int, end: int, *, seed: int = 0, rounds: int = ROUNDS) -> Artefact:
    """A small boosted model of every 7th minute."""
    picked = chosen()
    blocks = list(read_blocks(project.store, project.calendar, pair, start, end, picked))
    labels = Labels.concat(
        [make_labels(project.bars, project.calendar, pair, int(b.minute[0]), int(b.minute[-1]) + 1) for b in blocks]
    )
    keep = np.flatnonzero((labels.position % 7 == 0) & np.isfinite(labels.values["sigma"]))
    labels = labels.take(keep)
    X = np.concatenate([b.X for b in blocks])[keep]
    rows = TrainingRows(
        pair,
        tuple(c.name for c in picked),
        np.ascontiguousarray(X),
        labels.position,
        labels.minute,
        labels.values["sigma"].astype(np.float64),
        {h: target(f"y3_{h}_{h}").value(labels) for h in HORIZONS},
        {h: target(f"y4_{h}").value(labels) for h in HORIZONS},
    )
    facts = {"dataset": "bare", "dataset_hash": "none", "lag_profile": "seed",
             "catalogue_version": catalogue_version(), "simulated": True}  # fmt: skip
    recipe = Recipe(params={"rounds": rounds}, seed=seed, embargo=60)
    return fit_model(rows, recipe, facts)


def world_span(calendar: Calendar, ym_start: int, weeks: int, into: int) -> tuple[int, int]:
    """From the first week start at or after `ym_start`, whole weeks and `into` open minutes more."""
    start = calendar.week_start(ym_start)
    return start, calendar.at_ordinal(calendar.ordinal(start) + weeks * 7200 + into)
