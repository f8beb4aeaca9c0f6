"""The page of a selection: masks, quotas, certified core, stability, comparators, trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bqx.base.provenance import Number, computed
from bqx.base.report import Badge, Cell, Heading, KeyValues, Note, Report, Table, Text, Tone
from bqx.research.selection.judge import PairJudged, judge
from bqx.research.selection.run import load_mask
from bqx.research.skill import NO_SKILL
from bqx.research.trials import Trials

if TYPE_CHECKING:
    from bqx.build.project import Project

WORDS = {
    "selected": "the selected columns, ridge",
    "all": "all that passed the prefilter, ridge",
    "pca": "principal components of each dataset, ridge",
    "pls": "partial least squares of each dataset, ridge",
    "random_1": "random columns within the quotas (placebo 1)",
    "random_2": "placebo 2",
    "random_3": "placebo 3",
    "selected_boosting": "the selected columns, boosted trees",
}
SHOWN = 25


def selection_report(project: Project, manifest: dict[str, Any]) -> Report:
    """A report of a finished selection; every figure from the masks and losses on disk."""
    o, folds = manifest["options"], manifest["folds"]
    report = Report(
        f"Selection {manifest['name']}",
        subtitle=f"dataset {manifest['dataset']} ({manifest['dataset_hash']}), lags {manifest['lag_profile']}",
        banner="SIMULATED DATA" if manifest["simulated"] else None,
    )
    certified = [r["certified"] for r in folds]
    trials = Trials(project.root).count(dataset=manifest["dataset_hash"])
    report.add(
        KeyValues(
            [
                ("masks", computed(len(folds), "", "count of pair and fold")),
                ("columns a mask", computed(o["budget"], "", "budget; checked on every mask below")),
                ("certified, mean", computed(float(np.mean(certified)), "", "mean over masks", digits=1)),
                ("false ones among them, at most", computed(max(r["false_picks_bound"] for r in folds), "",
                 "q^2 / ((2 pi - 1) p), expected number, noise columns exchangeable", digits=1)),
                ("trials on this dataset", computed(trials, "", "rows of research.sqlite")),
            ]
        ),
        Text(manifest["splits"] + "."),
        Text(
            f"A selection of {o['budget']} is a budget: at least {o['rate']} columns of rate and {o['bqx']} of bqx, "
            f"at most {o['cap']} of a cluster (|rank correlation| above {o['cluster']}). Certified columns are those "
            f"that are among the first {o['per_half']} in {100 * o['certain']:.0f} % of {o['halves']} halves of the "
            "training rows."
        ),
    )  # fmt: skip
    for r in folds:
        report.require_sum(f"{r['pair']} fold {r['fold']}", list(r["domains"].values()), o["budget"])
    report.add(Heading("Masks"), _mask_table(folds))
    judged = judge(project, manifest)
    _skill(report, judged, manifest)
    _columns(report, project, manifest)
    return report


def _mask_table(folds: list[dict[str, Any]]) -> Table:
    rows = [
        [r["pair"], r["fold"], r["train"][1][:16], f"{r['test'][0][:10]} to {r['test'][1][:10]}", r["rows"], r["kept"],
         r["clusters"], r["domains"].get("rate", 0), r["domains"].get("bqx", 0), r["domains"].get("neutral", 0),
         r["certified"], r["seconds"]["selection"]]
        for r in folds
    ]  # fmt: skip
    head = ("pair", "fold", "trained to", "test", "rows", "passed", "clusters", "rate", "bqx", "neutral", "certified",
            "seconds")  # fmt: skip
    return Table(head, rows, "One mask a pair and fold, the same for all horizons")


def _skill(report: Report, judged: list[PairJudged], manifest: dict[str, Any]) -> None:
    report.add(Heading("What the columns are worth"))
    if not manifest["compared"]:
        report.add(Note("No comparators were fitted (--no-compare).", "warn"))
    rows: list[list[Cell]] = []
    for j in judged:
        for name, found in j.scores.items():
            s = found[-1]
            tone: Tone = "bad" if s.quarantined else "plain" if s.verdict == NO_SKILL else "good"
            hit: Number | str = "n/a" if np.isnan(s.hit_rate) else computed(100 * s.hit_rate, "%", "signs", digits=1)
            rows.append([j.pair, WORDS[name], _per_cent(s.skill), _per_cent(s.low), _per_cent(s.high),
                         computed(s.p, "", "one-sided Diebold-Mariano against the random walk", digits=3), hit,
                         s.n_rows, round(s.n_effective), Badge(s.verdict, tone)])  # fmt: skip
        if not j.scores and manifest["compared"]:
            report.add(Note(f"{j.pair}: too few test rows in {j.folds} folds for a skill with an interval.", "warn"))
    if rows:
        head = ("pair", "columns and model", "skill", "low", "high", "p", "hits", "rows", "effective", "verdict")
        report.add(
            Table(head, rows, "Walk-forward, all targets pooled; 95 % interval of a stationary block bootstrap"),
            Text("The random walk forecasts 0 of every target here. A model on random columns is what chance gets."),
        )
    kept: list[list[Cell]] = []
    for j in judged:
        index: Number | str = (
            "one fold" if j.stability is None else computed(j.stability, "", "Nogueira et al. 2018", digits=3)
        )
        text: Badge | str = "not measured"
        p: Number | str = "n/a"
        if j.retention is not None:
            worse = j.retention.worse < 0.05
            text = Badge("worse than all columns", "bad") if worse else Badge("not worse at 5 %", "good")
            p = computed(j.retention.worse, "", "one-sided Diebold-Mariano, selected against all", digits=3)
        kept.append([j.pair, j.folds, index, text, p])
    report.add(Table(("pair", "folds", "stability of the masks", "against all columns", "p"), kept, "Retention"))


def _columns(report: Report, project: Project, manifest: dict[str, Any]) -> None:
    report.add(Heading("The first columns of each pair's last fold"))
    last = {r["pair"]: r["fold"] for r in manifest["folds"]}
    for pair, fold in last.items():
        table = load_mask(project, manifest["name"], pair, fold)
        best = table.filter(table["selected"]).sort("borda", descending=True, maintain_order=True).head(SHOWN)
        rows = [
            [r["candidate"], r["signal_domain"], r["why"], r["borda"], r["stability"],
             "yes" if r["certified"] else "", r["cluster_size"], *(r[f"rank_{m}"] for m in
             ("permutation", "elastic_net", "shap", "mrmr"))]
            for r in best.iter_rows(named=True)
        ]  # fmt: skip
        head = ("candidate", "domain", "why", "Borda", "stability", "certified", "in cluster", "permutation",
                "elastic net", "SHAP", "mRMR")  # fmt: skip
        report.add(Table(head, rows, f"{pair}, fold {fold}: ranks by method, 1 is best"))
        out = table.filter(~table["selected"] & table["borda"].is_null())
        counts = next(r["left_out"] for r in manifest["folds"] if (r["pair"], r["fold"]) == (pair, fold))
        text = ", ".join(f"{n} {why}" for why, n in counts.items())
        report.add(Text(f"{pair}: {out.height} left out before scoring; not selected: {text}."))


def _per_cent(x: float) -> Number:
    return computed(100 * x, "%", "1 - MSE / MSE of the random walk", digits=2)
