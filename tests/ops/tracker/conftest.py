from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

from tracker_fixtures import airtable, ask, clock, con, letters  # noqa: E402 - finds benchmarks by the line above

__all__ = ["airtable", "ask", "clock", "con", "letters"]
