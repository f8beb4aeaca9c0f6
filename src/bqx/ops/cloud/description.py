"""What `PROJECT/cloud.toml` may say. No account, host, address or key: those come from the environment."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MEMORY_GB = {
    "large": 8, "xlarge": 16, "2xlarge": 32, "4xlarge": 64, "8xlarge": 128, "12xlarge": 192, "16xlarge": 256,
    "24xlarge": 384,
}  # fmt: skip
"""Of the m families by size; c has half of it, r twice."""
FAMILY = {"m": 1.0, "c": 0.5, "r": 2.0}
USABLE = 0.75
"""Share of an instance's memory that models may take."""
_Secret = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
_Instance = Annotated[str, Field(pattern=r"^ml\.[a-z][a-z0-9]*\.(\d+x|x)?large$")]
_Image = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._/-]{0,127}(:[A-Za-z0-9._-]{1,64}|@sha256:[0-9a-f]{64})$")]
_Role = Annotated[str, Field(pattern=r"^[A-Za-z0-9+=,.@_-]{1,64}$")]
_Tag = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9 _.:/=+@-]*$")]
_Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


Job = Literal["processing", "training", "inference"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DeploymentSection(_Section):
    """prefix : every name begins with it, and nothing else is touched. credentials : name of the secret with the keys,
    the machine's role without. tags : beside our own."""

    prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", min_length=3, max_length=20)]
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
    credentials: _Secret | None = None
    tags: dict[_Tag, _Tag] = {}

    @field_validator("tags")
    @classmethod
    def _ours_are_ours(cls, tags: dict[str, str]) -> dict[str, str]:
        for key in tags:
            if key.lower().startswith(("aws:", "bqx:")):
                raise ValueError(f"the tag {key!r} is reserved")
        if len(tags) > 40:
            raise ValueError(f"{len(tags)} tags; 40 at most beside our own")
        return tags


class RolesSection(_Section):
    """Names of roles in the account, PREFIX-processing and so on unless told; they must begin with the prefix. What
    each must be allowed is what `bqx cloud policy` prints."""

    processing: _Role | None = None
    training: _Role | None = None
    inference: _Role | None = None


class ImagesSection(_Section):
    """In the account's own container registry, by tag or, better, by digest."""

    processing: _Image = "bqx-processing:1"
    training: _Image = "bqx-training:1"
    inference: _Image = "bqx-inference:1"


class JobSection(_Section):
    """minutes : after which a job is stopped. volume_gb : its disk."""

    instance: _Instance = "ml.m5.2xlarge"
    minutes: Annotated[int, Field(ge=1, le=7200)] = 240
    volume_gb: Annotated[int, Field(ge=1, le=16384)] = 50


class TrainingSection(JobSection):
    """parallel : jobs at once. retries : of a job whose failure may pass. quorum : share of pairs without which a run
    has failed. spot : interruptible instances; wait_minutes bounds waiting and work together."""

    minutes: Annotated[int, Field(ge=1, le=7200)] = 60
    parallel: Annotated[int, Field(ge=1, le=100)] = 28
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    quorum: Annotated[float, Field(gt=0, le=1)] = 1.0
    spot: bool = True
    wait_minutes: Annotated[int, Field(ge=1, le=14400)] = 120

    @model_validator(mode="after")
    def _waits_longer_than_it_works(self) -> TrainingSection:
        if self.spot and self.wait_minutes < self.minutes:
            raise ValueError(f"wait_minutes {self.wait_minutes} is below minutes {self.minutes}")
        return self


class TuningSection(JobSection):
    """trials : a pair. parallel : of them at once. trees, depth, least_rows : low and high of what is searched."""

    minutes: Annotated[int, Field(ge=1, le=7200)] = 300
    trials: Annotated[int, Field(ge=2, le=500)] = 50
    parallel: Annotated[int, Field(ge=1, le=10)] = 5
    trees: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (100, 800)
    depth: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (3, 8)
    least_rows: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (50, 2000)

    @field_validator("trees", "depth", "least_rows")
    @classmethod
    def _rises(cls, bounds: tuple[int, int]) -> tuple[int, int]:
        if bounds[0] >= bounds[1]:
            raise ValueError(f"{list(bounds)}: low must be below high")
        return bounds


class EndpointSection(_Section):
    """per_minute : requests a minute and instance that scaling aims at. model_mb : of a loaded model, the largest.

    capture_percent : of requests and answers that are kept. research : whether models that are only approved may be
    deployed too; the container says HOLD for them.
    """

    instance: _Instance = "ml.m5.xlarge"
    instances: Annotated[int, Field(ge=1, le=100)] = 1
    most: Annotated[int, Field(ge=1, le=100)] = 4
    per_minute: Annotated[int, Field(ge=1, le=100_000)] = 400
    scale_out_s: Annotated[int, Field(ge=0, le=3600)] = 60
    scale_in_s: Annotated[int, Field(ge=0, le=3600)] = 300
    model_mb: Annotated[int, Field(ge=1, le=65536)] = 50
    capture_percent: Annotated[int, Field(ge=0, le=100)] = 10
    research: bool = False

    @model_validator(mode="after")
    def _bounds(self) -> EndpointSection:
        if self.most < self.instances:
            raise ValueError(f"most {self.most} is below instances {self.instances}")
        return self

    def room_for(self) -> int | None:
        """Models of `model_mb` that stay in an instance's memory; None for a family whose memory is not known here."""
        _, family, size = self.instance.split(".")
        factor, memory = FAMILY.get(family[0]), MEMORY_GB.get(size)
        if factor is None or memory is None:
            return None
        return int(memory * factor * 1024 * USABLE // self.model_mb)


class CanarySection(_Section):
    """shares : percent of the traffic, step by step. minutes : of each, longer up to longest_minutes until the new
    release has had least_requests. Beyond error_rate, p99_ms or drift (deviations, if it is measured) it is taken back.

    need_drift : whether a step without a drift figure is no evidence."""

    shares: tuple[Annotated[int, Field(ge=1, le=100)], ...] = (10, 50, 100)
    minutes: _Positive = 10
    longest_minutes: _Positive = 60
    least_requests: Annotated[int, Field(ge=1)] = 100
    error_rate: _Share = 0.05
    p99_ms: _Positive = 250
    drift: _Positive = 4.5
    need_drift: bool = False

    @model_validator(mode="after")
    def _rising(self) -> CanarySection:
        if not self.shares or self.shares[-1] != 100 or list(self.shares) != sorted(set(self.shares)):
            raise ValueError(f"shares {list(self.shares)} must rise and end with 100")
        if self.longest_minutes < self.minutes:
            raise ValueError("longest_minutes is below minutes")
        return self


class MonitorSection(_Section):
    """hours : between two looks; 0 for none: the provider's documentation leaves multi-model endpoints out."""

    hours: Literal[0, 1, 2, 3, 4, 6, 8, 12, 24] = 0
    instance: _Instance = "ml.m5.large"
    minutes: Annotated[int, Field(ge=1, le=60)] = 30


class AlarmSection(_Section):
    error_rate: _Share = 0.05
    p99_ms: _Positive = 500


class BudgetSection(_Section):
    """monthly : USD. warn : percent of it, of what is forecast. mail : name of the secret with the address."""

    monthly: _Positive = 550
    warn: Annotated[int, Field(ge=1, le=100)] = 80
    mail: _Secret | None = None


class FeaturesSection(_Section):
    """datasets : exported to feature groups; empty for none, "all" for the catalogue."""

    datasets: tuple[str, ...] | Literal["all"] = ()
    online: bool = False


class SecretsSection(_Section):
    """names : copied from the project's provider into Secrets Manager, for the containers."""

    names: tuple[_Secret, ...] = ()


class Deployment(_Section):
    """All of cloud.toml; made by `bqx.ops.cloud.read.read_deployment`."""

    deployment: DeploymentSection
    roles: RolesSection = RolesSection()
    images: ImagesSection = ImagesSection()
    processing: JobSection = JobSection()
    training: TrainingSection = TrainingSection()
    tuning: TuningSection = TuningSection()
    endpoint: EndpointSection = EndpointSection()
    canary: CanarySection = CanarySection()
    monitor: MonitorSection = MonitorSection()
    alarms: AlarmSection = AlarmSection()
    budget: BudgetSection = BudgetSection()
    features: FeaturesSection = FeaturesSection()
    secrets: SecretsSection = SecretsSection()

    @model_validator(mode="after")
    def _roles_are_ours(self) -> Deployment:
        for job, name in self.roles.model_dump().items():
            if name is not None and not name.startswith(f"{self.prefix}-"):
                raise ValueError(f"roles.{job} {name!r} does not begin with the prefix {self.prefix}-")
        return self

    @property
    def prefix(self) -> str:
        return self.deployment.prefix

    def role(self, job: Job) -> str:
        """Name of the role of a job."""
        return getattr(self.roles, job) or f"{self.prefix}-{job}"

    @property
    def tags(self) -> dict[str, str]:
        """Ours first: the one by which a deployment knows its own."""
        return {OWNER: self.prefix, **self.deployment.tags}


OWNER = "bqx:deployment"
"""Tag whose value is the prefix. Nothing without it is changed or removed."""
