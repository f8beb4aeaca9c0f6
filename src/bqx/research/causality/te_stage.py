"""The three rounds of transfer entropy: screen, ask, go on with what is open; later, confirm."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.research.causality.answer import Answer, unasked
from bqx.research.causality.factors import Factors
from bqx.research.causality.parts import Parts, Tell
from bqx.research.causality.surrogates import ENOUGH
from bqx.research.causality.te_fold import METHOD, REACH, TeWindow
from bqx.research.causality.te_plan import CONFIRM_DRAWS, FEWEST_ROWS, TePlan
from bqx.research.causality.transfer import SCREEN_P

F8 = NDArray[np.float64]
Ask = tuple[str, str]
"""Source and target."""


class TeStage:
    """Questions of one kind of series. `window(target)` gives training rows, with the target's features as sources."""

    def __init__(self, kind: str, asked: Mapping[str, Sequence[str]], window: Callable[[str], TeWindow], parts: Parts,
                 workers: int, tell: Tell | None = None) -> None:  # fmt: skip
        self.kind, self.asked, self.window = kind, asked, window
        self.parts, self.workers, self.tell = parts, workers, tell

    def stream(self, source: str, target: str) -> int:
        """Of random numbers; the same whatever else is asked."""
        return zlib.crc32(f"{self.kind}|{source}|{target}".encode())

    def screened(self) -> dict[str, list[dict[str, Any]]]:
        """For each target the sources in order: `source`, `delay`, `te`, `p`, `own`, `depth`, or a `reason`."""
        units = {f"te-screen-{self.kind}-{t}": partial(self._screen, t) for t in self.asked}
        return dict(zip(self.asked, self.parts.run(units, self.workers, self.tell), strict=True))

    def _screen(self, target: str) -> list[dict[str, Any]]:
        window, out = self.window(target), []
        own = window.depth(target) if len(window.shared_age[window.shared_age >= REACH]) >= FEWEST_ROWS else 0
        for source in self.asked[target]:
            if not own or len(window.rows(source)) < FEWEST_ROWS:
                out.append({"source": source, "p": 1.0, "reason": f"fewer than {FEWEST_ROWS} rows with all lags"})
                continue
            found = window.screen(source, target, self.stream(source, target))
            how = {"source": source, "delay": found.delay, "te": found.te, "p": found.p}
            if found.p <= SCREEN_P:
                how |= {"own": own, "depth": window.depth(source)}
            else:
                how["reason"] = f"screened out: ordinal TE has p = {found.p:.2f}"
            out.append(how)
        return out

    def answers(self, screened: Mapping[str, list[dict[str, Any]]], plan: TePlan, fold: int) -> list[Answer]:
        """Both rounds; one answer a question in the order asked."""
        units = {
            f"te-first-{self.kind}-{t}": partial(self._round, t, screened[t], plan.rows, plan.first) for t in screened
        }
        first = dict(zip(screened, self.parts.run(units, self.workers, self.tell), strict=True))
        spent = sum(len(r["values"]) for found in first.values() for r in found.values())
        still = {t: {s: r for s, r in found.items() if r["reached"] < ENOUGH} for t, found in first.items()}
        most = plan.most(spent, sum(len(found) for found in still.values()))
        if most > plan.first:
            again = {
                f"te-more-{self.kind}-{t}": partial(self._round, t, screened[t], plan.rows, most, found)
                for t, found in still.items()
                if found
            }
            wanted = [t for t in still if still[t]]
            for target, found in zip(wanted, self.parts.run(again, self.workers, self.tell), strict=True):
                first[target].update(found)
        return [self._answer(t, how, first[t].get(how["source"]), fold) for t in screened for how in screened[t]]

    def _round(self, target: str, screened: list[dict[str, Any]], size: int, until: int,
               before: Mapping[str, Any] | None = None) -> dict[str, Any]:  # fmt: skip
        """Questions that passed the screen, or with `before` those still open."""
        window, out = self.window(target), {}
        for how in screened:
            source = how["source"]
            if "reason" in how or (before is not None and source not in before):
                continue
            values = None if before is None else before[source]["values"]
            answer, state = window.ask(source, target, how, size, until, self.stream(source, target), values)
            out[source] = {
                "te": answer.te, "raw": answer.raw, "error": answer.error, "p": answer.p, "rows": answer.rows,
                "sign": answer.sign, "drawn": answer.drawn, "reached": answer.reached, "values": state.values,
            }  # fmt: skip
        return out

    def _answer(self, target: str, how: dict[str, Any], found: dict[str, Any] | None, fold: int) -> Answer:
        question = (METHOD, self.kind, how["source"], target, fold)
        if found is None:
            return unasked(*question, how["reason"])
        more = {k: found[k] for k in ("raw", "error", "drawn", "reached")}
        more |= {"own_depth": how["own"], "depth": how["depth"], "screen_p": how["p"], "screen_te": how["te"]}
        return Answer(
            *question, found["p"], found["te"], how["depth"], how["delay"], found["sign"], found["te"], found["rows"],
            more=more,
        )  # fmt: skip

    def confirm(self, tests: Sequence[tuple[Ask, dict[str, Any]]], window: Callable[[str], TeWindow], rows: int,
                fold: int) -> list[float | None]:  # fmt: skip
        """p of each passed question on a test block, with the delay and depths of the training rows."""
        units = {
            f"te-confirm-{self.kind}-{fold}-{source}-{target}": partial(
                self._confirm, window, source, target, how, rows
            )
            for (source, target), how in tests
        }
        return self.parts.run(units, self.workers, self.tell)

    def _confirm(self, window: Callable[[str], TeWindow], source: str, target: str, how: dict[str, Any],
                 rows: int) -> float | None:  # fmt: skip
        at = window(target)
        if len(at.rows(source)) < FEWEST_ROWS // 2:
            return None
        _, state = at.ask(source, target, how, rows, CONFIRM_DRAWS, self.stream(source, target) + 1)
        return state.p


def factors_of(values: F8, names: tuple[str, ...]) -> Factors:
    """From the complete rows of a training window."""
    return Factors.fit(values[np.isfinite(values).all(axis=1)], names)
