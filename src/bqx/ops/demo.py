"""The main job once through: bars, features, verification, an honest answer, one page."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bqx.base.errors import CheckError
from bqx.base.runlog import current_run, event
from bqx.build.choice import Choice
from bqx.build.progress import make_progress
from bqx.build.run import build, failed
from bqx.build.verify import verify
from bqx.market.calendar import month_span
from bqx.market.fileclock import FileClock
from bqx.market.importers.read import ReadOptions
from bqx.market.pairs import PAIRS
from bqx.market.simulated import Flavour
from bqx.ops.demo_facts import Facts, Phase
from bqx.ops.demo_input import Bars, bars_of_files, simulated_bars
from bqx.ops.demo_page import write_page
from bqx.research.firstlight import FirstAnswer, answer

RECOMPUTED = 1
"""Partitions that the demo computes a second time, to compare their contents."""


@dataclass(frozen=True)
class DemoOptions:
    """bars: files of the user's instead of the simulated market. months: to build; None is 1, or all of the files'."""

    out: Path
    bars: Sequence[Path] = ()
    pair: str | None = None
    clock: FileClock | None = None
    pairs: Sequence[str] = PAIRS
    seed: int = 1
    flavour: Flavour = "random-walk"
    months: int | None = None
    threads: int = 0
    keep: bool = True
    log_json: bool = False


@dataclass
class DemoResult:
    """paths: html, md, json. verdict: the sentence. ok: no unit failed and verification found nothing."""

    paths: list[Path]
    facts: Facts

    @property
    def page(self) -> Path:
        return self.paths[0]

    @property
    def verdict(self) -> str:
        return self.facts.verdict

    def as_dict(self) -> dict[str, Any]:
        facts = self.facts
        return {
            "run_id": current_run().run_id,
            "simulated": facts.simulated,
            "page": str(self.page),
            "files": [str(path) for path in self.paths],
            "verdict": self.verdict,
            "pairs": facts.pairs,
            "months": list(facts.months),
            "bars": sum(report.bars for report in facts.reports),
            "values": facts.values,
            "non_null": facts.non_null,
            "phases": [{"phase": p.name, "seconds": round(p.seconds, 3), "did": p.did} for p in facts.phases],
            "build": facts.build.as_dict(),
            "verification": facts.verification.as_dict(),
            "answer": facts.answer.as_dict() if facts.answer else None,
            "no_answer": facts.no_answer,
        }

    def demand(self) -> None:
        """Raise BuildError or CheckError when something went wrong; the page that says so is written by then."""
        if self.facts.build.failures:
            raise failed(self.facts.build)
        self.facts.verification.demand()


@dataclass
class _Clock:
    """Times the phases and tells about each as it ends."""

    say: Callable[[str], None]
    done: list[Phase] = field(default_factory=list)

    @contextmanager
    def phase(self, name: str) -> Iterator[list[str]]:
        did: list[str] = []
        began = time.perf_counter()
        yield did
        self.end(name, began, "; ".join(did))

    def end(self, name: str, began: float, did: str) -> None:
        self.done.append(Phase(name, time.perf_counter() - began, did))
        event("demo.phase", phase=name, seconds=round(self.done[-1].seconds, 3))
        self.say(f"{name:<10} {self.done[-1].seconds:6.1f} s  {self.done[-1].did}")


def run_demo(options: DemoOptions, say: Callable[[str], None]) -> DemoResult:
    """Do the main job in `options.out`/project and write `options.out`/demo.html, .md and .json.

    Running it again goes on where it stopped and skips what is fresh. `say` gets a line a phase.
    """
    clock = _Clock(say)
    root = options.out / "project"
    with clock.phase("bars") as did:
        found = _bars(options, root)
        what = "simulated " if found.simulation else ""
        did.append(f"{found.count:,} {what}bars of {_pairs(len(found.reports))}, validated and stored")
    project = found.project
    try:
        choice = Choice(first_month=found.months[0], last_month=found.months[-1])
        with clock.phase("build") as did:
            made = build(
                project,
                choice,
                threads=options.threads,
                progress=lambda todo: make_progress(todo.values, log_json=options.log_json),
                check=False,
            )
            did.append(f"{made.values:,} values in {made.partitions} partitions, {made.fresh} were fresh")
        with clock.phase("verify") as did:
            checked = verify(project, choice, deep=True, recompute=RECOMPUTED)
            did.append(
                f"{checked.values:,} values against calendar and warm-up, {checked.recomputed} partitions computed "
                f"again, {len(checked.problems)} problems"
            )
        with clock.phase("answer") as did:
            result, why = _answer(found)
            did.append(f"{result.pooled.n_rows:,} forecasts in {result.folds} folds" if result else "too little data")
        facts = Facts(
            project=project,
            months=found.months,
            reports=found.reports,
            build=made,
            verification=checked,
            answer=result,
            no_answer=why,
            simulation=found.simulation,
            phases=clock.done,
        )
        if not facts.partitions:
            if made.failures:
                raise failed(made)
            raise CheckError("nothing was built, so there is nothing to show", fix="give bars of at least one minute")
        began = time.perf_counter()
        paths = write_page(facts, options.out)
        clock.end("page", began, ", ".join(path.name for path in paths))
        return DemoResult(paths, facts)
    finally:
        project.close()
        if not options.keep:
            shutil.rmtree(root)


def _pairs(count: int) -> str:
    return f"{count} pair{'s' if count != 1 else ''}"


def _bars(options: DemoOptions, root: Path) -> Bars:
    if not options.bars:
        return simulated_bars(root, options.pairs, options.seed, options.flavour, options.months or 1)
    return bars_of_files(root, options.bars, options.pair, ReadOptions(clock=options.clock), options.months)


def _answer(found: Bars) -> tuple[FirstAnswer | None, str | None]:
    """The first answer over the built months, or why there is none."""
    start, end = month_span(found.months[0])[0], month_span(found.months[-1])[1]
    spans = found.project.bars.spans().values()
    lo, hi = max(start, min(a for a, _ in spans)), min(end, max(b for _, b in spans) + 1)
    try:
        return answer(found.project, start=lo, end=hi), None
    except CheckError as error:
        return None, error.what
