"""The build context of an image: a folder with all that its Containerfile copies, the same bytes every time."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bqx.base.atomic import write_bytes
from bqx.base.errors import ImageError, Unsupported
from bqx.base.version import __version__
from bqx.ops.container.closure import EXTRAS, closure, other_versions, requirements
from bqx.ops.container.containerfile import check_file
from bqx.ops.container.locked import read_lock
from bqx.ops.container.sbom import NAME as SBOM
from bqx.ops.container.sbom import check_sbom, make_sbom

KINDS = tuple(EXTRAS)
CARD, LOCK, FILE = "context.json", "requirements.lock", "Containerfile"
FORMAT = 1


def write_context(kind: str, source: Path, out: Path) -> dict[str, Any]:
    """Write the context of `kind` from a checkout at `source` into `out`; gives the card, context.json.

    It holds the wheel of bqx, the lines of requirements/runtime.lock that the image needs, the Containerfile, the bill
    of materials, and the card with the sha256 of each. ImageError when `out` holds anything else, the
    Containerfile breaks a rule, or a possible secret is found in what was written.
    """
    if kind not in KINDS:
        raise ImageError(f"there is no image {kind!r}", fix=f"one of {', '.join(KINDS)}")
    containerfile = source / "deploy" / "images" / kind / FILE
    if not containerfile.is_file():
        raise ImageError("there is no Containerfile", where=str(containerfile), fix="give --source: a checkout of bqx")
    check_file(containerfile)
    lock = source / "requirements" / "runtime.lock"
    pins = closure(read_lock(lock), requirements(source, EXTRAS[kind]))
    wheel, data = build_wheel(source)
    bill = make_sbom(kind, pins, (wheel, _sha256(data)))
    check_sbom(bill, pins)
    files = {
        wheel: data,
        LOCK: ("\n".join(p.text() for p in pins) + "\n").encode(),
        FILE: containerfile.read_bytes(),
        SBOM: (json.dumps(bill, indent=1, sort_keys=True) + "\n").encode(),
    }
    card = {
        "format": FORMAT, "kind": kind, "version": __version__, "lock_sha256": _sha256(lock.read_bytes()),
        "packages": len(pins), "edges_read_from": other_versions(pins),
        "files": {name: {"bytes": len(files[name]), "sha256": _sha256(files[name])} for name in sorted(files)},
    }  # fmt: skip
    files[CARD] = (json.dumps(card, indent=1, sort_keys=True) + "\n").encode()
    _write(out, files)
    check_context(out)
    return card


def check_context(folder: Path) -> dict[str, Any]:
    """The card of a context, after every file was compared with it, the bill with the lock, and all was scanned for
    secrets; ImageError for whatever does not hold."""
    from bqx.ops.secretscan import scan_repository

    try:
        card: dict[str, Any] = json.loads((folder / CARD).read_text("utf-8"))
        kind, wanted = card["kind"], {n: f["sha256"] for n, f in card["files"].items()}
        bill = json.loads((folder / SBOM).read_text("utf-8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImageError(
            "this is no build context", where=str(folder), fix="`context --kind KIND --out DIR`"
        ) from error
    have = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()} - {CARD}
    if odd := sorted(set(wanted) ^ have):
        raise ImageError(f"{odd[0]} {'is absent' if odd[0] in wanted else 'does not belong here'}", where=str(folder))
    for name, digest in wanted.items():
        if _sha256((folder / name).read_bytes()) != digest:
            raise ImageError(f"{name} was changed after it was written", where=str(folder))
    check_file(folder / FILE)
    check_sbom(bill, read_lock(folder / LOCK))
    if kind not in KINDS:
        raise ImageError(f"there is no image {kind!r}", where=CARD)
    with TemporaryDirectory(prefix="bqx-context-") as work:
        for name in wanted:  # a wheel is an archive: its files are scanned, not its bytes
            if name.endswith(".whl"):
                shutil.unpack_archive(folder / name, Path(work) / "wheel", "zip")
            else:
                shutil.copyfile(folder / name, Path(work) / name)
        found = scan_repository(Path(work), history=False)
    if found.findings:
        first = found.findings[0]
        raise ImageError(f"{len(found.findings)} possible secrets: {first.rule}", where=f"{first.path}:{first.line}")
    return card


def build_wheel(source: Path) -> tuple[str, bytes]:
    """Name and bytes of bqx's wheel, built here without a network; equal sources give equal bytes."""
    try:
        from hatchling.builders.wheel import WheelBuilder
    except ModuleNotFoundError as error:
        raise Unsupported("a context needs hatchling", fix="pip install hatchling editables") from error
    with TemporaryDirectory(prefix="bqx-wheel-") as folder:
        made = list(WheelBuilder(str(source)).build(directory=folder, versions=["standard"]))
        path = Path(made[0])
        return path.name, path.read_bytes()


def _write(out: Path, files: dict[str, bytes]) -> None:
    if out.is_dir():
        before = {p.relative_to(out).as_posix() for p in out.rglob("*") if not p.is_dir()}
        if CARD not in before and before:
            raise ImageError("the folder holds something else", where=str(out), fix="choose an empty folder")
        for name in before - set(files):
            (out / name).unlink()
    out.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_bytes(out / name, data)
        (out / name).chmod(0o644)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
