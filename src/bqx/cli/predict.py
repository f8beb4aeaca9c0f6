"""`bqx predict`: forecasts of a time, or of whole months as files."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bqx.base.errors import BqxError, BuildError, UsageError
from bqx.cli.common import App, dry_run_option, emit, json_option
from bqx.cli.serve import _seconds

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.serve.api.predictor import Predictor


@click.command()
@click.option("--models", "run", metavar="RUN", help="A run of `bqx train`; else the registry's models.")
@click.option("--pairs", metavar="A,B", help="Only these; all that have a model by default.")
@click.option(
    "--at", metavar="TIME", help="Forecasts as if asked then (ISO, with offset); prints them, writes nothing."
)
@click.option("--month", metavar="YYYY_MM", help="One UTC month.")
@click.option("--from", "first", metavar="TIME", help="First minute, ISO; else the first that is built.")
@click.option("--to", "last", metavar="TIME", help="Minute after the last, ISO.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder; PROJECT/predictions/RUN by default.")
@click.option("--format", "kind", type=click.Choice(["parquet", "csv"]), default="parquet", show_default=True)
@click.option("--cost-bps", type=click.FloatRange(0), default=None, help="A round trip; else quoted spreads.")
@dry_run_option
@json_option
@click.pass_obj
def predict(
    app: App,
    run: str | None,
    pairs: str | None,
    at: str | None,
    month: str | None,
    first: str | None,
    last: str | None,
    out: Path | None,
    kind: str,
    cost_bps: float | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Forecast every open minute of a span: one file a pair and month. Interrupted, run it again and it goes on."""
    import time

    from bqx.serve.api.assemble import make_predictor
    from bqx.serve.api.freshness import as_if

    moment = _seconds(at)
    with closing(app.open()) as project:
        predictor = make_predictor(project, run, time.time if moment is None else as_if(moment), cost=cost_bps)
        chosen = _chosen(predictor, pairs)
        if moment is not None:
            _at(predictor, chosen, moment, as_json)
            return
        span = _span(month, first, last)
        _months(
            project,
            predictor,
            chosen,
            span,
            out or project.root / "predictions" / (run or "registry"),
            kind,
            cost_bps,
            dry_run,
            as_json,
        )


def _at(predictor: Predictor, pairs: list[str], moment: float, as_json: bool) -> None:
    import secrets
    import time

    from bqx.serve.api.answers import answer

    rows: list[dict[str, Any]] = []
    for pair in pairs:
        began = time.perf_counter()
        question = predictor.question(moment)
        made = predictor.make(question, pair)
        rows.append(
            answer(
                made, question, predictor.calendar, secrets.token_hex(8), began,
                source=predictor.source.name, simulated=predictor.simulated,
            )
        )  # fmt: skip

    def text() -> None:
        for r in rows:
            mark = " SIMULATED" if r["data"]["simulated"] else ""
            s = r["signal"]
            click.echo(
                f"{r['pair']} {r['data']['bar']}{mark}: {s['action']} ({s['reason']}), model {r['model']['version']}"
            )
            for h in r["horizons"]:
                band = h["interval_80_bps"]
                shown = "closes before" if band is None else f"[{band[0]:+.2f}, {band[1]:+.2f}]"
                move = "" if h["expected_move_bps"] is None else f"{h['expected_move_bps']:+.3f}"
                click.echo(f"  {h['bars']:>3} bars {move:>8} bps  80 % {shown}")

    emit(rows, as_json, text)


def _months(
    project: Project, predictor: Predictor, pairs: list[str], span: tuple[int | None, int | None], out: Path, kind: str,
    cost: float | None, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    from bqx.serve.api.batch import plan, write_part

    rows: list[dict[str, Any]] = []
    for pair in pairs:
        model = predictor.model(pair)
        try:
            parts = plan(project, model, out, span, cost=cost, kind=kind)
        except BqxError as error:
            rows.append({"pair": pair, "month": None, "state": "failed", "what": error.what})
            continue
        for part in parts:
            row: dict[str, Any] = {"pair": pair, "month": part.ym, "file": str(part.path)}
            if part.done():
                row["state"] = "there"
            elif dry_run:
                row["state"] = "to do"
            else:
                try:
                    row |= {"rows": write_part(project, model, part, cost=cost), "state": "written"}
                except BqxError as error:
                    row |= {"state": "failed", "what": error.what}
            rows.append(row)
            if not as_json:
                click.echo(f"{pair} {part.ym}: {row['state']} {row.get('what', '')}".rstrip(), err=True)
    count = {s: sum(r["state"] == s for r in rows) for s in ("written", "there", "to do", "failed")}
    mark = ", SIMULATED" if project.simulated else ""
    said = ", ".join(f"{n} {s}" for s, n in count.items() if n)
    emit({"out": str(out), "simulated": project.simulated, "parts": rows}, as_json, f"{said} in {out}{mark}")
    if bad := [r for r in rows if r["state"] == "failed"]:
        raise BuildError(f"{len(bad)} of {len(rows)} parts failed: {bad[0]['pair']} {bad[0]['what']}")


def _chosen(predictor: Predictor, pairs: str | None) -> list[str]:
    from bqx.market.pairs import parse_pair

    if pairs is None:
        return list(predictor.models.all())
    return [parse_pair(p).name for p in pairs.split(",")]


def _span(month: str | None, first: str | None, last: str | None) -> tuple[int | None, int | None]:
    from bqx.market.calendar import month_span

    if month is not None:
        if first or last:
            raise UsageError("give --month, or --from and --to")
        return month_span(month)
    low, high = _seconds(first), _seconds(last)
    return (None if low is None else int(low // 60)), (None if high is None else int(high // 60))
