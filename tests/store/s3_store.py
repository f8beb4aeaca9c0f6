"""A store whose files are in object storage."""

from __future__ import annotations

from pathlib import Path

from store_engines import Store

from bqx.base.secret import Secret
from bqx.store.bars import BarStore
from bqx.store.lake import Lake
from bqx.store.manifest import Manifest
from bqx.store.s3.client import S3Client
from bqx.store.s3.files import S3Files
from s3_server import BUCKET, keys


def files(endpoint: str, folder: Path, **options: object) -> S3Files:
    client = S3Client(BUCKET, endpoint=endpoint, keys=lambda: Secret(keys()), timeout=20, **options)  # type: ignore[arg-type]
    return S3Files(client, "p/", folder / "cache")


def store_on(endpoint: str, root: Path) -> Store:
    root.mkdir(exist_ok=True)
    manifest, place = Manifest(root / "manifest.sqlite"), files(endpoint, root)
    return Store(root, manifest, Lake(root, manifest, files=place), BarStore(root, manifest, files=place))
