"""What the console shows; every page is made from the project at the moment it is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.base.redaction import redact
from bqx.ops.console import data
from bqx.ops.console.heat import Heat, make_heat
from bqx.ops.console.live import live

if TYPE_CHECKING:
    from jinja2 import Environment

    from bqx.build.project import Project

PAGES: Mapping[str, str] = {
    "board": "Board",
    "graph": "Graph",
    "coverage": "Coverage",
    "catalogue": "Catalogue",
    "health": "Data health",
    "runs": "Runs",
    "reports": "Reports",
    "live": "Live",
}
"""Pages of the menu, by path; key n opens the n-th."""
Made = tuple[str, Mapping[str, Any]] | None
"""A template and what it shows, None where there is no such page."""
HEAT = "@heat@"
"""Stands for the numbers of the map while a page is looked through for secrets."""
FOLDER = Path(__file__).parent / "templates"


@dataclass
class Pages:
    """Renders pages of a project; what is slow to find out is kept until the store changes."""

    project: Project
    _kept: dict[str, tuple[object, Any]] = field(default_factory=dict, repr=False)

    def render(self, name: str, query: Mapping[str, str] | None = None) -> str | None:
        """HTML of `board`, `stage/1.6.10`, `catalogue/time_dual` ...; None where there is no such page."""
        page, _, rest = name.partition("/")
        made = self._one(page, rest, query or {}) if rest else self._whole(page)
        return None if made is None else self.page(made[0], "board" if page == "stage" else page, made[1])

    def _whole(self, page: str) -> Made:
        make: dict[str, Callable[[], dict[str, Any]]] = {
            "board": lambda: data.board(self.project),
            "graph": lambda: data.graph(self.project),
            "coverage": self._coverage,
            "catalogue": lambda: data.catalogue(self.project),
            "health": lambda: self._keep("health", lambda: data.health(self.project)),
            "runs": lambda: data.runs(self.project),
            "reports": lambda: data.reports(self.project),
            "live": lambda: live(self.project),
        }
        return (page, make[page]()) if page in make else None

    def _one(self, page: str, name: str, query: Mapping[str, str]) -> Made:
        found, template = None, "stage"
        if page == "stage":
            found = data.stage(self.project, name)
        elif page == "catalogue":
            found, template = data.dataset(self.project, name, query), "dataset"
        return None if found is None else (template, found)

    def page(self, template: str, current: str, found: Mapping[str, Any]) -> str:
        """A page of a template; what looks like a secret is masked."""
        shared = {"pages": PAGES, "current": current, "project": self.project.config.project.name,
                  "simulated": self.project.simulated}  # fmt: skip
        text = redact(_environment().get_template(f"{template}.html.j2").render(**shared, **found))
        return text.replace(HEAT, found["heat_data"], 1) if "heat_data" in found else text

    def _coverage(self) -> dict[str, Any]:
        heat: Heat = self._keep("heat", lambda: make_heat(self.project))
        text = json.dumps(heat.as_dict(), separators=(",", ":")).replace("<", "\\u003c")
        rows = [{"dataset": n, "values": v, "present": p, "partitions": k} for n, v, p, k in heat.rows]
        return {
            "heat": HEAT,
            "heat_data": text,
            "rows": rows,
            "partitions": len(heat.cells),
            "months": heat.months,
            "pairs": heat.pairs,
        }

    def _keep(self, key: str, make: Callable[[], Any]) -> Any:
        now = self.project.snapshot()
        if key not in self._kept or self._kept[key][0] != now:
            self._kept[key] = (now, make())
        return self._kept[key][1]


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
