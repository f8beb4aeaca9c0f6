"""The validation report of an import for people."""

from __future__ import annotations

from collections.abc import Sequence

from bqx.base.report import Badge, Cell, Heading, KeyValues, Note, Report, Table, Text, Tone
from bqx.market.findings import Finding, ImportReport, Place


def render(reports: Sequence[ImportReport], title: str) -> Report:
    """One section a pair; refuses (CheckError) to publish counts that do not add up."""
    out = Report(title, f"{len(reports)} pairs, {sum(r.bars for r in reports):,} bars")
    for report in reports:
        parts = [report.bars, *(f.count for f in report.findings if f.action in ("quarantined", "left out"))]
        out.require_sum(f"rows of {report.pair}", parts, report.rows)
        _section(out, report)
    return out


def _section(out: Report, r: ImportReport) -> None:
    out.add(Heading(r.pair.upper()))
    for note in r.clock["notes"]:
        out.add(Note(note[:1].upper() + note[1:] + ".", "warn"))
    files = r.files[0] if len(r.files) == 1 else f"{len(r.files)}, from {r.files[0]} to {r.files[-1]}"
    out.add(
        KeyValues(
            [
                ("files", files),
                ("format", r.format),
                ("price", r.price_side),
                ("rows", r.rows),
                ("bars", r.bars),
                ("quarantined", r.quarantined),
                ("span", f"{r.first} to {r.last}"),
                ("clock", _clock(r)),
                ("volume", "yes" if r.has_volume else "none in the source"),
                ("quotes", "yes" if r.has_quotes else "none in the source"),
            ]
        )
    )
    if r.findings:
        rows: list[list[Cell]] = [
            [f.kind, f.count, Badge(f.action, _tone(f)), f.note or "-", _where(f.places)] for f in r.findings
        ]
        out.add(Table(["finding", "count", "what became of it", "about", "first places"], rows))
    else:
        out.add(Text("No crossed quotes, order violations, duplicates, disorder, odd stamps or jumps."))
    if any(r.crossed_fields.values()):
        out.add(Table(list(r.crossed_fields), [list(r.crossed_fields.values())], caption="Crossed quotes by field"))
    out.add(Table([f"{k} min" for k in r.gaps.by_length], [list(r.gaps.by_length.values())], caption="Gaps by length"))
    out.add(
        Text(
            f"The grid will carry the last close into {r.gaps.fills:,} missing minutes; {r.gaps.unfilled:,} stay "
            f"empty, in {r.gaps.holes:,} holes of 6 minutes and more or before the first quote of a week."
        )
    )
    if r.gaps.longest:
        out.add(Table(["longest holes begin", "length"], [[p.ts, p.detail] for p in r.gaps.longest]))
    shown = "; ".join(r.weekends[:60]) + (" ..." if len(r.weekends) > 60 else "")
    out.add(Text(f"{len(r.weekends)} closures with bars on both sides: {shown or 'none'}."))


def _clock(r: ImportReport) -> str:
    closes = r.clock["weekly_closes"]
    proof = f"{r.clock['agreeing']} of {closes} weekly closes at 17:00 New York" if closes else "no weekly close"
    return f"{r.clock['clock']} ({r.clock['how']}; {proof})"


def _tone(finding: Finding) -> Tone:
    return "warn" if finding.action == "quarantined" else "plain"


def _where(places: Sequence[Place]) -> str:
    return "; ".join(f"{p.where} {p.ts[:16]} {p.detail}".strip() for p in places[:3])
