"""python -m benchmarks.table [--read] [--quick]: every quantity beside every peer that has it, nanoseconds and error,
and what is kept of the bars. Measures unless told to --read the last results; writes results and page as
`python -m benchmarks.kernels` does."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from benchmarks.machine import RESULTS
from benchmarks.page import PEERS, read, write_page

TOGETHER, ALONE = 1.0, 2.0
"""The bars: our time over that of the fastest peer of equal or better accuracy, 28 pairs together and one alone."""
EQUAL = 0.5
"""Digits that a peer may lose more than ours and still count as equally accurate."""
Row = dict[str, Any]

REASONS = {
    "one pair": "with one lane there is nothing to vectorise over; NULL rules and restarts are paid by one value",
    "RSI, MACD, ATR, ADX, CCI": "each week starts from a trajectory begun before it; missing bars hold their state",
    "Bollinger, Stochastic, Williams": "sums are compensated and recentred; windows may have missing bars",
    "Lags and logarithms": "both wait for memory",
    "Correlation": "five compensated sums, recentred when the mean moves away: on one series others lose three digits "
    "more and up, on two there is no exact definition to compare with",
    "Extremes": "windows may have missing bars, so their valid ones are counted beside the extremes",
    "Mean and deviation": "sums are compensated and recentred; windows may have missing bars",
}


def lost(case: Row, who: str) -> float:
    """Digits lost of 16 by the worst output on the worst input; 0 for exact quantities, which have no definition to
    compare with."""
    return max((max(by[who].values()) for by in case["digits_lost"].values() if who in by), default=0.0)


def fair(case: Row) -> list[str]:
    """Peers that lose no more digits than ours, a half allowed."""
    peers = [p for p in PEERS if p in case["times"]]
    return [p for p in peers if lost(case, p) <= lost(case, "ours") + EQUAL]


def ratios(cases: list[Row]) -> tuple[float, float] | None:
    """Our time for one bar of everything over that of the fastest fair peer of each; together and alone."""
    known = [(c, min(c["times"][p]["cpu_ns"] for p in peers)) for c in cases if (peers := fair(c))]
    if not known:
        return None
    theirs = sum(c["values"] * best for c, best in known)
    ours, one = (sum(c["values"] * c["times"][k]["cpu_ns"] for c, _ in known) for k in ("ours", "ours, one pair"))
    return round(ours / theirs, 2), round(one / theirs, 2)


def table(cases: list[Row]) -> list[str]:
    """Markdown: all quantities, `ns / digits lost`."""
    peers = [p for p in PEERS if any(p in c["times"] for c in cases)]
    out = [f"| Quantity | Ours | one pair | {' | '.join(peers)} |", "|---|" + "---:|" * (2 + len(peers))]
    for c in cases:
        cells = [_cell(c, "ours"), f"{c['times']['ours, one pair']['cpu_ns']:.1f}", *(_cell(c, p) for p in peers)]
        out.append(f"| {c['name']} | {' | '.join(cells)} |")
    return out


def _cell(case: Row, who: str) -> str:
    if who not in case["times"]:
        return ""
    digits = f" / {lost(case, who):.1f}" if case["digits_lost"] else ""
    return f"{case['times'][who]['cpu_ns']:.1f}{digits}"


def bars(cases: list[Row]) -> list[str]:
    """Markdown: each group against the bars, exceptions with their reason."""
    out = ["| Group | Together | One pair | |", "|---|---:|---:|---|"]
    kept = 0
    groups = list(dict.fromkeys(c["group"] for c in cases))
    compared = 0
    for name in groups:
        found = ratios([c for c in cases if c["group"] == name])
        if found is None:
            out.append(f"| {name} | – | – | no peer is as accurate |")
            continue
        compared += 1
        wrong = [f"{REASONS.get(name, 'no reason found yet')}"] if found[0] > TOGETHER else []
        wrong += [f"one pair: {REASONS['one pair']}"] if found[1] > ALONE else []
        kept += not wrong
        cells = [f"**{r:.2f}**" if r > bar else f"{r:.2f}" for r, bar in zip(found, (TOGETHER, ALONE), strict=True)]
        out.append(f"| {name} | {' | '.join(cells)} | {'; '.join(wrong)} |")
    return [*out, "", f"{kept} of {compared} groups keep both bars ({TOGETHER:g} together, {ALONE:g} alone)."]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument("--read", action="store_true", help="measure nothing: of the last results")
    parser.add_argument("--quick", action="store_true", help="fewer bars and rounds; writes nothing")
    args = parser.parse_args()
    path = RESULTS / "kernels.json"
    if args.read:
        data = read(path)
        if data is None:
            print("no results yet: leave --read out", file=sys.stderr)
            return 1
    else:
        os.environ["POLARS_MAX_THREADS"] = "1"  # one thread for everybody, before polars is imported
        os.environ.setdefault("NUMBA_NUM_THREADS", "1")
        from benchmarks.kernels.run import run

        result = run(args.quick, "", lambda line: print(line, file=sys.stderr, flush=True))
        data = result.data
        if not args.quick:
            result.write(path)
            write_page()
    print(f"{data['date']}, commit {data['commit'][:12]}, load average {data['load_average']}; ns a value of processor "
          "time / decimal digits lost of 16\n")  # fmt: skip
    print("\n".join([*table(data["cases"]), "", *bars(data["cases"])]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
