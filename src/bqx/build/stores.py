"""What a project's settings say of its store: which kind, which manifest, which server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bqx.base.config import CONFIG_NAME, Config, load_config
from bqx.base.errors import ConfigError, ProjectError
from bqx.store.collect import FOLDERS
from bqx.store.files import Files, LocalFiles
from bqx.store.lake import Lake
from bqx.store.manifest import Manifest

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.store.contract import FeatureStore
    from bqx.store.pg.layout import Layout
    from bqx.store.pg.sessions import Sessions
    from bqx.store.sql import Sql

MANIFEST_NAME = "manifest.sqlite"
CACHE = "cache"
"""Folder of a project with the files that were read from object storage; it may be deleted at any time."""


def project_config(root: Path, overrides: Mapping[str, str]) -> Config:
    """Settings of an existing project; raises ProjectError when the folder is not one."""
    config = load_config(root, overrides) if (root / CONFIG_NAME).is_file() else None
    if config is None or not (config.store.on_server or (root / MANIFEST_NAME).is_file()):
        raise ProjectError("not a bqx project", where=str(root), fix="make one with `bqx init`, or give -C PATH")
    return config


def server(config: Config) -> tuple[Sessions, Layout]:
    """Connections to the project's server, with the DSN that its secrets provider gives, and where its tables are."""
    from bqx.base.secrets import provider_from
    from bqx.store.pg.layout import Layout
    from bqx.store.pg.sessions import Sessions

    name = config.store.server
    if name is None:
        raise ConfigError("no server is named", where="store.server", fix="set it to the name of the DSN's secret")
    provider = provider_from(config)
    layout = Layout(config.store.namespace)
    return Sessions(lambda: provider.get(name), search_path=layout.manifest), layout


def open_manifest(root: Path, config: Config) -> Manifest:
    """Raises TablesError when it is on a server and `bqx store upgrade` has not been run."""
    if not config.store.on_server:
        return Manifest(root / MANIFEST_NAME)
    from bqx.store.pg.manifest import PgManifest

    return PgManifest(*server(config))


def open_files(root: Path, config: Config) -> Files:
    """Where the project's files are: its folder, or a bucket with a cache below the folder."""
    store = config.store
    if store.files == "local":
        return LocalFiles(root)
    from bqx.base.secrets import provider_from
    from bqx.store.s3.client import S3Client
    from bqx.store.s3.files import S3Files

    assert store.bucket is not None  # the settings saw to it
    name = store.credentials
    provider = provider_from(config) if name else None
    keys = (lambda: provider.get(name)) if name and provider else None
    client = S3Client(store.bucket, endpoint=store.endpoint, region=store.region, keys=keys)
    return S3Files(client, store.prefix, root / CACHE, cache_gb=store.cache_gb)


def open_features(root: Path, config: Config, manifest: Manifest, files: Files) -> FeatureStore:
    """Two manifests share a folder after `bqx store copy` without a source. Then neither collects what the other may
    refer to: bars stay for both, and the lake's files for the SQLite file."""
    shared = config.store.server is not None and (root / MANIFEST_NAME).is_file()
    if config.store.kind == "lake":
        kept = ("lake",) if shared and not config.store.on_server else ()
        return Lake(root, manifest, codec=config.store.codec, collects=kept if shared else FOLDERS, files=files)
    from bqx.store.pg.manifest import PgManifest
    from bqx.store.pg.store import PostgresStore

    assert isinstance(manifest, PgManifest)
    return PostgresStore(root, manifest, collects=("spool",) if shared else ("bars", "spool"))


def open_sql(project: Project) -> Sql:
    """DuckDB over files; with features on a server the part that is there is asked of it."""
    from bqx.store.pg.manifest import PgManifest
    from bqx.store.sql import Sql

    memory = float(project.config.build.memory_gb)
    if project.config.store.kind == "postgres" and isinstance(project.manifest, PgManifest):
        from bqx.store.pg.query import PgSql

        return PgSql(project.root, project.manifest, memory_gb=memory)
    return Sql(project.root, project.manifest, memory_gb=memory, files=project.files)
