"""Array checks of the promises P1-P4 for any dataset, on any bars. `run` does all of them.

A check that compared fewer than 500 non-NULL values of a column has failed.
"""

from bqx.features.checks.bounds import check_bounds, check_zeros
from bqx.features.checks.causal import check_causal
from bqx.features.checks.nulls import check_nulls
from bqx.features.checks.partition import check_partition
from bqx.features.checks.redundancy import check_redundancy
from bqx.features.checks.reference import check_reference
from bqx.features.checks.result import MINIMUM, CheckResult
from bqx.features.checks.scale import check_baseline, check_scale
from bqx.features.checks.suite import CHECKS, run
from bqx.features.checks.world import World

__all__ = [
    "CHECKS",
    "MINIMUM",
    "CheckResult",
    "World",
    "check_baseline",
    "check_bounds",
    "check_causal",
    "check_nulls",
    "check_partition",
    "check_redundancy",
    "check_reference",
    "check_scale",
    "check_zeros",
    "run",
]
