"""The folders that a managed service mounts into a container, under /opt/ml or wherever they are redirected to."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bqx.base.atomic import write_text
from bqx.base.errors import ContainerError
from bqx.base.redaction import redact

VARIABLE = "BQX_ML_ROOT"
DEFAULT = Path("/opt/ml")
MOST_FAILURE = 1024
"""Characters of a failure's reason that the service keeps."""
MOST_CONFIG = 1 << 20


@dataclass(frozen=True)
class Layout:
    """Paths of one job. Training: input/, model/, output/, checkpoints/. Processing: processing/input/ and output/."""

    root: Path

    @classmethod
    def at(cls, root: Path | None) -> Layout:
        """`root`, else the environment's BQX_ML_ROOT, else /opt/ml; ContainerError when it is no folder."""
        found = root or Path(os.environ.get(VARIABLE) or DEFAULT)
        if not found.is_dir():
            raise ContainerError(
                "the folder of the job does not exist", where=str(found), fix=f"mount it, or give --root or {VARIABLE}"
            )
        return cls(found)

    @property
    def config(self) -> Path:
        return self.root / "input" / "config"

    @property
    def model(self) -> Path:
        """What is left here becomes model.tar.gz, and what an endpoint finds here."""
        return self.root / "model"

    @property
    def checkpoints(self) -> Path:
        """Kept while an interrupted job waits for its next start, when the service was told to."""
        return self.root / "checkpoints"

    @property
    def failure(self) -> Path:
        """Why a training job failed, in a sentence."""
        return self.root / "output" / "failure"

    @property
    def message(self) -> Path:
        """Why a processing job failed: the service shows it as its exit message."""
        return self.root / "output" / "message"

    @property
    def processing_input(self) -> Path:
        return self.root / "processing" / "input"

    @property
    def processing_output(self) -> Path:
        return self.root / "processing" / "output"

    def channel(self, name: str, *, needed: bool = True) -> Path | None:
        """Folder of an input channel; ContainerError when it is needed and was not given or is empty."""
        path = self.root / "input" / "data" / name
        if path.is_dir() and any(path.iterdir()):
            given = self.read("inputdataconfig.json")
            mode = (given.get(name) or {}).get("TrainingInputMode", "File") if isinstance(given, dict) else "File"
            if mode not in ("File", "FastFile"):
                raise ContainerError(
                    f"channel {name!r} comes as {mode}", where=str(self.config / "inputdataconfig.json"),
                    fix="use the input mode File: models are trained from files that are read more than once",
                )  # fmt: skip
            return path
        if needed:
            raise ContainerError(f"the input channel {name!r} is absent or empty", where=str(path))
        return None

    def read(self, name: str) -> Any:
        """A JSON file of input/config, {} when there is none; ContainerError for one that cannot be read."""
        return read_json(self.config / name, absent={})


def read_json(path: Path, *, absent: Any = None) -> Any:
    """A small JSON file; `absent` when there is none and it is given, else ContainerError."""
    try:
        if path.stat().st_size > MOST_CONFIG:
            raise ContainerError(f"it has more than {MOST_CONFIG:,} bytes", where=str(path))
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        if absent is not None:
            return absent
        raise ContainerError("there is no such file", where=str(path)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ContainerError(f"it cannot be read as JSON: {type(error).__name__}", where=str(path)) from error


def one_host(layout: Layout) -> None:
    """ContainerError when the job was given several hosts: a job trains one pair, jobs run side by side."""
    given = layout.read("resourceconfig.json")
    hosts = given.get("hosts", []) if isinstance(given, dict) else []
    if len(hosts) > 1:
        raise ContainerError(
            f"the job has {len(hosts)} hosts", where=str(layout.config / "resourceconfig.json"),
            fix="set InstanceCount to 1 and begin a job a pair",
        )  # fmt: skip


def write_reason(path: Path, text: str) -> None:
    """The reason of a failure, redacted, as much of it as is kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, redact(text)[:MOST_FAILURE])
