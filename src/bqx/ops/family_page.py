"""A page for each family: what its columns are, see, mean and cost, with a plot; and the index of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bqx.features.catalogue import count
from bqx.features.declare import Column, Dataset

Costs = Mapping[tuple[str, str], Mapping[str, Any]]
TYPES = {"f4": "float32", "f8": "float64", "i2": "int16", "i4": "int32"}
POLICIES = {
    "SEG": "windows and lags lie in one trading week: NULL until the week is old enough",
    "XGAP": "windows and states reach across closures, without the gap itself",
    "NONE": "a property of the minute",
}
HEADER = "Generated from the declarations by `make docs`; do not edit."


def index_page(homes: Sequence[Dataset]) -> str:
    """All families in one table, the extensions in one of their own."""
    wider = [home for home in homes if home.extension]
    homes = [home for home in homes if not home.extension]
    sizes = count(homes)
    lines = [
        "# Features",
        "",
        HEADER,
        "",
        f"{sizes['columns']:,} columns in {sizes['datasets']} datasets: {sizes['counted']:,} counted "
        f"({sizes['inherited']} inherited, {sizes['laggable']} laggable), {sizes['auxiliary']} auxiliary. "
        "[catalogue.html](catalogue.html) lists and searches them all.",
        "",
        "t is the current bar; a value stamped t is usable from t + 60 s. Warm-up is composed from the primitives of a "
        "column, in bars. `level` columns move with T0; `zero_ok` columns may be exactly 0; `may_be_undefined` ones "
        "may be NULL where a window exists.",
        "",
        *_table(homes),
    ]
    if wider:
        lines += [
            "",
            "## Extensions",
            "",
            f"{sum(len(home.columns) for home in wider):,} more columns in {len(wider)} datasets, auxiliary: never "
            "counted, in no selection, and built only where a project names them ([extensions](extensions.md)).",
            "",
            *_table(wider),
        ]
    return "\n".join(lines) + "\n"


def _table(homes: Sequence[Dataset]) -> list[str]:
    lines = ["| Family | Datasets | Columns | Warm-up | What it holds |", "|---|---|---:|---:|---|"]
    for family, members in families(homes).items():
        names = ", ".join(f"`{home.name}`" for home in members)
        columns = sum(len(home.columns) for home in members)
        warmup = max(c.warmup for home in members for c in home.columns)
        lines.append(f"| [{family}](features/{family}.md) | {names} | {columns} | {warmup:,} | {members[0].summary} |")
    return lines


def families(homes: Sequence[Dataset]) -> dict[str, list[Dataset]]:
    """Datasets by family, in the order of the catalogue."""
    out: dict[str, list[Dataset]] = {}
    for home in homes:
        out.setdefault(home.family, []).append(home)
    return out


def family_page(family: str, members: Sequence[Dataset], costs: Costs) -> str:
    """Columns of a family: one table a dataset, or one for all where they differ by the stream alone."""
    lines = [f"# {family}", "", HEADER, ""]
    for home in members:
        kind = "counted" if home.counted else "auxiliary"
        kind += ", inherited" if home.inherited else ""
        kind += ", laggable" if home.laggable else ""
        stage = f"Stage {home.stage}" if not home.extension else "Extension"
        lines += [f"- **{home.name}**: {home.summary} {stage}, {len(home.columns)} columns, {kind}."]
        if home.uses:
            lines[-1] += f" Uses {', '.join(sorted(home.uses))}."
    used = [policy for policy in POLICIES if any(c.policy == policy for home in members for c in home.columns)]
    lines += ["", "Policies: " + "; ".join(f"{policy}, {POLICIES[policy]}" for policy in used) + "."]
    for home in members:
        lines += ["", f"## {home.name}", ""]
        if not home.extension:
            lines += [f"![{home.name} on a simulated day](plots/{home.name}.svg)", ""]
        lines += ["| Column | Formula | Unit | Type | Policy | Warm-up | ns | bytes | Source | Notes |"]
        lines += ["|---|---|---|---|---|---:|---:|---:|---|---|"]
        lines += [_row(home, item, costs) for item in home.columns]
    lines += ["", "ns: core-nanoseconds a value, its part of building its dataset; bytes: in the file, a "
              "value ([benchmarks](../benchmarks.md) says on what machine)."]  # fmt: skip
    known = list(dict.fromkeys(identity.formula for home in members for identity in home.identities))
    if known:
        lines += ["", "Checked on every build, besides the bounds of each column:", "", *(f"- {f}" for f in known)]
    reasons = sorted({(tag_line(c)) for home in members for c in home.columns if c.why_tagged})
    if reasons:
        lines += ["", "Why tagged:", "", *(f"- {reason}" for reason in reasons)]
    return "\n".join(lines) + "\n"


def tag_line(item: Column) -> str:
    return f"{', '.join(f'`{tag}`' for tag in sorted(item.tags))}: {item.why_tagged}"


def notes(item: Column) -> list[str]:
    """Tags and aliases of a column."""
    return [*sorted(item.tags), *([f"same as {item.alias_of}"] if item.alias_of else [])]


def _row(home: Dataset, item: Column, costs: Costs) -> str:
    found = costs.get((home.name, item.name))
    cells = [
        f"`{item.name}`",
        item.formula,
        item.unit,
        TYPES[item.dtype],
        item.policy,
        f"{item.warmup:,}",
        f"{found['compute_ns']:.1f}" if found else "",
        f"{found['bytes']:.2f}" if found else "",
        item.source,
        "; ".join([item.summary] * bool(item.summary) + notes(item)),
    ]
    return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"
