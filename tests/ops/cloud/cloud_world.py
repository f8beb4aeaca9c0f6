"""A project with signed models in production and a deployment of it, against local servers; a clock turned by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fake_aws import ACCOUNT, REGION, FakeAws

from bqx.base.secret import Secret
from bqx.build.project import Project
from bqx.ops.cloud import policy
from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.cloud import Cloud
from bqx.ops.cloud.permissions import Need
from bqx.ops.cloud.policy_check import refused
from bqx.ops.cloud.read import read_deployment
from bqx.ops.cloud.state import CloudState
from bqx.research.artefact.folder import write_folder
from bqx.research.artefact.keys import Signer, make_key, trust
from bqx.research.registry.store import Registry

PREFIX = "bqx-test"
TOML = f"""\
[deployment]
prefix = "{PREFIX}"
region = "{REGION}"
tags = {{ owner = "desk" }}

[canary]
minutes = 3
longest_minutes = 10
least_requests = 20

[monitor]
hours = 1

[budget]
mail = "alerts-mail"

[secrets]
names = ["model-signing-key"]
"""
SECRETS = {"alerts-mail": "desk@" + "example.org", "model-signing-key": "k" * 30}


@dataclass
class Clock:
    """Stands until somebody sleeps. on_sleep : called after each."""

    now: float = 1_700_000_000.0
    slept: float = 0.0
    on_sleep: Callable[[], None] = lambda: None

    def now_us(self) -> int:
        return int(1e6 * self.now)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds
        self.on_sleep()


@dataclass
class World:
    """root : of the project."""

    root: Path
    fake: FakeAws
    clock: Clock
    tries: int = 8

    def open(self) -> Cloud:
        """As a new process would."""
        pairs = Project.open(self.root).config.project.pairs
        d = read_deployment(self.root, len(pairs))
        aws = Aws(d.deployment.region, clock=self.clock, tries=self.tries)
        return Cloud(self.root, d, pairs, aws, CloudState(self.root, d.prefix), lambda name: Secret(SECRETS[name]))

    def policies(self) -> list[dict[str, Any]]:
        """Of the operator, filled in."""
        values = {"Partition": "aws", "Region": REGION, "Account": ACCOUNT, "Prefix": PREFIX}
        return [policy.fill(policy.stored(f"operator-{g}"), values) for g in policy.GROUPS]

    def not_allowed(self, aws: Aws) -> list[Need]:
        """What was called and no document allows; everything that is touched has our tag."""
        tag = {"aws:ResourceTag/bqx:deployment": PREFIX}
        made = [Need(n.action, n.resource, {**n.context, **tag}) for c in aws.calls for n in c.needs]
        return refused(self.policies(), made)


def make_project(root: Path, pairs: tuple[str, ...]) -> Path:
    """Each pair with a model in production, a few signed bytes each."""
    Project.create(root, name="cloud", pairs=pairs).close()
    (root / "cloud.toml").write_text(TOML)
    secret, public = make_key()
    (root / "models").mkdir(exist_ok=True)
    trust(root, public, "test")
    add_models(root, Signer(secret), pairs, "first")
    (root / "models" / "test.key").write_text(secret.reveal())
    return root


def add_models(root: Path, signer: Signer, pairs: tuple[str, ...], run: str, state: str = "production") -> None:
    registry = Registry(root)
    for pair in pairs:
        path = f"models/{run}/{pair}"
        facts = {"pair": pair, "run": run, "columns": ["a.b", "a.c", "a.d"]}
        digest = write_folder(root / path, facts, {"model.txt": f"{pair} {run}\n".encode()}, signer)
        model = registry.add(pair=pair, digest=digest, path=path, run=run, run_hash=f"hash-{run}", simulated=True,
                             facts={"dataset": "container"})  # fmt: skip
        if state != "pending":
            registry.move(model, state, who="test", reason="test", gates=[])  # type: ignore[arg-type]


def signer_of(root: Path) -> Signer:
    return Signer(Secret((root / "models" / "test.key").read_text()))


def release(cloud: Cloud) -> Any:
    """What `bqx cloud submit release` does."""
    from bqx.ops.cloud.packages import send_release
    from bqx.ops.cloud.release import choose, release_of

    chosen = choose(Registry(cloud.root).models(), cloud.pairs, research=False)
    new = release_of(cloud.root, chosen)
    send_release(cloud.aws, cloud.state, cloud.deployment, cloud.root, chosen.values(), new)
    serving = cloud.serving
    if serving is None:
        cloud.state.set("serving", new.as_dict())
    elif serving.id != new.id:
        cloud.state.set("candidate", new.as_dict())
    return new


def dumped(path: Path) -> str:
    """All text of an SQLite file."""
    import sqlite3

    with sqlite3.connect(path) as con:
        tables = [r[0] for r in con.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return json.dumps([con.execute(f"SELECT * FROM {t}").fetchall() for t in tables], default=str)
