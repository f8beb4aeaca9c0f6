"""L14 at the door: a run that is too good to be true is not evaluated, traded or promoted before a human signs."""

from __future__ import annotations

from bqx.base.errors import QuarantinedError, TrainingError
from bqx.research.training.folder import Run


def check_quarantine(run: Run) -> None:
    """Call before anything of a run is shown. QuarantinedError unless signed; TrainingError when it is not usable.

    A run is usable when it is done, or quarantined and signed by somebody who had L1-L6 run again.
    """
    if run.closed:
        reasons = "; ".join(run.head["result"].get("too_good", [])) or "L14"
        raise QuarantinedError(f"run {run.name} is quarantined: {reasons}", where=str(run.folder))
    if run.state not in ("done", "quarantined"):
        raise TrainingError(
            f"run {run.name} is {'not finished' if run.state == 'training' else 'short of its quorum'}",
            where=str(run.folder),
            fix="the same `bqx train` command goes on where it stopped",
        )
