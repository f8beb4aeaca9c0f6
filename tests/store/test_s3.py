"""Files in object storage: written under a condition, compared when read, tried again, and nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import store_tables as tables
from s3_store import files, store_on
from store_engines import Store

from bqx.base.errors import ConfigError, ObjectError, StoreError
from bqx.base.secret import Secret
from bqx.store import collect
from bqx.store.files import Written, write_table
from bqx.store.s3 import client as client_module
from bqx.store.s3.client import S3Client
from bqx.store.s3.files import S3Files
from bqx.store.sql import Sql
from s3_server import BUCKET, PART, Proxy, S3Server, keys

DATASET = "returns_raw_rate"
TABLE = pl.DataFrame({"x": [1.0, 2.0, 3.0]})


@pytest.fixture(scope="module")
def started() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def server(started: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.001)
    started.empty()
    return started


def objects(server: S3Server) -> list[str]:
    place = S3Client(BUCKET, endpoint=server.endpoint, keys=lambda: Secret(keys()))
    return [key for key, _, _ in place.listed("")]


@pytest.fixture
def store(server: S3Server, tmp_path: Path) -> Iterator[Store]:
    made = store_on(server.endpoint, tmp_path)
    yield made
    made.manifest.close()


def test_what_is_written_is_read_bars_and_sql_too(store: Store, server: S3Server) -> None:
    store.put((DATASET, "eurusd", "2024_07"), (DATASET, "gbpusd", "2024_07"))
    store.bars.ingest("eurusd", tables.bars("2024_07"), tables.SOURCE)
    assert not (store.root / "lake").exists() and not (store.root / "bars").exists()
    assert [key.split("/")[:2] for key in objects(server)] == [["p", "bars"], ["p", "lake"], ["p", "lake"]]
    frame = store.features.read(DATASET).collect()
    assert frame.height == sum(info.rows for info in store.features.partitions())
    assert store.bars.read(["eurusd"], 0, 1 << 40)["eurusd"].height == 3000
    place = store.lake.files
    counted = Sql(store.root, store.manifest, files=place).query(f"SELECT count(*) AS n FROM {DATASET}")
    assert counted["n"][0] == frame.height
    assert store.features.verify(deep=True) == []


def test_the_same_table_is_one_object_and_a_stranger_in_its_place_is_told(server: S3Server, tmp_path: Path) -> None:
    place = files(server.endpoint, tmp_path)
    first, again = (write_table(place, "lake/x", "t", TABLE, "lz4") for _ in range(2))
    assert first == again and objects(server) == [f"p/{first.path}"]
    server.call("PUT", f"/{BUCKET}/p/{first.path}", b"not what the name says")
    with pytest.raises(StoreError, match="has 22 bytes and hash unknown"):
        write_table(place, "lake/x", "t", TABLE, "lz4")
    assert place.damage(first, deep=False) == f"the file has 22 bytes instead of {first.bytes}"


def test_bytes_that_changed_are_refused_and_a_passing_error_is_read_again(server: S3Server, tmp_path: Path) -> None:
    place = files(server.endpoint, tmp_path)
    written = write_table(place, "lake/x", "t", TABLE, "lz4")
    flips = iter(["flip", None])
    with Proxy(server, lambda m, *_: next(flips) if m == "GET" else None) as proxy:
        (path,) = files(proxy.endpoint, tmp_path / "a").fetch([written])
        assert pl.read_parquet(path).equals(TABLE)
        assert [m for m, _ in proxy.seen] == ["GET", "GET"]
    with Proxy(server, lambda m, *_: "flip" if m == "GET" else None) as proxy:
        other = files(proxy.endpoint, tmp_path / "b")
        with pytest.raises(StoreError, match="bytes have changed"):
            other.fetch([written])
        assert other.damage(written, deep=True) == "the file's bytes have changed since it was written"
    assert not list((tmp_path / "b").rglob("*.parquet")), "nothing unverified is kept"


STORM = ["503", "cut", None, "500", "lost", "torn", None]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_storm_of_errors_changes_nothing(server: S3Server, tmp_path: Path, seed: int) -> None:
    """Every request meets slow-downs, errors, cut connections, lost and torn answers; a lost answer to a conditional
    write is met by 412 the next time, and is ours all the same."""
    rng = np.random.default_rng(seed)
    quiet, stormy = store_on(server.endpoint, tmp_path / "q"), tmp_path / "s"
    quiet.put((DATASET, "eurusd", "2024_07"), (DATASET, "gbpusd", "2024_07"))
    wanted, digest = quiet.features.read(DATASET).collect(), quiet.features.digest()
    server.empty()
    with Proxy(server, lambda *_: STORM[rng.integers(len(STORM))]) as proxy:
        store = store_on(proxy.endpoint, stormy)
        store.lake.files.client._tries = 40  # type: ignore[attr-defined]
        store.put((DATASET, "eurusd", "2024_07"), (DATASET, "gbpusd", "2024_07"))
        assert store.features.read(DATASET).collect().equals(wanted)
        assert len(proxy.seen) > 6
    assert store.features.digest() == digest
    assert store_on(server.endpoint, stormy).features.verify(deep=True) == []


@pytest.mark.parametrize(("fault", "said"), [("503", "SlowDown planted"), ("cut", "Connection")])
def test_storage_that_stays_away_is_told_and_nothing_is_committed(
    server: S3Server, tmp_path: Path, fault: str, said: str
) -> None:
    with Proxy(server, lambda *_: fault) as proxy:
        store = store_on(proxy.endpoint, tmp_path)
        with pytest.raises(ObjectError, match=f"no good answer in 7 tries: .*{said}"):
            store.put((DATASET, "eurusd", "2024_07"))
        assert len(proxy.seen) == 7
    assert store.features.partitions() == [] and objects(server) == []


def test_a_long_file_goes_in_parts_and_is_aborted_when_it_cannot_end(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = np.random.default_rng(1).bytes(2 * PART + 1000)
    place = files(server.endpoint, tmp_path, part_bytes=PART)
    place.put("lake/x/long.parquet", data, _hash(data))
    (path,) = place.fetch([Written("lake/x/long.parquet", len(data), _hash(data))])
    assert path.read_bytes() == data
    with Proxy(server) as proxy:
        again = files(proxy.endpoint, tmp_path / "o", part_bytes=PART)
        again.put("lake/x/long.parquet", data, _hash(data))
        assert ("DELETE", "uploadId") in {(m, "uploadId" if "uploadId" in p else "") for m, p in proxy.seen}
        proxy.fault = lambda m, p, _: "500" if "partNumber=2" in p else None
        with pytest.raises(ObjectError):
            again.put("lake/x/never.parquet", data, _hash(data))
        proxy.fault = lambda m, p, _: "500" if "partNumber=2" in p or m == "DELETE" else None
        with pytest.raises(ObjectError, match="InternalError"):
            again.put("lake/x/torn.parquet", data, _hash(data))
    assert place.sizes(["lake/x/never.parquet", "lake/x/torn.parquet"]) == [None, None]
    century = 3.2e9  # moto says of every upload that it began in 2010
    assert place.client.abort_uploads("p/lake/", century) == 0, "a young one may be somebody's"
    assert place.client.abort_uploads("p/lake/", 0.0) == 1, "only the one that could not be aborted is left"


@pytest.mark.parametrize("point", ["after-part:2", "after-put:2"])
def test_a_writer_killed_at_a_fault_point_leaves_nothing_half_written(
    server: S3Server, tmp_path: Path, point: str
) -> None:
    command = [sys.executable, str(Path(__file__).with_name("s3_worker.py")), server.endpoint, str(tmp_path)]
    source = str(Path(__file__).parents[2] / "src")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((source, *sys.path)), "BQX_FAULT": point}
    assert subprocess.run(command, env=environment).returncode == -signal.SIGKILL
    store = store_on(server.endpoint, tmp_path)
    assert store.features.partitions() == []
    place = store.lake.files
    assert isinstance(place, S3Files)
    assert place.client.abort_uploads("p/", 0.0) == (point == "after-part:2")
    for key in objects(server):
        head = place.client.head(key)
        assert head is not None and head.digest == _hash(place.client.read(key) or b"")
    del environment["BQX_FAULT"]
    assert subprocess.run(command, env=environment).returncode == 0
    assert len(store.features.partitions()) == 2 and store.features.verify(deep=True) == []
    assert len(store.features.gc(min_age_s=0.0).files) == 0
    store.manifest.close()


def test_collection_frees_what_nothing_names(store: Store, server: S3Server) -> None:
    store.put((DATASET, "eurusd", "2024_07"))
    store.features.read(DATASET).collect()
    orphan = tables.stage(store.features, DATASET, "gbpusd", "2024_07")
    with store.manifest.transaction() as con:
        con.execute("INSERT INTO lease VALUES ('build', '1', 1, 'elsewhere', 1, 1, 'r')")
    kept = store.features.gc()
    assert (kept.files, kept.young) == ((), 1), "a running build may be about to commit it"
    assert store.features.gc(dry_run=True, min_age_s=0.0).files == (orphan.path,)
    done = store.features.gc(min_age_s=0.0)
    assert done.files == (orphan.path,) and done.bytes == orphan.bytes
    assert len(objects(server)) == 1 and store.features.verify(deep=True) == []
    with pytest.raises(StoreError, match="the staged file is gone"):
        store.features.commit([orphan])


def test_an_old_orphan_that_is_staged_again_is_young_again(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bqx.store.s3.files.YOUNG_SECONDS", -1.0)
    with Proxy(server) as proxy:
        place = files(proxy.endpoint, tmp_path)
        written, _ = (write_table(place, "lake/x", "t", TABLE, "lz4") for _ in range(2))
        assert [m for m, _ in proxy.seen] == ["PUT", "PUT", "HEAD", "PUT"], "the last copies it over itself"
    head = place.client.head(f"p/{written.path}")
    assert head is not None and head.digest == written.file_hash, "and its hash is still said"


def test_copies_stay_within_their_bound(server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bqx.store.s3.files.KEPT_SECONDS", 0.0)
    place = files(server.endpoint, tmp_path)
    made = [write_table(place, "lake/x", f"t{k}", TABLE.with_columns(k=k), "lz4") for k in range(3)]
    paths = place.fetch(made)
    for age, path in enumerate(reversed(paths)):
        os.utime(path, (time.time() - age - 5, time.time() - age - 5))
    place.cache_gb = 2.1 * made[0].bytes / 1e9
    place.tidy(collect.FOLDERS, 0.0)
    assert [path.exists() for path in paths] == [False, True, True]
    place.fetch(made)
    assert all(path.exists() for path in paths)


def test_sizes_of_a_unit_are_one_request(server: S3Server, tmp_path: Path) -> None:
    with Proxy(server) as proxy:
        place = files(proxy.endpoint, tmp_path)
        made = [write_table(place, "lake/x/2024_07", f"p{k}", TABLE.with_columns(k=k), "lz4") for k in range(5)]
        other = write_table(place, "lake/y/2024_07", "p", TABLE, "lz4")
        proxy.seen.clear()
        wanted = [*(w.path for w in made), "lake/x/2024_07/none.parquet", other.path]
        assert place.sizes(wanted) == [*(w.bytes for w in made), None, other.bytes]
        assert [method for method, _ in proxy.seen] == ["GET", "HEAD"]


def test_a_rotated_key_is_asked_for_again_and_a_wrong_secret_is_named(server: S3Server, tmp_path: Path) -> None:
    refused = iter([True])

    def fault(method: str, path: str, number: int) -> str | None:
        return "expired" if next(refused, False) else None

    asked: list[int] = []
    with Proxy(server, fault) as proxy:
        client = S3Client(BUCKET, endpoint=proxy.endpoint, keys=lambda: (asked.append(1), Secret(keys()))[1])
        assert client.create("p/a", b"x", "h") and len(asked) == 2
    wrong = S3Client(BUCKET, endpoint=server.endpoint, keys=lambda: Secret("not json"))
    with pytest.raises(ConfigError, match="not JSON with access_key_id") as caught:
        wrong.head("a")
    assert "not json" not in str(caught.value)
    with pytest.raises(ObjectError, match="NoSuchBucket"):
        S3Client("nowhere", endpoint=server.endpoint, keys=lambda: Secret(keys())).read("a")


def _hash(data: bytes) -> str:
    import xxhash

    return str(xxhash.xxh3_128(data).hexdigest())
