"""Refuse run-time dependencies whose licence would bind our users: walks what the locked runtime installs."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from bqx.ops.container.licences import licence, refused

LOCK = Path(__file__).parent.parent / "requirements" / "runtime.lock"


def locked(path: Path) -> list[str]:
    """Names in a lock file."""
    return re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==", path.read_text(encoding="utf-8"), re.MULTILINE)


def main() -> int:
    found, bad = 0, []
    for name in locked(LOCK):
        try:
            text = licence(distribution(name))
        except PackageNotFoundError:
            continue  # for another platform
        found += 1
        if refused(text):
            bad.append(f"{name}: {text}")
    print(f"licences: {found} run-time packages, {len(bad)} refused")
    for line in bad:
        print(f"  {line}", file=sys.stderr)
    return 1 if bad or not found else 0


if __name__ == "__main__":
    sys.exit(main())
