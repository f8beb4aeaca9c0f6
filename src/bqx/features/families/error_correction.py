"""error_correction_dual: how far a pair is from eight relations to others, and how it comes back, in both domains.

rate : relations of log prices, closure gaps removed inside every window. bqx : the same residuals of M_60, which is
stationary, so that nothing there is called cointegration.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import FeatureError
from bqx.features.declare import Column, Dataset
from bqx.features.families.error_correction_reference import reference
from bqx.features.families.error_correction_series import (
    LINE,
    MEMORY,
    STEP,
    VECTOR,
    WINDOW,
    Relations,
    measure,
    smooth_reach,
)
from bqx.features.families.error_correction_sister import SEEN, SISTER
from bqx.features.families.error_correction_support import Among, Shared, Standing
from bqx.features.identities import of_currencies, of_triangles
from bqx.features.streams import PRICE, Domain, Streams, momentum_support
from bqx.features.support import All, Everyone, Lag, Policy, Support, Trajectory, Window

F8 = NDArray[np.float64]

DOMAINS: tuple[Domain, ...] = ("rate", "bqx")
RELATIONS = ("tri1", "trim", "egb", "egq", "sis", "cur", "usd", "self")
METRICS = ("ect", "z", "vel", "acc", "hl", "alpha", "inbound")
_NAME = re.compile(rf"ec_({'|'.join(METRICS)})_({'|'.join(RELATIONS)})_(rate|bqx)")

ENGLE = "Engle & Granger 1987"
FLAT = "NULL where what it is regressed on does not move"
ALONE = "NULL where the sister pair has no price, or too few in the window of its hour's regression"
STILL = "NULL where the residual does not move"


def parse(column: str) -> tuple[str, str, Domain]:
    """Metric, relation and domain of a column name."""
    found = _NAME.fullmatch(column)
    if found is None:
        raise FeatureError(f"error_correction has no column {column!r}")
    return found[1], found[2], "rate" if found[3] == "rate" else "bqx"


def level_of(domain: Domain) -> Support:
    return PRICE if domain == "rate" else momentum_support(WINDOW)


def seen_by(relation: str, domain: Domain) -> Support:
    """What a residual sees: the members now and, where something is estimated, in the window of the hour's estimate."""
    level = level_of(domain)
    base, quote = Everyone(level, "base"), Everyone(level, "quote")
    if relation == "tri1":
        return Among(level, "triangle")
    if relation == "trim":
        return All((level, base, quote))
    if relation == "self":
        need, burn = smooth_reach()
        return All((level, Trajectory(level, need, burn, before=False)))
    if relation == "sis":
        return All((level, SEEN, Standing(level, LINE, "hour", now=True)))
    if relation == "usd":
        majors = Among(level, "majors")
        return All((majors, Standing(majors, VECTOR, "hour", now=True)))
    joint = All((level, *{"egb": (base,), "egq": (quote,), "cur": (base, quote)}[relation]))
    return All((joint, Standing(joint, LINE, "hour", now=True)))


def support_of(metric: str, relation: str, domain: Domain) -> Support:
    error = Shared(seen_by(relation, domain))
    if metric == "ect":
        return error
    if metric == "z":
        return All((error, Window(error, MEMORY, "XGAP")))
    if metric == "hl":
        return Window(Lag(error, 1, "SEG"), MEMORY, "XGAP")
    if metric == "alpha":
        change = Lag(level_of(domain), 1, "SEG")
        return Window(All((Lag(error, 1, "SEG"), Lag(change, 1, "SEG"))), MEMORY, "XGAP")
    moved = Lag(error, STEP, "SEG")
    return All((moved, Lag(error, 2 * STEP, "SEG"))) if metric == "acc" else moved


_RESIDUALS = {
    "tri1": ("ln mid(XY) - ln mid(Xb) - ln mid(bY), b = USD, else EUR, else GBP; raw mids", ""),
    "trim": ("mean of the 6 triangle residuals of XY", ""),
    "egb": (f"p - α - β G, G = mean of the 6 others with X, turned as XY; OLS over {LINE} bars, hourly", ENGLE),
    "egq": (f"p - α - β G, G = mean of the 6 others with Y, turned as XY; OLS over {LINE} bars, hourly", ENGLE),
    "sis": (f"p - α - β p(sister), sister by last month's |correlation|; OLS over {LINE} bars, hourly", ENGLE),
    "cur": (f"ln S_X - α - β ln S_Y, ln S = mean of 7 levels; OLS over {LINE} bars, hourly", ENGLE),
    "usd": (f"β'x + c of 7 USD majors, first vector over {VECTOR} bars, hourly, |β| = 1, β(EURUSD) >= 0",
            "Johansen 1991"),
    "self": ("p - EMA_1440(p)", ""),
}  # fmt: skip
"""Formula and source of each residual e."""

_MEASURES = {
    "ect": ("bps", "{e}"),
    "z": ("sd", "z_1440(e), e = {e}"),
    "vel": ("bps", "e(t) - e(t-20), e = {e}"),
    "acc": ("bps", "e(t) - 2 e(t-20) + e(t-40), e = {e}"),
    "hl": ("bars", "min(ln 0.5 / ln φ, 1440), φ of e(s) = c + φ e(s-1), OLS_1440; e = {e}"),
    "alpha": ("1/bar", "a of dp(s) = c + a e(s-1) + g dp(s-1), OLS_1440; e = {e}"),
    "inbound": ("flag", "1 if |e(t)| < |e(t-20)|, e = {e}"),
}


def _column(metric: str, relation: str, domain: Domain) -> Column:
    unit, formula = _MEASURES[metric]
    residual, source = _RESIDUALS[relation]
    if domain == "bqx":
        residual = residual.replace("ln mid", "M_60").replace("; raw mids", "").replace("ln S", "S")
    policy: Policy = "XGAP" if metric in ("z", "hl", "alpha") or relation not in ("tri1", "trim") else "SEG"
    tags, why = set(), []
    if relation in ("egb", "egq", "cur", "usd"):
        tags.add("may_be_undefined")
        why.append(FLAT)
    if relation == "sis":
        tags.add("may_be_undefined")
        why.append(ALONE)
    if metric in ("z", "hl", "alpha"):
        tags.add("may_be_undefined")
        why.append(STILL + (", and where φ <= 0" if metric == "hl" else ""))
    if metric == "inbound":
        tags.add("zero_ok")
        why.append("a flag")
    return Column(
        f"ec_{metric}_{relation}_{domain}",
        unit,
        formula.format(e=residual),
        support_of(metric, relation, domain),
        policy,
        dtype="i2" if metric == "inbound" else "f4",
        bounds={"hl": (0.0, float(MEMORY)), "inbound": (0.0, 1.0)}.get(metric, (-np.inf, np.inf)),
        tags=frozenset(tags),
        why_tagged="; ".join(why),
        source=ENGLE if metric == "alpha" else source,
    )


def _columns() -> Iterator[Column]:
    for metric in METRICS:
        for relation in RELATIONS:
            for domain in DOMAINS:
                yield _column(metric, relation, domain)


def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    """Only the residuals asked for, each once."""
    found: dict[str, F8] = {}
    asked = [(name, *parse(name)) for name in names]
    for domain in DOMAINS:
        wanted = {relation for _, _, relation, of in asked if of == domain}
        if not wanted:
            continue
        relations = Relations(streams, domain)
        errors = relations.of(wanted)
        for name, metric, relation, of in asked:
            if of == domain:
                found[name] = measure(metric, errors[relation], relations.level, relations.age)
    return {name: found[name] for name in names}


DATASET = Dataset(
    family="error_correction",
    domain="dual",
    columns=tuple(_columns()),
    compute=compute,
    reference=reference,
    stage="1.6.18",
    uses=frozenset({"panel"}),
    fits=(SISTER,),
    identities=tuple(
        identity
        for domain in DOMAINS
        for identity in (
            of_currencies(f"currency indices, {domain}", f"ec_ect_trim_{domain}"),
            of_triangles(f"triangles, {domain}", f"ec_ect_tri1_{domain}"),
        )
    ),
    summary="Parity of triangles, residuals of a pair from its groups, its sister, its currencies, the USD majors and "
    "its own mean, and how it returns; those of the bqx block are residuals of stationary series.",
)
