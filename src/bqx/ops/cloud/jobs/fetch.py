"""Models that training jobs left in the bucket, brought here: unpacked safely, kept only when every byte is signed."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bqx.base.errors import ArtefactError, CloudHalfMade
from bqx.ops.cloud.aws import Aws
from bqx.research.artefact.folder import read_folder

MOST_BYTES, MOST_FILES = 1 << 31, 10_000
"""Of an unpacked archive: what is more is no model."""
Note = Callable[[str], None]


@dataclass(frozen=True)
class Fetched:
    """folder : of the signed artefact, below `cloud/runs/RUN/PAIR`."""

    pair: str
    folder: Path
    digest: str


def fetch(
    aws: Aws, root: Path, run: str, done: Mapping[str, Mapping[str, Any]], note: Note = lambda _: None
) -> list[Fetched]:  # fmt: skip
    """done : pair -> description of its finished training job. What is here already is verified and not fetched again.

    Raises CloudHalfMade for a job without a model, ArtefactError for a model that is not signed by a key the project
    trusts or is not of its pair: nothing of it is kept.
    """
    out = []
    for pair, said in done.items():
        target = root / "cloud" / "runs" / run / pair
        if not target.is_dir():
            url = str(said["ModelArtifacts"]["S3ModelArtifacts"])
            bucket, _, key = url.removeprefix("s3://").partition("/")
            answer = aws.find("s3", "GetObject", Bucket=bucket, Key=key)
            if answer is None:
                raise CloudHalfMade(f"the job of {pair} left no model", where=key, fix="train it again")
            work = target.with_name(f".{pair}.part")
            shutil.rmtree(work, ignore_errors=True)
            try:
                unpack(answer["Body"].read(), work)
                verified(work, pair, root)
                target.parent.mkdir(parents=True, exist_ok=True)
                work.rename(target)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        found = verified(target, pair, root)
        note(f"{pair}: {found.digest[:12]}")
        out.append(found)
    return out


def unpack(data: bytes, target: Path) -> None:
    """A .tar.gz into a new folder; ArtefactError for one that is damaged, too large, or reaches outside of it."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
            members, size = [], 0
            for member in tar:
                size += member.size
                members.append(member)
                if size > MOST_BYTES or len(members) > MOST_FILES:
                    raise ArtefactError(f"the archive holds more than {MOST_BYTES:,} bytes or {MOST_FILES:,} files")
            target.mkdir(parents=True)
            tar.extractall(target, members=members, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ArtefactError(f"the archive cannot be unpacked: {error}", where=str(target)) from error


def verified(folder: Path, pair: str, root: Path) -> Fetched:
    """The one signed artefact in `folder`, of that pair."""
    home = folder / pair
    if not (home / "manifest.json").is_file():
        raise ArtefactError(f"there is no model of {pair} in it", where=str(folder))
    facts, _, digest = read_folder(home, root)
    if facts.get("pair") != pair:
        raise ArtefactError(f"it is a model of {facts.get('pair')}, not of {pair}", where=str(home))
    return Fetched(pair, home, digest)
