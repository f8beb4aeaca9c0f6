"""The bill of materials of an image: CycloneDX 1.5, JSON, from the lock alone and the same every time."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from bqx.base.errors import ImageError
from bqx.base.version import __version__
from bqx.ops.container.closure import installed
from bqx.ops.container.licences import licence
from bqx.ops.container.locked import Pin

NAME = "sbom.cdx.json"
_SPACE = uuid.UUID("5f0f7d7e-9d61-5b0e-8f3e-6d9d3a0c6f11")
"""Of serial numbers: equal contents have equal ones."""


def make_sbom(kind: str, pins: Sequence[Pin], wheel: tuple[str, str]) -> dict[str, Any]:
    """Components of an image. wheel : name and sha256 of bqx itself. No time and no address: it can be made again."""
    parts = [_component(pin) for pin in sorted(pins, key=lambda p: p.key)]
    name, digest = wheel
    own = {
        "type": "application", "bom-ref": f"pkg:pypi/bqx@{__version__}", "name": "bqx", "version": __version__,
        "purl": f"pkg:pypi/bqx@{__version__}", "hashes": [{"alg": "SHA-256", "content": digest}],
        "licenses": [{"expression": "Apache-2.0"}], "properties": [{"name": "bqx:file", "value": name}],
    }  # fmt: skip
    ident = uuid.uuid5(_SPACE, kind + digest + json.dumps(parts, sort_keys=True))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{ident}",
        "version": 1,
        "metadata": {"component": own, "properties": [{"name": "bqx:image", "value": kind}]},
        "components": parts,
    }


def check_sbom(data: Any, pins: Sequence[Pin]) -> None:
    """ImageError unless the bill names exactly the pins: versions, every hash, a licence each."""
    if (
        not isinstance(data, dict)
        or data.get("bomFormat") != "CycloneDX"
        or not isinstance(data.get("components"), list)
    ):
        raise ImageError("the bill of materials is not CycloneDX", where=NAME)
    want = {p.key: (p.version, frozenset(p.hashes)) for p in pins}
    have: dict[str, tuple[str, frozenset[str]]] = {}
    for part in data["components"]:
        try:
            name = str(part["name"])
            have[name] = (str(part["version"]), frozenset(h["content"] for h in part["hashes"]))
            stated = part["licenses"][0]
        except (KeyError, TypeError, IndexError) as error:
            raise ImageError("a component has no name, version, hashes or licence", where=NAME) from error
        if not (stated.get("expression") or stated.get("license", {}).get("name")):
            raise ImageError(f"{name} has no licence", where=NAME)
    if odd := sorted(set(want) ^ set(have)):
        raise ImageError(f"{odd[0]} is {'not in the bill' if odd[0] in want else 'not in the lock'}", where=NAME)
    for name, found in want.items():
        if have[name] != found:
            raise ImageError(f"{name} has another version or other hashes than the lock", where=NAME)


def _component(pin: Pin) -> dict[str, Any]:
    ref = f"pkg:pypi/{pin.key}@{pin.version}"
    text = licence(installed(pin))
    return {
        "type": "library", "bom-ref": ref, "name": pin.key, "version": pin.version, "purl": ref,
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in pin.hashes],
        "licenses": [_licence(text)],
    }  # fmt: skip


def _licence(text: str) -> dict[str, Any]:
    """As an SPDX expression where a part of it is one, else by the name its authors use."""
    for part in text.split("; "):
        try:
            return {"expression": str(canonicalize_license_expression(part))}
        except InvalidLicenseExpression:
            continue
    return {"license": {"name": text[:200]}}
