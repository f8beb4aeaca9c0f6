"""`bqx cost`: estimate, compare, check; prices import, list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bqx.cli.common import App, dry_run_option, emit, json_option

if TYPE_CHECKING:
    from bqx.ops.cost.estimate import Estimate
    from bqx.ops.cost.pricebook import PriceBook
    from bqx.ops.cost.scenario import Scenario

file_path = click.Path(path_type=Path, exists=True, dir_okay=False)
PRICES = "prices.toml"


def figure_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of commands that estimate."""
    options = (
        click.option("--scenario", type=file_path, help="What differs from the scenario that ships; else cost.toml."),
        click.option(
            "--prices", type=file_path, help="Price book; else prices.toml of the project, else the reference's."
        ),
        click.option("--serving", help="endpoint, container, serverless or batch; else as the scenario says."),
        click.option("--draws", type=click.IntRange(100, 100_000), default=2000, show_default=True),
        click.option("--seed", type=click.IntRange(0), default=0),
    )
    for option in reversed(options):
        command = option(command)
    return command


def read_figures(
    root: Path, scenario: Path | None, prices: Path | None, serving: str | None
) -> tuple[Scenario, PriceBook]:
    """From the options, else from the project's folder, else what ships."""
    from bqx.ops.cost.pricebook import read_book
    from bqx.ops.cost.scenario import FILE, read_scenario

    def at(given: Path | None, name: str) -> Path | None:
        return given or (root / name if (root / name).is_file() else None)

    book = read_book(at(prices, PRICES))
    found = read_scenario(book, at(scenario, FILE))
    return (found.serve(serving) if serving else found), book


@click.group()
def cost() -> None:
    """What running this costs a month, with ranges and sources; budgets, bills, alternatives."""


@cost.command()
@figure_options
@click.option(
    "--html", type=click.Path(path_type=Path, file_okay=False), help="Folder for the report: HTML, Markdown, JSON."
)
@json_option
@click.pass_obj
def estimate(
    app: App, scenario: Path | None, prices: Path | None, serving: str | None, draws: int, seed: int,
    html: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Lines of the likeliest month, P10, P50 and P90, cost per 1,000 answers and per pair."""
    from bqx.ops.cost.estimate import estimate as make

    read, book = read_figures(app.project_path, scenario, prices, serving)
    found = make(read, book, draws=draws, seed=seed)
    paths = _report(found, html)
    emit({**found.as_dict(), "report": paths}, as_json, lambda: _show(found, paths))


@cost.command()
@figure_options
@click.option("--reference", help="`seed`, or a file of the same form: what is printed there and does not hold.")
@click.option(
    "--html", type=click.Path(path_type=Path, file_okay=False), help="With --reference: folder for the report."
)
@json_option
@click.pass_obj
def compare(
    app: App, scenario: Path | None, prices: Path | None, serving: str | None, draws: int, seed: int,
    reference: str | None, html: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Ways of serving side by side; with --reference, a plan's printed costs against what its figures come to."""
    from bqx.ops.cost.alternatives import NAMES, alternatives, crossings
    from bqx.ops.cost.commitment import commitment
    from bqx.ops.cost.estimate import estimate as make

    read, book = read_figures(app.project_path, scenario, prices, serving)
    if reference is not None:
        _differences(reference, book, html, as_json)
        return
    found = alternatives(read, book, draws=draws, seed=seed)
    crossed = crossings(read, book)
    chosen = make(read, book, draws=draws, seed=seed)
    promised = [commitment(d, chosen) for d in read.discounts]

    def text() -> None:
        click.echo(f"{book.note}\n")
        for a in found:
            e = a.estimate
            click.echo(
                f"{a.serving:11} {e.total:>10} a month, {e.p10} to {e.p90} (P10 to P90), serving {a.serving_cost}, "
                f"cheapest in {100 * a.cheapest:.0f} % of draws: {NAMES[a.serving]}"
            )
        for c in crossed:
            until = "at any traffic looked at" if c.requests is None else f"up to {c.requests:,.0f} requests a month"
            click.echo(f"{c.cheaper} is cheaper than {c.dearer} {until}")
        for p in promised:
            click.echo(
                f"{p.name}: promise {p.best:.4f} an hour, saves {p.saving} a month; pays when {100 * p.used:.0f} % is "
                f"used, {p.months} of {p.promised_months} months; at the peak {p.peak_saving:+}"
            )

    data = {"alternatives": [a.as_dict() for a in found], "crossings": [c.as_dict() for c in crossed],
            "commitments": [p.as_dict() for p in promised], "prices": book.note}  # fmt: skip
    emit(data, as_json, text)


@cost.command()
@figure_options
@click.option("--budget", help="Of a month; else as the scenario says.")
@click.option("--bill", type=file_path, help="CSV of actual costs, such as a cost and usage report.")
@click.option("--month", metavar="YYYY-MM", help="Of the bill, when it holds several.")
@click.option("--through", type=click.DateTime(["%Y-%m-%d"]), help="Last whole day of the bill; else its last line's.")
@click.option("--html", type=click.Path(path_type=Path, file_okay=False), help="Folder for the report.")
@json_option
@click.pass_obj
def check(
    app: App, scenario: Path | None, prices: Path | None, serving: str | None, draws: int, seed: int,
    budget: str | None, bill: Path | None, month: str | None, through: Any, html: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Exit 5 when the P90 passes the budget, or a bill will, or is not explained by the estimate."""
    from dataclasses import replace

    from bqx.base.errors import BudgetError
    from bqx.ops.cost.bill import read_bill
    from bqx.ops.cost.check import check_bill, check_estimate
    from bqx.ops.cost.estimate import estimate as make

    read, book = read_figures(app.project_path, scenario, prices, serving)
    read = replace(read, budget=_amount(budget)) if budget else read
    found = make(read, book, draws=draws, seed=seed)
    if bill is None:
        result = check_estimate(found)
    else:
        result = check_bill(read_bill(bill, month), read, book, found, through.date() if through else None)
    paths = _report(found, html, result)

    def text() -> None:
        click.echo(f"P90 {found.p90}, budget {read.budget} {book.currency} a month; prices: {book.note}")
        if result.variance and result.projection:
            v, p = result.variance, result.projection
            click.echo(f"{v.month}: {v.actual} billed, {v.expected} expected; will end at {p.total}")
            for r in v.rows:
                click.echo(f"  {r.verdict:11} {r.key:20} {r.actual:>10} of {r.expected:>10}  {r.why}")
        for path in paths[:1]:
            click.echo(f"report: {path}")

    emit({**result.as_dict(), "report": paths}, as_json, text)
    if not result.ok:
        raise BudgetError(
            "; ".join(a.text for a in result.alarms), where=", ".join(sorted({a.name for a in result.alarms}))
        )


@cost.group()
def prices() -> None:
    """The price book: list it, or read prices from the provider's own list."""


@prices.command("list")
@click.option(
    "--prices", "book_path", type=file_path, help="Price book; else prices.toml of the project, else the reference's."
)
@json_option
@click.pass_obj
def list_(app: App, book_path: Path | None, as_json: bool) -> None:
    """One line a price, with its source and date."""
    _, book = read_figures(app.project_path, None, book_path, None)

    def text() -> None:
        click.echo(book.note)
        for p in book.prices.values():
            g = p.given
            span = f"{g.mode:f}" if g.fixed else f"{g.low:f} to {g.high:f}, {g.mode:f}"
            click.echo(f"{p.key:20} {span} {book.currency} a {g.unit}  ({g.source}, {g.dated})")

    emit([p.as_dict() for p in book.prices.values()], as_json, text)


@prices.command("import")
@click.argument("offers", nargs=-1, required=True, type=file_path)
@click.option("--prices", "book_path", type=file_path, help="Book to start from; else as for `list`.")
@click.option("--region", help="Of the provider; else the book's.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Book to write; else prices.toml of the project."
)
@dry_run_option
@json_option
@click.pass_obj
def import_(
    app: App, offers: tuple[Path, ...], book_path: Path | None, region: str | None, out: Path | None, dry_run: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Take unit prices from OFFERS, JSON offer files of the provider's bulk price list, one service each."""
    from dataclasses import replace

    from bqx.ops.cost.book_file import write_book
    from bqx.ops.cost.offer import import_offer

    _, book = read_figures(app.project_path, None, book_path, None)
    rows: list[dict[str, Any]] = []
    for path in offers:
        click.echo(f"reading {path.name}", err=True)
        found = import_offer(path, book, region)
        book = replace(found.book, region=region or found.book.region)
        rows += [
            {"key": k, "before": str(a), "after": str(b), "list": path.name} for k, (a, b) in found.changed.items()
        ]
        rows += [{"key": k, "left": why, "list": path.name} for k, why in found.left.items()]
    target = out or app.project_path / PRICES
    if not dry_run:
        write_book(replace(book, name=f"imported {book.region}"), target)

    def text() -> None:
        for r in rows:
            click.echo(
                f"{r['key']:20} {r['before']} -> {r['after']}" if "after" in r else f"{r['key']:20} left: {r['left']}"
            )
        click.echo(f"{'would write' if dry_run else 'written'}: {target}; {book.note}")

    emit({"prices": rows, "book": str(target), "dry_run": dry_run, "note": book.note}, as_json, text)


def _amount(text: str) -> Any:
    from decimal import Decimal, InvalidOperation

    from bqx.base.errors import UsageError

    try:
        found = Decimal(text)
    except InvalidOperation as error:
        raise UsageError(f"--budget {text!r} is no amount", fix="for example --budget 500") from error
    if not found.is_finite() or found <= 0:
        raise UsageError(f"--budget {text!r} is no amount", fix="for example --budget 500")
    return found


def _report(found: Estimate, folder: Path | None, checked: Any = None) -> list[str]:
    from bqx.ops.cost.report import cost_report

    if folder is None:
        return []
    return [str(p) for p in cost_report(found, checked).write(folder, f"cost-{found.scenario.serving}")]


def _show(found: Estimate, paths: list[str]) -> None:
    from bqx.ops.cost.money import show

    e, currency = found, found.book.currency
    click.echo(f"{e.scenario.name}, served by {e.scenario.serving}. {e.book.note}\n")
    for line in e.lines:
        if not line.amount:
            continue
        made = "" if line.quantity is None else f"{line.quantity.normalize():f} {line.unit} x {line.unit_price:f}"
        click.echo(f"{line.amount:>10}  {line.group:13} {line.what:45} {made}")
    click.echo(f"{e.total:>10}  a month; {show(e.annual, currency)} a year\n")
    click.echo(
        f"P10 {e.p10}, P50 {e.p50}, P90 {e.p90} {currency} ({e.draws:,} draws, seed {e.seed}); "
        f"budget {e.scenario.budget}"
    )
    click.echo(f"{e.per_thousand} a 1,000 answers, {e.per_pair} a pair")
    for path in paths[:1]:
        click.echo(f"report: {path}")


def _differences(name: str, book: PriceBook, folder: Path | None, as_json: bool) -> None:
    from bqx.ops.cost.differences import differences
    from bqx.ops.cost.reference import read_reference
    from bqx.ops.cost.report import difference_report

    reference = read_reference(name)
    found = differences(reference, book)
    paths = [] if folder is None else difference_report(reference, found).write(folder, f"cost-{reference.name}")
    sums = {k: str(v) for k, v in reference.recomputed().items()}

    def text() -> None:
        click.echo(f"{reference.title} ({reference.source}, {reference.dated}); lines come to {sums['baseline']}, "
                   f"printed {reference.printed('baseline')}")  # fmt: skip
        for d in found:
            click.echo(f"{d.id:4} {d.about}\n     printed: {d.printed}\n     found:   {d.found}")
        if not found:
            click.echo("no differences: what is printed is what its figures come to")
        for path in paths[:1]:
            click.echo(f"report: {path}")

    emit({"reference": reference.name, "sums": sums, "differences": [d.as_dict() for d in found],
          "report": [str(p) for p in paths]}, as_json, text)  # fmt: skip
