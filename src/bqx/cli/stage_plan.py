"""`bqx stage diff`, `graph` and `totals`: of the plan itself, for which no project is needed."""

from __future__ import annotations

from pathlib import Path

import click

from bqx.cli.common import App, emit, json_option


@click.command()
@click.argument("old", metavar="VERSION")
@click.argument("new", metavar="VERSION")
@json_option
def diff(old: str, new: str, as_json: bool) -> None:
    """What two versions of the plan say otherwise: v2.0, v3.0, and tracker (how the tracker used the same ids)."""
    from bqx.ops.plan.diff import diff as compare
    from bqx.ops.plan.read import load_plan

    found = compare(load_plan(old), load_plan(new))

    def show() -> None:
        click.echo(f"{'figure':22} {old:>10} {new:>10}  change")
        for c in found.aspects:
            cells = ["none" if v is None else f"{v:,g}" for v in (c.old, c.new)]
            change = f"{100 * (c.ratio - 1):+.0f} % (x{c.ratio:.2g})" if c.ratio else ""
            notes = f"  ({'; '.join(c.notes)})" if c.notes else ""
            click.echo(
                f"{c.name.replace('_', ' '):22} {cells[0]:>10} {cells[1]:>10}  {change} {c.unit}{notes}".rstrip()
            )
        for word, ids in (("added", found.added), ("removed", found.removed)):
            if ids:
                click.echo(f"{word}: {len(ids)} stages and tasks: {', '.join(ids)}")
        for name, fields in found.changed.items():
            for key, (was, now) in fields.items():
                click.echo(f"{name} {key}: {_short(was)} -> {_short(now)}")

    emit(found.as_dict(), as_json, show)


@click.command()
@click.option("--tasks", is_flag=True, help="Phase 2 and the tasks of Phase 3 too.")
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="Write a drawing.")
@json_option
@click.pass_obj
def graph(app: App, tasks: bool, svg: Path | None, as_json: bool) -> None:
    """Dependencies, the longest chain, slack, and how many stages can run at once."""
    from bqx.base.atomic import write_text
    from bqx.ops.plan.read import load_plan
    from bqx.ops.plan.schedule import schedule
    from bqx.ops.stages.drawing import graph_svg, reduced

    plan = load_plan()
    only = [name for name, s in plan.stages.items() if tasks or s.kind in ("features", "migration")]
    found = schedule(plan, only)
    if svg is not None:
        write_text(svg, graph_svg(plan, only, {}).replace("currentColor", "#333") + "\n")

    def show() -> None:
        before = reduced(plan, only)
        click.echo(f"{'stage':8} {'name':30} {'hours':>5} {'starts':>6} {'slack':>5}  after")
        for slot in found.slots.values():
            star = "*" if slot.id in found.path else " "
            after = ", ".join(before[slot.id]) or "nothing"
            click.echo(
                f"{slot.id:7}{star} {plan.stages[slot.id].name:30} {slot.hours:5g} {slot.start:6g} {slot.slack:5g}  "
                f"{after}"
            )
        click.echo(f"longest chain (*): {' -> '.join(found.path)}")
        click.echo(
            f"{found.hours:g} h side by side, {found.sequential:g} h one after the other, at most {found.width} at once"
        )

    edges = {
        name: {"after": list(plan.stages[name].after), "advised": list(plan.stages[name].advised)} for name in only
    }
    emit({**found.as_dict(), "edges": edges}, as_json, show)


@click.command()
@json_option
def totals(as_json: bool) -> None:
    """The seed's printed totals, what its lines add up to, what the catalogue adds up to, and why they differ."""
    from bqx.ops.plan.read import load_plan
    from bqx.ops.plan.totals import totals as compute

    found = compute(load_plan())

    def show() -> None:
        click.echo(f"{'figure':36} {'printed':>12} {'its lines':>12} {'ours':>12}")
        for t in found:
            ours = "" if t.ours is None else f"{t.ours:,g}" if t.ours < 1e6 else f"{t.ours:,.0f}"
            click.echo(f"{t.what:36} {_figure(t.printed):>12} {_figure(t.lines):>12} {ours:>12}  {t.why}".rstrip())

    rows = [{**{k: getattr(t, k) for k in t.__slots__}, "agrees": t.agrees} for t in found]
    emit(rows, as_json, show)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def _short(value: object) -> str:
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
