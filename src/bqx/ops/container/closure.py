"""Which lines of the lock an image needs: what bqx and its extras require, and what those require."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bqx.base.errors import ImageError
from bqx.ops.container.locked import TARGET, Pin

EXTRAS = {
    "processing": ("aws", "research"),
    "training": ("aws", "research"),
    "inference": ("aws", "research", "serve"),
}
"""What each image installs beside the core. `research` brings estimators and signatures; `aws` the secrets provider."""


def requirements(source: Path, extras: Collection[str]) -> list[Requirement]:
    """What pyproject.toml asks for; ImageError for an extra it does not have."""
    try:
        project = tomllib.loads((source / "pyproject.toml").read_text("utf-8"))["project"]
    except (OSError, ValueError, KeyError) as error:
        raise ImageError("no pyproject.toml of bqx", where=str(source), fix="give --source: a checkout") from error
    have = project["optional-dependencies"]
    if absent := sorted(set(extras) - set(have)):
        raise ImageError(f"there is no extra {absent[0]!r}", where="pyproject.toml")
    return [Requirement(r) for r in [*project["dependencies"], *(r for e in sorted(extras) for r in have[e])]]


def closure(pins: Sequence[Pin], wanted: Sequence[Requirement]) -> tuple[Pin, ...]:
    """The pins that `wanted` lead to on the target, in the lock's order.

    A lock does not say what needs what; that is read from the packages installed here, whose versions may differ from
    the lock's (`other_versions` tells). Whether anything is missing is therefore asked once more where it counts: the
    Containerfile ends its installation with `pip check`. ImageError for a package that is not in the lock.
    """
    by_key = {p.key: p for p in pins if p.on_target()}
    seen: set[tuple[str, str]] = set()
    queue = [(r, "") for r in wanted]
    while queue:
        asked, by = queue.pop()
        if asked.marker is not None and not any(
            asked.marker.evaluate({**TARGET, "extra": extra}) for extra in by.split(",")
        ):
            continue
        key = str(canonicalize_name(asked.name))
        extras = ",".join(sorted(asked.extras))
        if (key, extras) in seen:
            continue
        seen.add((key, extras))
        pin = by_key.get(key)
        if pin is None:
            raise ImageError(f"{asked.name} is needed and not in the lock", fix="`make lock`")
        queue += [(Requirement(text), extras) for text in installed(pin).requires or ()]
    needed = {key for key, _ in seen}
    return tuple(p for p in pins if p.on_target() and p.key in needed)


def installed(pin: Pin) -> Distribution:
    """The package as it is installed here, of whatever version; ImageError when it is not."""
    try:
        return distribution(pin.name)
    except PackageNotFoundError as error:
        raise ImageError(
            f"{pin.name} is not installed here, so neither its licence nor what it needs can be known",
            fix="install requirements/dev.lock: `make test` does",
        ) from error


def other_versions(pins: Sequence[Pin]) -> dict[str, str]:
    """Pins whose installed version differs from the lock's, with that version."""
    return {p.key: found for p in pins if (found := installed(p).version) != p.version}
