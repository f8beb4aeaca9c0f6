"""All checks, by name, over any datasets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from bqx.features.checks.bounds import check_bounds, check_zeros
from bqx.features.checks.causal import check_causal
from bqx.features.checks.nulls import check_nulls
from bqx.features.checks.partition import check_partition
from bqx.features.checks.reach import cut
from bqx.features.checks.redundancy import check_redundancy
from bqx.features.checks.reference import check_reference
from bqx.features.checks.result import CheckResult
from bqx.features.checks.scale import check_baseline, check_scale
from bqx.features.checks.shortage import explain_shortage
from bqx.features.checks.world import World
from bqx.features.declare import Dataset

CHECKS: dict[str, Callable[[Dataset, World], list[CheckResult]]] = {
    "causal": check_causal,
    "partition": check_partition,
    "nulls": check_nulls,
    "scale": check_scale,
    "baseline": check_baseline,
    "bounds": check_bounds,
    "zeros": check_zeros,
    "redundancy": check_redundancy,
    "reference": check_reference,
}


def run(homes: Iterable[Dataset], world: World, names: Iterable[str] = tuple(CHECKS)) -> Iterator[CheckResult]:
    """Results column by column, as they come; each dataset on as much of the world's end as it needs."""
    chosen = list(names)
    for home in homes:
        part = cut(home, world)
        for name in chosen:
            yield from explain_shortage(home, CHECKS[name](home, part), part)
