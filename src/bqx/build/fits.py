"""Fits kept in the manifest: found again while their bars, calendar and code are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.build.inputs import Inputs
from bqx.features.fits import Artefact, Fit
from bqx.store.known import now_us
from bqx.store.manifest import Manifest

F8 = NDArray[np.float64]
Held = dict[tuple[str, str, int], tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class NewFit:
    """An artefact that a task has made, to be committed with its unit."""

    dataset: str
    input_hash: str
    artefact: Artefact


class StoredFits:
    """A shelf over what the manifest held when the run began; `made` is what this task added. One thread."""

    def __init__(self, inputs: Inputs, held: Held) -> None:
        self._inputs, self._held = inputs, held
        self._new: dict[tuple[str, str, int], F8] = {}
        self.made: list[NewFit] = []

    def get(self, fit: Fit, pair: str, point: int) -> F8 | None:
        key = (fit.name, pair, point)
        if key in self._new:
            return self._new[key]
        known = self._held.get(key)
        if known is None or known[0] != self._hash(fit, pair, point):
            return None
        return np.frombuffer(known[1], dtype="<f8")

    def put(self, fit: Fit, artefacts: list[Artefact]) -> None:
        for one in artefacts:
            self._new[one.fit, one.pair, one.point] = one.values
            self.made.append(NewFit(fit.dataset, self._hash(fit, one.pair, one.point), one))

    def take(self) -> tuple[NewFit, ...]:
        """What was made since the last call."""
        made, self.made = tuple(self.made), []
        return made

    def _hash(self, fit: Fit, pair: str, point: int) -> str:
        seen = fit.earliest(point, self._inputs.calendar)
        return self._inputs.fit_hash(fit.dataset, pair, seen, point, everyone=fit.everyone)


def held_fits(manifest: Manifest, datasets: Sequence[str]) -> Held:
    """All kept fits of some datasets."""
    marks = ", ".join("?" * len(datasets))
    sql = f'SELECT name, pair, point, input_hash, "values" FROM fit WHERE dataset IN ({marks})'  # noqa: S608 - marks only
    with manifest.connection() as con:
        return {(name, pair, point): (digest, data) for name, pair, point, digest, data in con.execute(sql, datasets)}


def keep_fits(manifest: Manifest, made: Sequence[NewFit]) -> None:
    """Replace kept fits by newer ones of the same name, pair and point."""
    rows = [
        (
            new.dataset,
            new.artefact.fit,
            new.artefact.pair,
            new.artefact.point,
            new.artefact.seen_from,
            new.input_hash,
            new.artefact.values.astype("<f8").tobytes(),
            new.artefact.seconds,
            now_us(),
        )
        for new in made
    ]
    with manifest.transaction() as con:
        con.executemany("INSERT OR REPLACE INTO fit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def list_fits(manifest: Manifest, fits: Sequence[Fit], pair: str | None = None) -> list[dict[str, Any]]:
    """Kept fits, a record each: parameters by name, the span they saw, what they took; in order of name, pair, time."""
    by_name = {fit.name: fit for fit in fits}
    sql = (
        'SELECT dataset, name, pair, point, seen_from, input_hash, "values", seconds, made_at FROM fit '
        "WHERE ?1 IS NULL OR pair = ?1 ORDER BY name, pair, point"
    )
    with manifest.connection() as con:
        rows = con.execute(sql, (pair,)).fetchall()
    out = []
    for dataset, name, lane, point, seen, digest, data, seconds, made_at in rows:
        values = np.frombuffer(data, dtype="<f8").tolist()
        if name not in by_name or len(values) != len(by_name[name].parameters):
            continue  # of a code that no longer is
        out.append(
            {
                "fit": name,
                "dataset": dataset,
                "pair": lane,
                "from": _iso(point),
                "sees_from": _iso(seen),
                "seconds": seconds,
                "made_at": datetime.fromtimestamp(made_at / 1e6, UTC).isoformat(timespec="seconds"),
                "input_hash": digest,
                "parameters": {
                    key: None if value != value else value
                    for key, value in zip(by_name[name].parameters, values, strict=True)
                },
            }
        )
    return out


def _iso(minute: int) -> str:
    return f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%dT%H:%MZ}"
