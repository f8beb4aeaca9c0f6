"""Jobs: 28 side by side, quota, spot, retries, quorum, kills; and what each is asked with."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from cloud_world import PREFIX, Clock, World

from bqx.base.errors import ArtefactError, CloudJobsFailed, CloudQuota
from bqx.base.settings import ALL_PAIRS
from bqx.ops.cloud.jobs import requests
from bqx.ops.cloud.jobs.failure import failure_of
from bqx.ops.cloud.jobs.fetch import fetch
from bqx.ops.cloud.jobs.kinds import PROCESSING, TRAINING, TUNING
from bqx.ops.cloud.jobs.run import job_name, run_jobs
from bqx.ops.cloud.release import packed
from bqx.research.artefact.folder import read_folder

Ends = Mapping[str, list[dict[str, Any]]]
SPOT = {"TrainingJobStatus": "Stopped", "SecondaryStatus": "Interrupted"}
BROKEN = {"TrainingJobStatus": "Failed", "SecondaryStatus": "Failed", "FailureReason": "AlgorithmError: BQX825 no rows"}
CAPACITY = {"TrainingJobStatus": "Failed", "SecondaryStatus": "Failed", "FailureReason": "CapacityError: none left"}


def ends(w: World, planned: Ends) -> None:
    """The jobs of an item end as planned, attempt by attempt, then well."""
    left = {k: list(v) for k, v in planned.items()}

    def end(name: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        item = asked.get("HyperParameters", {}).get("pair", "all")
        return left[item].pop(0) if left.get(item) else {}

    w.fake.things.job_end = end


def train(w: World, pairs: tuple[str, ...], **options: Any) -> Any:
    c = w.open()
    asked = {p: requests.training(c.aws, c.deployment, p, "container", "run") for p in pairs}
    settings = {"parallel": 28, "retries": 2, "quorum": 1.0, **options}
    return run_jobs(c.aws, c.state, TRAINING, "run", asked, **settings)


@pytest.fixture
def open_world(world: Callable[[int], World]) -> Callable[[], World]:
    """With the buckets that jobs write to, and under the policies."""

    def make() -> World:
        w = world(3)
        c = w.open()
        for want in c.wanted():
            if want.kind == "bucket":
                c.aws.call("s3", "CreateBucket", Bucket=want.name,
                           CreateBucketConfiguration={"LocationConstraint": c.aws.region})  # fmt: skip
        w.fake.documents = w.policies()
        w.fake.things.busy = 0
        return w

    return make


def test_28_at_once_with_spot_interruptions_and_a_small_quota(open_world: Callable[[], World]) -> None:
    w = open_world()
    w.fake.things.quota["TrainingJob"] = 10
    ends(w, {"eurusd": [SPOT, CAPACITY], "audcad": [SPOT]})
    done = train(w, ALL_PAIRS)
    assert set(done.done) == set(ALL_PAIRS)
    assert not done.failed
    assert w.fake.things.most_running["TrainingJob"] == 10
    assert {i: n for i, n in done.attempts.items() if n > 1} == {"eurusd": 3, "audcad": 2}
    jobs = w.fake.things.all["TrainingJob"]
    assert len(jobs) == 31
    assert all(w.fake.has_object(d["ModelArtifacts"]["S3ModelArtifacts"]) for d in done.done.values())
    first = w.fake.things.all["TrainingJob"][job_name(PREFIX, TRAINING, "run", "eurusd", 0)]
    last = w.fake.things.all["TrainingJob"][job_name(PREFIX, TRAINING, "run", "eurusd", 2)]
    assert first["CheckpointConfig"] == last["CheckpointConfig"], "an interrupted job goes on from its checkpoint"
    assert all(j["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200}
               and j["EnableManagedSpotTraining"] for j in jobs.values())  # fmt: skip


def test_quorum_failures_and_the_same_call_again(open_world: Callable[[], World]) -> None:
    """The job's own failure is not tried again by the same call; the next one tries the failed ones only."""
    w = open_world()
    few = ALL_PAIRS[:4]
    ends(w, {few[1]: [BROKEN]})
    with pytest.raises(CloudJobsFailed, match=f"3 of 4 training jobs succeeded, 4 are needed: {few[1]}: work: Algo"):
        train(w, few)
    assert train(w, few, quorum=0.75).attempts[few[1]] == 2
    assert len(w.fake.things.all["TrainingJob"]) == 5
    before = len(w.fake.seen)
    assert set(train(w, few).done) == set(few)
    assert not [o for _, o in w.fake.seen[before:] if o.startswith("Create")]


def test_partial_failure_above_the_quorum_is_reported(open_world: Callable[[], World]) -> None:
    w = open_world()
    few = ALL_PAIRS[:4]
    ends(w, {few[0]: [BROKEN] * 9})
    done = train(w, few, quorum=0.75)
    assert done.failed == {few[0]: "work: AlgorithmError: BQX825 no rows"}
    assert [j["status"] for j in w.open().state.jobs("run") if j["item"] == few[0]] == ["failed"]


class Killed(BaseException):
    """As a kill -9 would."""


def test_a_killed_call_finds_its_jobs_again(open_world: Callable[[], World]) -> None:
    w = open_world()
    few, count = ALL_PAIRS[:4], 0

    def fault(service: str, operation: str, number: int) -> Any:
        nonlocal count
        count += operation == "CreateTrainingJob"
        if operation == "CreateTrainingJob" and count == 3:
            raise_in_client.append(1)
        return None

    raise_in_client: list[int] = []
    w.fake.fault = fault
    original, clock = w.clock.sleep, w.clock
    w.clock.sleep = lambda s: (_ for _ in ()).throw(Killed)  # type: ignore[method-assign]
    w.fake.things.busy = 3
    with pytest.raises(Killed):
        train(w, few)
    clock.sleep = original  # type: ignore[method-assign]
    assert len(w.fake.things.all["TrainingJob"]) == 4
    assert set(train(w, few).done) == set(few)
    assert len(w.fake.things.all["TrainingJob"]) == 4, "no job was sent twice"


def test_a_lost_answer_does_not_send_a_job_twice(open_world: Callable[[], World]) -> None:
    w = open_world()
    w.fake.fault = lambda s, o, n: "lost" if o == "CreateTrainingJob" and n == 1 else None
    done = train(w, ALL_PAIRS[:2])
    assert set(done.done) == set(ALL_PAIRS[:2])
    assert len(w.fake.things.all["TrainingJob"]) == 2


def test_a_quota_of_nothing_ends_with_what_to_do(open_world: Callable[[], World]) -> None:
    w = open_world()
    w.fake.things.quota["TrainingJob"] = 0
    with pytest.raises(CloudQuota, match="ResourceLimitExceeded"):
        train(w, ALL_PAIRS[:2])
    assert w.fake.things.all["TrainingJob"] == {}
    assert w.clock.slept > 300


def test_destroy_stops_what_runs(open_world: Callable[[], World]) -> None:
    w = open_world()
    w.fake.things.busy = 50
    c = w.open()
    asked = {"all": requests.processing(c.aws, c.deployment, "container")}
    run_jobs(c.aws, c.state, PROCESSING, "container", asked, parallel=1, retries=0, wait=False)
    tuned = {"eurusd": requests.tuning(c.aws, c.deployment, "eurusd", "container", "run")}
    run_jobs(c.aws, c.state, TUNING, "run", tuned, parallel=1, retries=0, wait=False)
    train(w, ALL_PAIRS[:1], wait=False)
    statuses = {k: [r[f"{k}Status"] for r in w.fake.things.all[k].values()]
                for k in ("ProcessingJob", "TrainingJob", "HyperParameterTuningJob")}  # fmt: skip
    assert {tuple(v) for v in statuses.values()} == {("InProgress",)}
    w.fake.things.busy = 1
    gone = c.destroy()
    assert [g.kind for g in gone if g.outcome == "removed"] == ["tuning", "training", "processing"]
    assert not any(w.fake.things.all[k] for k in statuses)
    stopped = {o for _, o in w.fake.seen if o.startswith("Stop")}
    assert stopped == {"StopProcessingJob", "StopTrainingJob", "StopHyperParameterTuningJob"}
    assert c.state.jobs() == []


def test_models_are_brought_here_only_when_they_are_signed(open_world: Callable[[], World], tmp_path: Any) -> None:
    w = open_world()
    pairs = ("eurusd", "usdjpy")
    archives = {p: packed(w.root / "models" / "first" / p, p) for p in pairs}

    def leave(noun: str, record: dict[str, Any]) -> None:
        url = record["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://")
        w.fake.moto.call("PUT", f"/{url}", archives[record["HyperParameters"]["pair"]])

    w.fake.things.on_done = leave
    done, aws = train(w, pairs).done, w.open().aws
    found = fetch(aws, w.root, "run", done)
    assert [f.pair for f in found] == list(pairs)
    assert [f.digest for f in found] == [read_folder(w.root / "models/first" / p, w.root)[2] for p in pairs]
    before = len(w.fake.seen)
    assert fetch(aws, w.root, "run", done) == found
    assert len(w.fake.seen) == before, "what is here is not fetched again"
    for name, data, said in (
        ("other", archives["usdjpy"], "there is no model of eurusd"),
        ("torn", archives["eurusd"][:-40], "cannot be unpacked"),
        ("outside", _reaching_out(), "cannot be unpacked"),
        ("changed", _changed(w, tmp_path), "eurusd"),
    ):
        archives["eurusd"] = data
        leave("TrainingJob", done["eurusd"])
        with pytest.raises(ArtefactError, match=said):
            fetch(aws, w.root, name, {"eurusd": done["eurusd"]})
        assert not list((w.root / "cloud" / "runs").glob(f"{name}/*")), "nothing of it is kept"
    assert not (w.root / "cloud" / "evil").exists()


def _reaching_out() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        info = tarfile.TarInfo("../../evil")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    return out.getvalue()


def _changed(w: World, tmp_path: Any) -> bytes:
    copy = tmp_path / "changed"
    shutil.copytree(w.root / "models" / "first" / "eurusd", copy)
    (copy / "model.txt").write_bytes(b"another model\n")
    return packed(copy, "eurusd")


@pytest.mark.parametrize(
    ("said", "cause", "again"),
    [
        (SPOT, "interrupted", True),
        ({"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxWaitTimeExceeded"}, "interrupted", True),
        ({"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxRuntimeExceeded"}, "time", False),
        ({"TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped"}, "stopped", False),
        (CAPACITY, "capacity", True),
        ({"TrainingJobStatus": "Failed", "FailureReason": "InternalServerError: please try again"}, "service", True),
        (BROKEN, "work", False),
        ({"TrainingJobStatus": "Failed", "FailureReason": "ClientError: no such image"}, "work", False),
    ],
)
def test_causes(said: dict[str, Any], cause: str, again: bool) -> None:
    found = failure_of(TRAINING, said)
    assert (found.cause, found.again) == (cause, again)
    assert found.reason


def test_names_differ_and_fit() -> None:
    names = {job_name("p" * 20, k, run, item, a) for k in (PROCESSING, TRAINING, TUNING)
             for run in ("a", "b_" + "x" * 60) for item in ("eurusd", "audcad") for a in range(12)}  # fmt: skip
    assert len(names) == 3 * 2 * 2 * 12
    assert max(map(len, names)) <= 63
    assert max(len(job_name("p" * 20, TUNING, "r", "eurusd", 99)) for _ in "x") <= 32
    assert Clock().monotonic() > 0
