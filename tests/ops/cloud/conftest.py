"""One moto and one fake a session; projects of 1, 3 and 28 pairs, copied before they are changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cloud_world import PREFIX, Clock, World, make_project
from fake_aws import REGION, FakeAws

from bqx.base.settings import ALL_PAIRS
from bqx.ops.cloud.aws import Aws
from s3_server import S3Server

FEW = ("audnzd", "eurusd", "usdjpy")
ONE = ("eurusd",)
ROLES = ("processing", "training", "inference")


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture(scope="session")
def fake_server(moto: S3Server) -> Iterator[FakeAws]:
    server = FakeAws(moto, lambda: 0.0)
    yield server
    server.close()


@pytest.fixture(scope="session")
def clients() -> dict[str, Any]:
    return {}


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    home = tmp_path_factory.mktemp("cloud-projects")
    return {
        1: make_project(home / "one", ONE),
        3: make_project(home / "few", FEW),
        28: make_project(home / "all", ALL_PAIRS),
    }


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, fake_server: FakeAws, clients: dict[str, Any]) -> None:
    """The address of the fake; and one client of each service for the session, for making one is dear."""
    connect = Aws._connect

    def shared(aws: Aws, service: str) -> Any:
        if aws._keys is not None:
            return connect(aws, service)
        if service not in clients:
            clients[service] = connect(aws, service)
        return clients[service]

    monkeypatch.setattr(Aws, "_connect", shared)
    for name, value in (("AWS_ACCESS_KEY_ID", "AK" + "TEST"), ("AWS_SECRET_ACCESS_KEY", "sk" * 8),
                        ("AWS_ENDPOINT_URL", fake_server.endpoint), ("AWS_DEFAULT_REGION", REGION),
                        ("AWS_EC2_METADATA_DISABLED", "true")):  # fmt: skip
        monkeypatch.setenv(name, value)


@pytest.fixture
def world(
    tmp_path: Path, moto: S3Server, fake_server: FakeAws, environment: None, clients: dict[str, Any],
    projects: dict[int, Path],
) -> Callable[[int], World]:  # fmt: skip
    """world(3) -> an account with nothing but the roles, and a copy of the project of so many pairs."""

    def make(pairs: int = 3) -> World:
        clock = Clock()
        root = tmp_path / "p"
        shutil.copytree(projects[pairs], root)
        assert moto.call("POST", "/moto-api/reset")[0] == 200
        fake_server.clear(lambda: clock.now)
        made = World(root, fake_server, clock)
        iam = Aws(REGION)._operation("iam", "CreateRole")
        for job in ROLES:
            iam(RoleName=f"{PREFIX}-{job}", AssumeRolePolicyDocument="{}")
        fake_server.seen.clear()
        return made

    yield make
    assert fake_server.broken == []
