"""The page of an estimate: figures with sources, lines that add up, ranges, alternatives, break-evens, differences."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from bqx.base.provenance import Number, computed
from bqx.base.report import Badge, Cell, Figure, Heading, KeyValues, Note, Report, Table, Text
from bqx.ops.cost.alternatives import NAMES, alternatives, crossings
from bqx.ops.cost.check import Checked
from bqx.ops.cost.commitment import commitment
from bqx.ops.cost.components import COMPONENTS
from bqx.ops.cost.differences import Difference
from bqx.ops.cost.drawing import alternatives_chart, range_chart, tornado_chart, week_chart
from bqx.ops.cost.estimate import Estimate, Line
from bqx.ops.cost.reference import Reference
from bqx.ops.cost.tornado import tornado
from bqx.ops.cost.variance import Row

TONES = {"within": "good", "explained": "warn", "unexplained": "bad"}


def cost_report(found: Estimate, checked: Checked | None = None) -> Report:
    """CheckError, and no page, when the lines do not add up to the total."""
    e, currency = found, found.book.currency
    report = Report(
        f"Costs of {e.scenario.name}", subtitle=f"served by {NAMES[e.scenario.serving]}, {currency} a month"
    )
    stamp = f"{e.scenario.serving}, prices {e.book.name}"
    report.add(Note(e.book.note, "warn"), KeyValues(_headline(e)), Heading("Range of the total"))
    report.add(
        Text(f"{e.draws:,} draws, seed {e.seed}: each figure by itself between its least and its most (PERT law). "
             "Ranges lean upwards, so the median month is dearer than the one with each figure at its likeliest."),
        Figure(range_chart(e, stamp), "How often a total is drawn.", _alt(e), paper=False),
    )  # fmt: skip
    _lines(report, e)
    if checked is not None and checked.variance is not None:
        _variance(report, checked)
    swings = tornado(e.scenario, e.book)
    report.add(
        Heading("What moves the total"),
        Figure(tornado_chart(swings, float(e.total), currency, stamp), "Each figure at its least and most.",
               ", ".join(f"{s.figure.name} {s.low} to {s.high}" for s in swings[:5]), paper=False),
    )  # fmt: skip
    _alternatives(report, e, stamp)
    _commitments(report, e)
    report.add(Heading("Traffic"), Figure(week_chart(e, stamp), "The week that the scaling policy is run on.",
                                          f"{float(e.requests):,.0f} requests a month", paper=False))  # fmt: skip
    _figures(report, e)
    return report


def difference_report(reference: Reference, found: Sequence[Difference]) -> Report:
    """The page of a plan's printed costs beside what they come to."""
    report = Report(f"Costs as printed: {reference.title}", subtitle=f"{reference.source}, {reference.dated}")
    how = f"lines of {reference.title}"
    rows: list[list[Cell]] = [
        [line.id, line.group, _exact(line.quantity, line.unit, how), _exact(line.price, reference.currency, how),
         _money(line.printed, "printed"), computed(float(line.exact), "", how, digits=4)]
        for line in reference.lines
    ]  # fmt: skip
    report.add(
        Heading("Lines"),
        Table(("line", "group", "quantity", "price", "printed", "exact"), rows, "The plan's lines, multiplied again"),
        Heading("Differences"),
        Table(("", "about", "printed", "found"), [[d.id, d.about, d.printed, d.found] for d in found],
              "Found by computing, not by reading"),
    )  # fmt: skip
    if not found:
        report.add(Note("No differences: what is printed is what its figures come to.", "good"))
    return report


def _headline(e: Estimate) -> list[tuple[str, Cell]]:
    thousand = e.per_thousand
    within = Badge("within", "good") if e.p90 <= e.scenario.budget else Badge("above", "bad")
    return [
        ("likeliest month", _money(e.total, "sum of the lines")), ("year", _money(e.annual, "12 x the month")),
        ("P10", _money(e.p10, "draws")), ("P50", _money(e.p50, "draws")), ("P90", _money(e.p90, "draws")),
        ("budget", _money(e.scenario.budget, e.scenario.where)), ("P90 and budget", within),
        ("per 1,000 answers", "no requests" if thousand is None else _money(thousand, "total / requests")),
        ("per pair", _money(e.per_pair, "total / pairs")),
    ]  # fmt: skip


def _lines(report: Report, e: Estimate) -> None:
    rows: list[list[Cell]] = []
    for line in e.lines:
        quantity = "" if line.quantity is None else _exact(line.quantity, line.unit, line.how)
        price = "" if line.unit_price is None else _exact(line.unit_price, "", _source(line))
        rows.append([line.group, line.what, COMPONENTS[line.component], quantity, price, _money(line.amount, line.how)])
    report.require_sum("cents", [int(100 * line.amount) for line in e.lines], int(100 * e.total))
    report.require_sum("groups, cents", [int(100 * v) for v in e.groups().values()], int(100 * e.total))
    groups: list[list[Cell]] = [[name, _money(v, "sum of its lines")] for name, v in e.groups().items()]
    report.add(
        Heading("Lines"),
        Table(("group", "what", "component", "quantity", "unit price", "amount"), rows, "They add up to the month"),
        Table(("group", "amount"), [*groups, ["all", _money(e.total, "sum of the groups")]], "By group"),
    )  # fmt: skip


def _alternatives(report: Report, e: Estimate, stamp: str) -> None:
    found = alternatives(e.scenario, e.book, draws=e.draws, seed=e.seed)
    rows: list[list[Cell]] = [
        [a.serving, NAMES[a.serving], _money(a.serving_cost, "lines of serving"), _money(a.estimate.total, "sum"),
         _money(a.estimate.p10, "draws"), _money(a.estimate.p90, "draws"),
         computed(100 * a.cheapest, "%", "share of draws in which it is the cheapest", digits=0)]
        for a in found
    ]  # fmt: skip
    crossed: list[list[Cell]] = []
    for c in crossings(e.scenario, e.book):
        until = computed(c.requests, "requests a month", "totals at growing traffic", digits=0,
                         reason="never from a hundredth to a thousand times the traffic")  # fmt: skip
        crossed.append([c.cheaper, c.dearer, until])
    report.add(
        Heading("Ways of serving"),
        Text("Everything but serving stays. Containers are sized for the busiest minute and do not scale; an endpoint "
             "scales by its policy, without a limit where break-evens are looked for. Functions restore the state each "
             "minute, which no measurement has confirmed."),
        Figure(alternatives_chart(found, float(e.scenario.budget), e.book.currency, stamp), "The same draws for all.",
               ", ".join(f"{a.serving} {a.estimate.total}" for a in found), paper=False),
        Table(("", "what", "serving", "month", "P10", "P90", "cheapest"), rows, "Side by side"),
        Table(("cheaper", "dearer", "until"), crossed, "As the traffic grows"),
    )  # fmt: skip


def _commitments(report: Report, e: Estimate) -> None:
    if not e.scenario.discounts:
        return
    rows: list[list[Cell]] = []
    for d in e.scenario.discounts:
        c = commitment(d, e)
        rows.append([
            d.name, f"{100 * d.rate:.0f} % off {', '.join(sorted(d.scope))}", "taken" if d.taken else "not taken",
            _exact(c.best, "an hour", "what saves most in the simulated week"), _money(c.saving, "against no promise"),
            _money(c.peak_saving, "when the busiest minute is promised"),
            computed(float(100 * c.used), "%", "1 - rate: below it a promise loses", digits=0),
            computed(float(c.months), f"of {c.promised_months} months", "months x (1 - rate)", digits=1),
        ])  # fmt: skip
    head = ("discount", "scope", "", "best promise", "saves a month", "saves at the peak", "use needed", "run needed")
    report.add(Heading("Commitments"), Table(head, rows, "What is always on and in scope; nothing else is reduced"))


def _variance(report: Report, checked: Checked) -> None:
    v, p = checked.variance, checked.projection
    assert v is not None and p is not None
    rows: list[list[Cell]] = [_variance_row(r) for r in v.rows]
    report.require_sum("expected, cents", [int(100 * r.expected) for r in v.rows], int(100 * v.expected))
    report.add(
        Heading("The bill"),
        KeyValues([
            ("month", v.month), ("billed", _money(v.actual, "bill")), ("expected", _money(v.expected, "estimate")),
            ("will end at", _money(p.total, f"{p.days} days, {p.left} to come")), ("days", p.days),
        ]),
        *(Note(a.text, "bad") for a in checked.alarms),
        Table(("price", "expected", "billed", "by quantity", "by price", "", "why"), rows, "Line by line"),
    )  # fmt: skip


def _variance_row(r: Row) -> list[Cell]:
    parts = [_money(x, "bill and estimate") if x is not None else "" for x in (r.by_quantity, r.by_price)]
    badge = Badge(r.verdict, TONES[r.verdict])  # type: ignore[arg-type]
    return [r.key, _money(r.expected, "estimate"), _money(r.actual, "bill"), *parts, badge, r.why]


def _figures(report: Report, e: Estimate) -> None:
    given = {g.name: g for line in e.lines for g in line.figures}
    rows: list[list[Cell]] = [
        [name, *(_exact(x, "", g.how) for x in (g.low, g.mode, g.high)), g.unit, g.source, g.dated.isoformat()]
        for name, g in sorted(given.items())
    ]  # fmt: skip
    head = ("figure", "least", "likeliest", "most", "unit", "source", "date")
    report.add(Heading("Figures"), Table(head, rows, "All that the lines rest on"))


def _money(amount: Decimal, how: str) -> Number:
    return computed(float(amount), "", how, digits=2)


def _exact(value: Decimal, unit: str, how: str) -> Number:
    places = max(0, -int(value.normalize().as_tuple().exponent))
    return computed(float(value), unit, how, digits=min(places, 10))


def _source(line: Line) -> str:
    return line.figures[-1].how if line.figures else line.how


def _alt(e: Estimate) -> str:
    return f"Histogram of {e.draws:,} totals: P10 {e.p10}, P50 {e.p50}, P90 {e.p90}, budget {e.scenario.budget}"
