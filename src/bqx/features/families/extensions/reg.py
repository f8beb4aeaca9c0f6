"""reg: the least-squares parabola of the last W bars, taken apart at its end; 42 columns a domain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import FeatureError
from bqx.features.declare import EXTENSION, Column, Compute, Dataset
from bqx.features.families.extensions.reg_reference import make_reference
from bqx.features.families.extensions.reg_series import Parabolas, Part, policy
from bqx.features.streams import PRICE, WINDOWS, Domain, Streams, momentum_support
from bqx.features.support import All, Support, Window

F8 = NDArray[np.float64]

BARS = (15, 30, 60, 90, 240, 630)
PARTS: dict[str, Part] = {"level_term": "level", "linear_term": "linear", "quadratic_term": "quadratic",
                          "residual": "residual", "r2": "r2", "rmse": "rmse", "t2": "t2"}  # fmt: skip
TWINS = {"level_term": "sma_gap", "linear_term": "lin_slope", "quadratic_term": "quad_curv"}
"""Columns of momentum with the same window that are the same but for a factor, where no bar is missing."""
IN_MOMENTUM = (15, 30, 60, 240)

STILL = "a quote that stands still, or ends where it began, gives exactly 0"
FLAT = "NULL in a window whose values are all equal (found by counting) or lie on the curve within 1e-9 bps"


def parse(column: str) -> tuple[Part, int]:
    """Quantity and window of a column name."""
    found = re.fullmatch(r"(\w+)_w(\d+)", column)
    if found is None or found[1] not in PARTS or int(found[2]) not in BARS:
        raise FeatureError(f"reg has no column {column!r}")
    return PARTS[found[1]], int(found[2])


def _columns(domain: Domain) -> Iterator[Column]:
    level: Support = PRICE if domain == "rate" else momentum_support(WINDOWS[0])
    y, basis = "y" if domain == "rate" else "M", "g P(1) of the least-squares parabola"
    words = {
        "level_term": ("bps", f"{y} - g0, its mean over"),
        "linear_term": ("bps", f"g1 P1(1), first-order part now of the least-squares parabola of {y} over"),
        "quadratic_term": ("bps", f"g2 P2(1), second-order part now of the least-squares parabola of {y} over"),
        "residual": ("bps", f"{y} - (g0 + g1 + g2), {basis} over"),
        "r2": ("0–1", f"R^2 of the parabola of {y} over"),
        "rmse": ("bps", f"sqrt(sum of squared residuals / (n - 3)) of the parabola of {y} over"),
        "t2": ("–", f"g2 / its Newey-West standard error (Bartlett), parabola of {y} over"),
    }
    for kind, (unit, what) in words.items():
        for w in BARS:
            window = Window(level, w, policy(w))
            seen: Support = All((level, window)) if kind in ("level_term", "residual") else window
            undefined = kind in ("r2", "t2")
            twin = f"momentum_w{w}_{domain}.{TWINS[kind]}" if kind in TWINS and w in IN_MOMENTUM else None
            least = {"r2": (0.0, 1.0), "rmse": (0.0, np.inf)}.get(kind, (-np.inf, np.inf))
            yield Column(f"{kind}_w{w}", unit, f"{what} {w} bars", seen, policy(w), bounds=least,
                         tags=frozenset({"may_be_undefined" if undefined else "zero_ok"}),
                         why_tagged=FLAT if undefined else STILL, alias_of=twin,
                         source="Newey & West 1987" if kind == "t2" else "")  # fmt: skip


def _make_compute(domain: Domain) -> Compute:
    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        series = Parabolas(streams, domain)
        return {name: series.part(*parse(name)) for name in names}

    return compute


def _dataset(domain: Domain) -> Dataset:
    return Dataset(
        family="reg",
        domain=domain,
        columns=tuple(_columns(domain)),
        compute=_make_compute(domain),
        reference=make_reference(domain, parse),
        stage=EXTENSION,
        counted=False,
        summary=f"The least-squares parabola of the last bars of the {domain} stream in the discrete Legendre basis, "
        "six windows.",
    )


DATASETS = (_dataset("rate"), _dataset("bqx"))
