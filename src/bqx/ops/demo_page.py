"""The demo page: what the run found, as one HTML page, and the same numbers as Markdown and JSON."""

from __future__ import annotations

from pathlib import Path

import bqx
from bqx.base.process import peak_bytes
from bqx.base.provenance import computed
from bqx.base.report import Cell, Heading, KeyValues, Note, Report, Text, Tone
from bqx.market.calendar import datetime_of
from bqx.ops.demo_answer import answer_section
from bqx.ops.demo_build import build_section
from bqx.ops.demo_coverage import coverage_section
from bqx.ops.demo_facts import Facts, sentence
from bqx.ops.demo_validation import validation_section
from bqx.ops.demo_versions import catalogue_hash, commit, config_hash, libraries, store_hash
from bqx.ops.demo_week import week_section
from bqx.research.skill import NO_SKILL

MEGA = 1e6


def write_page(facts: Facts, folder: Path) -> list[Path]:
    """demo.html, demo.md and demo.json in `folder`; nothing is written when figures disagree (CheckError)."""
    report = make_report(facts)
    paths = report.write(folder, "demo")
    return sorted(paths, key=lambda path: path.suffix != ".html")


def make_report(facts: Facts) -> Report:
    """The document, checked: parts must add up to the totals shown."""
    report = Report("From bars to an honest answer", _subtitle(facts), banner(facts))
    report.require_sum("bars", [r.bars for r in facts.reports], _stored_bars(facts))
    _summary(report, facts)
    answer_section(report, facts, stamp(facts))
    coverage_section(report, facts, stamp(facts))
    week_section(report, facts, stamp(facts))
    validation_section(report, facts)
    build_section(report, facts)
    _provenance(report, facts)
    return report


def banner(facts: Facts) -> str | None:
    """The words on top of whatever is simulated."""
    if not facts.simulated:
        return None
    planted = facts.simulation is not None and facts.simulation["flavour"] == "planted"
    return "SIMULATED DATA with a planted effect" if planted else "SIMULATED DATA"


def stamp(facts: Facts) -> str:
    return "simulated data" if facts.simulated else ""


def _subtitle(facts: Facts) -> str:
    if facts.simulation is None:
        return f"{_pairs(facts)}: features from your 1-minute bars, and what a first model can say with them."
    world = {
        "random-walk": "a simulated market in which nothing can be forecast: an honest pipeline must find no skill",
        "planted": "a simulated market with a small planted momentum: an honest pipeline must find it",
    }[facts.simulation["flavour"]]
    return f"{_pairs(facts)} of {world}."


def _pairs(facts: Facts) -> str:
    return f"{len(facts.pairs)} pairs" if len(facts.pairs) > 1 else facts.pairs[0].upper()


def _stored_bars(facts: Facts) -> int:
    """Simulated bars up to the last built month, told by the manifest; an import may be one of several."""
    if facts.simulation is None:
        return sum(r.bars for r in facts.reports)
    return sum(int(m["rows"]) for m in facts.project.bars.months() if m["ym"] <= facts.months[-1])


def _summary(report: Report, facts: Facts) -> None:
    first, last = (datetime_of(m) for m in facts.span)
    made, seconds = facts.build, sum(p.seconds for p in facts.phases)
    rate: list[tuple[str, Cell]] = []
    if made.values and made.seconds:
        how = "values built / wall clock of the build"
        rate = [("values built a second", computed(made.values / made.seconds, "", how, digits=0))]
    report.add(
        Note(sentence(facts.verdict), _tone(facts)),
        KeyValues(
            [
                ("pairs", computed(len(facts.pairs), "", "pairs with a built partition")),
                ("built span, UTC", f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"),
                (
                    "bars read",
                    computed(sum(r.bars for r in facts.reports), "", "sum of the validation reports"),
                ),
                ("columns", computed(facts.columns, "", "distinct columns of the built partitions")),
                (
                    "values held",
                    computed(facts.values, "", "rows x columns, summed over the manifest's partitions"),
                ),
                (
                    "of them not NULL",
                    computed(100 * facts.non_null / facts.values, "%", "1 - null counts / values", digits=2),
                ),
                (
                    "time, all phases",
                    computed(seconds, "s", "wall clock of the phases before this page", digits=1),
                ),
                *rate,
                ("size on disk", computed(facts.bytes / MEGA, "MB", "file sizes in the manifest", digits=1)),
                ("peak memory", computed(peak_bytes() / MEGA, "MB", "this process", digits=0)),
            ]
        ),
    )


def _tone(facts: Facts) -> Tone:
    if facts.answer is None or facts.answer.pooled.verdict == NO_SKILL:
        return "warn"
    return "bad" if facts.answer.pooled.quarantined else "good"


def _provenance(report: Report, facts: Facts) -> None:
    project, sim = facts.project, facts.simulation
    report.add(
        Heading("How these numbers came about"),
        Text(
            "Point at a number to see what it was computed from; the JSON beside this page has it for each. A page "
            "whose parts do not add up to its totals is not written."
        ),
        KeyValues(
            [
                ("run", report.run_id),
                ("bqx", f"{bqx.__version__}, commit {commit()}"),
                ("settings, hash", config_hash(project.config)),
                ("catalogue and code, hash", catalogue_hash()),
                ("store contents, hash", store_hash(facts.partitions)),
                ("calendar", project.calendar.version),
                (
                    "bars",
                    f"seed {sim['seed']}, {sim['flavour']}, version {sim['version']}" if sim else _files(facts),
                ),
                ("libraries", libraries()),
            ]
        ),
        Text(
            "Equal bars and code give an equal store hash on every machine and for any number of threads. The hash of "
            "a dataset's code covers every source that its values can depend on."
        ),
    )


def _files(facts: Facts) -> str:
    names = sorted({Path(name).name for r in facts.reports for name in r.files})
    return names[0] if len(names) == 1 else f"{len(names)} files, {names[0]} to {names[-1]}"
