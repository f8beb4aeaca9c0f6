"""A deployment of a project: its description, its state, the account it is in. What the verbs of `bqx cloud` do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.base.errors import CloudDrift, DeploymentError, ShiftRolledBack
from bqx.base.secret import Secret
from bqx.ops.cloud import apply as applying
from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.compare import Change, changes
from bqx.ops.cloud.description import Deployment
from bqx.ops.cloud.destroy import Gone, destroy
from bqx.ops.cloud.kinds.kind import Wanted
from bqx.ops.cloud.read import read_deployment
from bqx.ops.cloud.release import Release
from bqx.ops.cloud.state import CloudState
from bqx.ops.cloud.wanted import wanted
from bqx.ops.tracker.clock import SYSTEM, Clock

if TYPE_CHECKING:
    from bqx.build.project import Project

Note = Callable[[str], None]


@dataclass
class Cloud:
    """pairs : of the project. secret : by name, from the project's provider."""

    root: Path
    deployment: Deployment
    pairs: tuple[str, ...]
    aws: Aws
    state: CloudState
    secret: Callable[[str], Secret]

    @classmethod
    def of(cls, project: Project, *, clock: Clock | None = None) -> Cloud:
        """Raises DeploymentError when cloud.toml cannot be used. The cloud is not asked yet."""
        from bqx.base.secrets import provider_from

        pairs = project.config.project.pairs
        d = read_deployment(project.root, len(pairs))

        def secret(name: str) -> Secret:
            return provider_from(project.config).get(name)

        name = d.deployment.credentials
        keys = None if name is None else (lambda: secret(name))
        return cls(project.root, d, pairs, Aws(d.deployment.region, keys=keys, clock=clock or SYSTEM),
                   CloudState(project.root, d.prefix), secret)  # fmt: skip

    @property
    def serving(self) -> Release | None:
        """The release that gets all traffic."""
        return Release.of(self.state.get("serving"))

    @property
    def kept(self) -> Release | None:
        """The one before it, for a roll-back."""
        return Release.of(self.state.get("kept"))

    def wanted(self) -> list[Wanted]:
        return wanted(self.aws, self.deployment, self.pairs, self.secret, self.serving, self.kept)

    def plan(self) -> list[Change]:
        """What `apply` would do; `keep` for what is as wanted. Nothing is changed."""
        self.check_roles()
        return changes(self.aws, self.state, self.wanted())

    def apply(self, note: Note = lambda _: None) -> list[Change]:
        """What was changed. ShiftRolledBack while traffic is being moved: that is finished or taken back first."""
        if self.state.get("shift") is not None:
            raise ShiftRolledBack(
                "traffic is being moved to another release",
                where="cloud/state.sqlite",
                fix="finish it with `bqx cloud shift`, or take it back with `bqx cloud shift --back`",
            )
        self.check_roles()
        return applying.apply(self.aws, self.state, self.wanted(), note)

    def verify(self) -> list[Change]:
        """Everything that was looked at; CloudDrift when some of it is not as wanted."""
        found = changes(self.aws, self.state, self.wanted())
        if bad := [c for c in found if c.action != "keep"]:
            said = "; ".join(f"{c.kind} {c.name}: {_why(c)}" for c in bad[:5])
            raise CloudDrift(f"{len(bad)} of {len(found)} things differ: {said}", where="the cloud account")
        return found

    def destroy(self, *, dry_run: bool = False, note: Note = lambda _: None) -> list[Gone]:
        """Everything with our names and tag, whatever the state says. LeftBehind when something stays."""
        return destroy(self.aws, self.state, dry_run=dry_run, note=note)

    def status(self) -> dict[str, Any]:
        """What is known without asking the cloud."""
        return {
            "prefix": self.deployment.prefix,
            "region": self.deployment.deployment.region,
            "serving": self.state.get("serving"),
            "kept": self.state.get("kept"),
            "shift": self.state.get("shift"),
            "last_shift": self.state.get("last_shift"),
            "unfinished": self.state.unfinished(),
            "jobs": self.state.jobs(),
            "steps": self.state.steps(20),
        }

    def check_roles(self) -> None:
        """DeploymentError naming the roles that are not there: jobs and models cannot be made without them."""
        d = self.deployment
        lacking = [
            name
            for job in ("processing", "training", "inference")
            if self.aws.find("iam", "GetRole", RoleName=(name := d.role(job))) is None
        ]
        if lacking:
            raise DeploymentError(
                f"there is no role {', '.join(lacking)}",
                where="cloud.toml, roles",
                fix="have them made with the documents of `bqx cloud policy`; bqx makes no roles itself",
            )


def _why(change: Change) -> str:
    if change.action == "create":
        return "absent"
    return "; ".join(map(str, change.found[:2])) or change.reason or change.action
