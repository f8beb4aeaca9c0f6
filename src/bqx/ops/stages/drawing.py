"""The plan's graph as an inline SVG in the colours of its page: columns by depth, the longest chain drawn heavier."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from html import escape

from bqx.ops.plan.model import Plan
from bqx.ops.plan.schedule import schedule

_WIDE, _HIGH, _ACROSS, _DOWN = 132, 34, 178, 44


def reduced(plan: Plan, only: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Direct predecessors within `only`, without those that another one implies."""
    names = [name for name in plan.order if name in only]
    above: dict[str, set[str]] = {}
    for name in names:
        direct = [other for other in plan.stages[name].before if other in above]
        above[name] = set(direct).union(*(above[other] for other in direct))
    out = {}
    for name in names:
        direct = [other for other in plan.stages[name].before if other in above]
        implied = set().union(*(above[other] for other in direct)) if direct else set()
        out[name] = tuple(other for other in direct if other not in implied)
    return out


def graph_svg(plan: Plan, only: Collection[str], marks: Mapping[str, str], href: str = "") -> str:
    """marks : stage -> word for its class, such as done or blocked. href : template of a node's link, `{id}` in it."""
    before = reduced(plan, only)
    chain = set(schedule(plan, only).path)
    depth: dict[str, int] = {}
    for name, others in before.items():
        depth[name] = max((depth[other] + 1 for other in others), default=0)
    columns: dict[int, list[str]] = {}
    for name in before:
        columns.setdefault(depth[name], []).append(name)
    place = {
        name: (10 + _ACROSS * column, 10 + _DOWN * row)
        for column, rows in columns.items()
        for row, name in enumerate(rows)
    }
    width = 20 + _ACROSS * max(columns, default=0) + _WIDE
    height = 20 + _DOWN * max((len(rows) for rows in columns.values()), default=1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'class="graph" role="group" aria-label="Graph of {len(before)} stages" font-family="system-ui, sans-serif">'
    ]
    for name, others in before.items():
        for other in others:
            heavy = ' class="chain"' if {name, other} <= chain else ""
            (x1, y1), (x2, y2) = place[other], place[name]
            a, b, middle = x1 + _WIDE, y1 + _HIGH / 2, (x1 + _WIDE + x2) / 2
            soft = "" if other in plan.stages[name].after else ' stroke-dasharray="3 3"'
            d = f"M{a} {b:.0f} C{middle:.0f} {b:.0f} {middle:.0f} {y2 + _HIGH / 2:.0f} {x2} {y2 + _HIGH / 2:.0f}"
            parts.append(f'<path d="{d}" fill="none" stroke="currentColor" stroke-opacity="0.35"{soft}{heavy}/>')
    for name, (x, y) in place.items():
        stage = plan.stages[name]
        word = marks.get(name, "")
        hours = f"{stage.hours:g} h" if stage.hours is not None else "no estimate"
        label = f"{name} {stage.name}, {word or 'defined'}, {hours}" + (
            ", on the longest chain" if name in chain else ""
        )
        node = (
            f'<g class="node {escape(word.replace(" ", "-"))}{" chain" if name in chain else ""}">'
            f"<title>{escape(label)}</title>"
            f'<rect x="{x}" y="{y}" width="{_WIDE}" height="{_HIGH}" rx="6" fill="none" stroke="currentColor"/>'
            f'<text x="{x + 8}" y="{y + 14}" font-size="11" font-weight="600" fill="currentColor">{escape(name)}</text>'
            f'<text x="{x + 8}" y="{y + 27}" font-size="10" fill="currentColor">{escape(stage.name[:22])}</text></g>'
        )
        link = href.format(id=name)
        parts.append(f'<a href="{escape(link)}" aria-label="{escape(label)}">{node}</a>' if href else node)
    return "".join(parts) + "</svg>"
