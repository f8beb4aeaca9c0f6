"""Kinds of jobs: how they are begun, looked at, stopped and removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bqx.base.errors import CloudConflict, CloudHalfMade
from bqx.ops.cloud.aws import Aws, MadeMeanwhile
from bqx.ops.cloud.state import CloudState

POLL_S = 15.0
PATIENCE_S = 900.0
RUNNING = frozenset({"InProgress", "Stopping", "Deleting"})


@dataclass(frozen=True)
class JobKind:
    """noun : as in Create<noun>. items : key of the listing."""

    name: str
    noun: str
    items: str

    @property
    def key(self) -> str:
        return f"{self.noun}Name"

    @property
    def status(self) -> str:
        return f"{self.noun}Status"

    def begin(self, aws: Aws, name: str, args: dict[str, Any]) -> None:
        """Begin a job unless one of that name is there: a name is one attempt of one item of one run."""
        try:
            aws.call("sagemaker", f"Create{self.noun}", **{self.key: name}, **args)
        except MadeMeanwhile:
            return
        except CloudConflict:
            if self.look(aws, name) is None:
                raise

    def look(self, aws: Aws, name: str) -> dict[str, Any] | None:
        return aws.find("sagemaker", f"Describe{self.noun}", **{self.key: name})

    def listed(self, aws: Aws, prefix: str) -> list[str]:
        found = aws.pages("sagemaker", f"List{self.noun}s", self.items, NameContains=f"{prefix}-")
        return [i[self.key] for i in found if i[self.key].startswith(f"{prefix}-")]

    def remove(self, aws: Aws, state: CloudState, name: str) -> None:
        """Stop it if it runs, then remove its record."""
        until = aws.clock.monotonic() + PATIENCE_S
        with state.step("delete", self.name, name):
            while (said := self.look(aws, name)) is not None and said[self.status] in RUNNING:
                if said[self.status] == "InProgress":
                    aws.gone("sagemaker", f"Stop{self.noun}", **{self.key: name})
                if aws.clock.monotonic() > until:
                    raise CloudHalfMade(f"{self.name} {name} does not stop", where="the cloud account")
                aws.clock.sleep(POLL_S)
            if said is not None:
                aws.gone("sagemaker", f"Delete{self.noun}", **{self.key: name})


PROCESSING = JobKind("processing", "ProcessingJob", "ProcessingJobSummaries")
TRAINING = JobKind("training", "TrainingJob", "TrainingJobSummaries")
TUNING = JobKind("tuning", "HyperParameterTuningJob", "HyperParameterTuningJobSummaries")
JOB_KINDS = (TUNING, TRAINING, PROCESSING)
