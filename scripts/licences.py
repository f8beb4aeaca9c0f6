"""Refuse run-time dependencies whose licence would bind our users: walks what the locked runtime installs."""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

LOCK = Path(__file__).parent.parent / "requirements" / "runtime.lock"
REFUSED = re.compile(r"\b(AGPL|GPL|SSPL|BUSL|Affero|Commons Clause|non-?commercial)", re.IGNORECASE)
ALLOWED = re.compile(r"\bL(esser )?GPL", re.IGNORECASE)


def locked(path: Path) -> list[str]:
    """Names in a lock file."""
    return re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==", path.read_text(encoding="utf-8"), re.MULTILINE)


def licence(package: Distribution) -> str:
    """Licence expression, field or classifiers, the first that is stated."""
    meta = package.metadata
    stated = [meta.get("License-Expression"), (meta.get("License") or "").split("\n")[0]]
    stated += [c.rsplit("::", 1)[1].strip() for c in meta.get_all("Classifier", []) if c.startswith("License ::")]
    return "; ".join(dict.fromkeys(s for s in stated if s)) or "not stated"


def main() -> int:
    found, bad = 0, []
    for name in locked(LOCK):
        try:
            text = licence(distribution(name))
        except PackageNotFoundError:
            continue  # for another platform
        found += 1
        if text == "not stated" or (REFUSED.search(text) and not ALLOWED.search(text)):
            bad.append(f"{name}: {text}")
    print(f"licences: {found} run-time packages, {len(bad)} refused")
    for line in bad:
        print(f"  {line}", file=sys.stderr)
    return 1 if bad or not found else 0


if __name__ == "__main__":
    sys.exit(main())
