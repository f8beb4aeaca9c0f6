"""The eight promotion gates. A gate passes on evidence, fails on evidence, or has none and blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from bqx.research.registry.evidence import Evidence
from bqx.research.registry.stability import selection_stability

Verdict = Literal["pass", "fail", "no evidence"]
MOST_Q, LEAST_SHARPE_CHANCE, MOST_PBO = 0.05, 0.95, 0.2
LEAST_AGREEING_FOLDS, LEAST_STABILITY, MOST_OF_A_MONTH = 0.70, 0.60, 0.40
SERVICE = {
    "load": "`bqx models evidence load`: no error, P99 below 250 ms",
    "parity": "`bqx models evidence parity`: served and offline forecasts are equal",
    "rollback": "`bqx models evidence rollback`: the model before serves again",
}
OPERATIONS = {
    "cost": "`bqx models evidence cost`: P90 of a month within the budget, at prices of today",
    "monitors": "`bqx models evidence monitors`: at most one false alarm a month",
    "runbooks": "`bqx models evidence runbooks`: every step is a command that exists",
    "security": "`bqx models evidence security`: the secret scan is clean",
}
"""Kinds of evidence that other rooms hand in, and what makes them."""


@dataclass(frozen=True, slots=True)
class Gate:
    """reason : in a sentence. source : the file or command the evidence comes from, or that would make it."""

    name: str
    title: str
    verdict: Verdict
    reason: str
    source: str
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return self.verdict == "pass"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "figures": dict(self.figures)}


Found = tuple[Verdict, str, dict[str, Any]]


def _none(what: str) -> Found:
    return "no evidence", what, {}


def _of(failures: list[str], good: str, figures: dict[str, Any]) -> Found:
    return ("fail", "; ".join(failures), figures) if failures else ("pass", good, figures)


def leakage(e: Evidence) -> Found:
    """L1-L13 green; L14 not triggered or signed off."""
    record = e.leakage
    if record is None:
        return _none("the leakage tests were not run on this dataset")
    results = {r["test"]: r for r in record["results"]}
    want = [f"L{k}" for k in range(1, 14)]
    if absent := [t for t in want if t not in results]:
        return _none(f"{', '.join(absent)} were not run on this dataset")
    bad = [f"{t} failed: {results[t]['detail']}" for t in want if not results[t]["ok"]]
    if e.run.state == "quarantined" and e.run.signed is None:
        bad.append("L14: the run is quarantined and nobody has signed")
    if (result := e.evaluation) is not None and result["quarantined"]:
        bad.append("L14: the evaluation is quarantined and nobody has signed")
    signed = "" if e.run.signed is None else f"; L14 signed off by {e.run.signed['by']}"
    return _of(bad, f"L1 to L13 passed on {record['pair']}{signed}", {"made_at": record["made_at"]})


def skill(e: Evidence) -> Found:
    """Pooled skill with its lower bound above 0, and the pair's horizons at q <= 0.05; a plug-in must be admitted."""
    data, plug_in = e.evaluation, e.model.facts.get("plug_in")
    if data is None:
        return _none("the whole run was not evaluated")
    if plug_in and e.admission is None:
        return _none(f"{plug_in} is a plug-in, and `bqx runs admit` has not compared it with ridge and boosting")
    target = data["targets"][data["primary"]]
    pooled = target["pooled"]
    cells = {c["horizon"]: c for c in target["cells"] if c["pair"] == e.model.pair}
    live = sorted(h for h, c in cells.items() if c["q_bh"] <= MOST_Q)
    figures = {
        "skill": pooled["skill"], "low": pooled["low"], "high": pooled["high"], "noise_95": pooled["noise_95"],
        "horizons": live, "q": {str(h): c["q_bh"] for h, c in sorted(cells.items())},
    }  # fmt: skip
    bad = []
    if pooled["verdict"] != "skill against the random walk":
        interval = f"{pooled['skill']:.4f} ({pooled['low']:.4f} to {pooled['high']:.4f})"
        bad.append(f"{pooled['verdict']}: pooled {interval}, pure noise gets up to {pooled['noise_95']:.4f}")
    if plug_in and e.admission is not None and not e.admission["admitted"]:
        bad.append(str(e.admission["verdict"]))
    if not live:
        bad.append(f"no horizon of {e.model.pair} has q <= {MOST_Q}")
    return _of(bad, f"pooled lower bound {pooled['low']:.4f} above 0; horizons {live} at q <= {MOST_Q}", figures)


def calibration(e: Evidence) -> Found:
    """90 % intervals cover 88 to 92 % pooled and 85 to 95 % per stratum; outcomes follow forecasts one for one."""
    data = e.evaluation
    if data is None:
        return _none("the whole run was not evaluated")
    within = data["spread"]["within"]
    if within is None:
        return _none("the run has no intervals: train the quantile head")
    slopes = {h: c for h, c in data["targets"][data["primary"]]["calibration"].items() if c is not None}
    bad = [] if within else ["coverage of the 90 % intervals is out of bounds in some stratum"]
    odd = [h for h, c in slopes.items() if c["p"] < 0.01 / max(len(slopes), 1)]
    bad += [f"calibration at h = {h}: slope {slopes[h]['b']:.2f}, p {slopes[h]['p']:.2g}" for h in odd]
    if not slopes:
        return _none("no horizon has forecasts that vary")
    return _of(
        bad, "coverage within bounds; calibration is not rejected", {"slope": {h: c["b"] for h, c in slopes.items()}}
    )


def economics(e: Evidence) -> Found:
    """Net expectancy: 90 % lower bound above 0 at 1x cost, estimate above 0 at 1.5x."""
    data = e.backtest
    if data is None:
        return _none("the run was not traded on history")
    by_stress = {x["stress"]: x for x in data["expectancy"]}
    once, more = by_stress[1.0], by_stress[1.5]
    source = data["spread"]["source"]
    figures = {"mean": once["mean"], "low": once["low90"], "stressed": more["mean"], "spread": source}
    if once["mean"] is None:
        return "fail", "no trade was worth its cost", figures
    if once["low90"] is None:
        return _none("fewer than 20 trade days say nothing of net expectancy")
    said = f"{once['mean']:.3f} bps a trade, 90 % lower bound {once['low90']:.3f}, {more['mean']:.3f} at 1.5 x cost"
    bad = [] if once["low90"] > 0 and more["mean"] > 0 else [said]
    return _of(bad, f"{said}; spreads: {source}", figures)


def overfitting(e: Evidence) -> Found:
    """DSR >= 0.95 and PBO <= 0.2 with the count of the ledger."""
    data = e.backtest
    if data is None:
        return _none("the run was not traded on history")
    if data["deflated"] is None or data["pbo"] is None:
        return _none("; ".join(f"{k}: {v}" for k, v in sorted(data["missing"].items()) if k in ("deflated", "pbo")))
    dsr, pbo, trials = data["deflated"]["dsr"], data["pbo"]["pbo"], data["deflated"]["trials"]
    figures = {"deflated_sharpe": dsr, "pbo": pbo, "trials": trials}
    bad = [] if dsr >= LEAST_SHARPE_CHANCE else [f"deflated Sharpe ratio {dsr:.3f} below {LEAST_SHARPE_CHANCE}"]
    bad += [] if pbo <= MOST_PBO else [f"PBO {pbo:.3f} above {MOST_PBO}"]
    return _of(bad, f"deflated Sharpe ratio {dsr:.3f} and PBO {pbo:.3f} after {trials} trials", figures)


def stability(e: Evidence) -> Found:
    """Skill of one sign in most folds, selections that agree, no month that made most of the profit."""
    data, traded = e.evaluation, e.backtest
    if data is None or traded is None:
        return _none("the whole run was not evaluated, or not traded on history")
    target = data["targets"][data["primary"]]
    folds = [f["skill"] for f in target["parts"]["fold"]]
    if len(folds) < 2:
        return _none(f"{len(folds)} folds say nothing of stability")
    sign = 1.0 if target["pooled"]["skill"] > 0 else -1.0
    agree = sum(f * sign > 0 for f in folds) / len(folds)
    chosen = selection_stability(e)
    month = traded["concentration"]
    figures = {"folds": agree, "selection": chosen, "month": month}
    bad = [] if agree >= LEAST_AGREEING_FOLDS else [f"{100 * agree:.0f} % of folds share the sign of the skill"]
    if chosen is not None and chosen < LEAST_STABILITY:
        bad.append(f"selections agree by {chosen:.2f}, {LEAST_STABILITY} is the least")
    if month is not None and month > MOST_OF_A_MONTH:
        bad.append(f"one month made {100 * month:.0f} % of the profit")
    same = "the same columns in every fold" if chosen is None else f"selections agree by {chosen:.2f}"
    return _of(bad, f"{100 * agree:.0f} % of folds agree; {same}", figures)


def _handed(gate: str, wanted: Mapping[str, str]) -> Callable[[Evidence], Found]:
    """All kinds of evidence that another room hands in must be there and good."""

    def check(e: Evidence) -> Found:
        have = e.handed_in(gate)
        if absent := [f"{kind} ({command})" for kind, command in wanted.items() if kind not in have]:
            return _none(f"nothing recorded of {', '.join(absent)}")
        bad = [f"{kind} failed" for kind in wanted if not have[kind]["ok"]]
        return _of(bad, f"{', '.join(wanted)} recorded and good", {k: have[k]["figures"] for k in wanted})

    return check


GATES: dict[str, tuple[str, str, Callable[[Evidence], Found]]] = {
    "GATE1": ("leakage", "`bqx dataset check`", leakage),
    "GATE2": ("skill", "`bqx evaluate`", skill),
    "GATE3": ("calibration", "`bqx evaluate`", calibration),
    "GATE4": ("economics", "`bqx backtest`", economics),
    "GATE5": ("overfitting", "`bqx backtest`", overfitting),
    "GATE6": ("stability", "`bqx evaluate`, `bqx backtest`", stability),
    "GATE7": ("service", ", ".join(SERVICE.values()), _handed("GATE7", SERVICE)),
    "GATE8": ("operations", ", ".join(OPERATIONS.values()), _handed("GATE8", OPERATIONS)),
}
RESEARCH_GATES = ("GATE1", "GATE2", "GATE3", "GATE4", "GATE5", "GATE6")


def judge(e: Evidence) -> list[Gate]:
    """All gates of a model, in order."""
    out = []
    for name, (title, source, check) in GATES.items():
        verdict, reason, figures = check(e)
        out.append(Gate(name, title, verdict, reason, source, figures))
    return out
