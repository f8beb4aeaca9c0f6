"""A project folder as objects: bars, store, catalogue, and the ways to get data out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.base.atomic import write_text
from bqx.base.config import CONFIG_NAME, Config, default_toml, load_config
from bqx.base.errors import BqxError, ProjectError, UsageError
from bqx.base.runlog import set_level
from bqx.build.stores import MANIFEST_NAME, open_features, open_files, open_manifest, project_config
from bqx.features.catalogue import column, datasets, switched_on
from bqx.market.calendar import Calendar, minute_of
from bqx.market.pairs import PAIRS, parse_pair
from bqx.market.schedule import Schedule, read_schedule
from bqx.store.bars import BarStore
from bqx.store.known import known_us
from bqx.store.registry import Baseline

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from bqx.build.export import Matrix
    from bqx.build.features import FeatureView
    from bqx.features.declare import Dataset
    from bqx.store.contract import FeatureStore
    from bqx.store.sql import Sql

When = datetime | int | None
"""A time for people (aware datetime) or a minute since 1970; None leaves that end open."""


class Project:
    """Bars, features and their store; `bqx.open(path)` makes one.

    as_of : read everything as it was known then (ISO time); such a project cannot be built.
    """

    def __init__(self, root: Path, config: Config, as_of: str | None = None) -> None:
        self.root, self.config, self.as_of = root, config, known_us(as_of)
        self.calendar = _calendar(root, config)
        self.manifest = open_manifest(root, config)
        self.files = open_files(root, config)
        self.bars = BarStore(root, self.manifest, codec=config.store.codec, files=self.files)
        self.store: FeatureStore = open_features(root, config, self.manifest, self.files)
        self.pairs: tuple[str, ...] = config.project.pairs
        self.extensions = switched_on(config.features.extensions)

    @classmethod
    def open(
        cls, path: str | Path = ".", *, as_of: str | None = None, overrides: Mapping[str, str] | None = None
    ) -> Project:
        """Open an existing project; raises ProjectError when the folder is not one."""
        root = Path(path)
        config = project_config(root, overrides or {})
        set_level(config.log.level)
        return cls(root, config, as_of)

    def sql(self) -> Sql:
        """Ask it with SQL: `.query("SELECT ...")` gives a Polars frame."""
        from bqx.build.stores import open_sql

        return open_sql(self)

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        name: str | None = None,
        pairs: Sequence[str] = PAIRS,
        t0: str = "auto",
        calendar: str = "default",
    ) -> Project:
        """Make a project folder; raises ProjectError where one exists, ConfigError for settings that cannot be."""
        root = Path(path)
        if (root / CONFIG_NAME).exists() or (root / MANIFEST_NAME).exists():
            raise ProjectError("there is a bqx project here already", where=str(root), fix="choose another folder")
        chosen = tuple(sorted({parse_pair(p).name for p in pairs}))
        text = default_toml(name or _name_from(root), t0=t0, pairs=chosen)
        text = text.replace('calendar = "default"', f"calendar = {json.dumps(calendar)}", 1)
        root.mkdir(parents=True, exist_ok=True)
        write_text(root / CONFIG_NAME, text)
        try:
            config = load_config(root)
            _calendar(root, config)
        except BqxError:
            (root / CONFIG_NAME).unlink()
            raise
        for folder in ("bars", "lake", "imports", "reports"):
            (root / folder).mkdir(exist_ok=True)
        return cls(root, config)

    @cached_property
    def schedule(self) -> Schedule | None:
        """Events of the file that `features.schedule` names; None without one. Raises ScheduleError."""
        named = self.config.features.schedule
        return read_schedule(self.root / named) if named else None

    @property
    def catalogue(self) -> Mapping[str, Dataset]:
        """All datasets by name: ours, users', and the extensions that are switched on."""
        return {**datasets(), **self.extensions} if self.extensions else datasets()

    @cached_property
    def features(self) -> FeatureView:
        """Columns with their declarations: `.list()`, `.show("returns_raw_rate.ret_1")`."""
        from bqx.build.features import FeatureView

        return FeatureView(self.catalogue)

    @property
    def simulated(self) -> bool:
        """Whether any bars are simulated; whatever is shown of such a project must say so."""
        return self.bars.simulated(as_of=self.as_of)

    def snapshot(self) -> int | None:
        """The known-at time all inputs of a build are read at, so that an import beside it cannot mix in."""
        if self.as_of is not None:
            return self.as_of
        with self.manifest.connection() as con:
            latest = con.execute("SELECT max(known_at) FROM change").fetchone()[0]
        return None if latest is None else int(latest)

    def baselines(self) -> dict[str, Baseline]:
        """Each pair's latest registered baseline."""
        return {row.pair: row for row in self.bars.baselines(as_of=self.as_of)}

    def frame(
        self,
        pair: str,
        datasets: Sequence[str] | str | None = None,
        columns: Sequence[str] | None = None,
        start: When = None,
        end: When = None,
    ) -> pl.DataFrame:
        """One wide frame of a pair: `ts_utc`, then `{dataset}.{column}`, rows of [start, end).

        datasets : all that are built for the pair unless given. columns : `dataset.column`, or a name that only one
        dataset has. Where a dataset is not built for a month that another one is, its columns are null.
        A row is usable from ts_utc + 60 s.
        """
        from bqx.build.wide import wide_frame

        chosen = [datasets] if isinstance(datasets, str) else datasets
        return wide_frame(self, parse_pair(pair).name, chosen, columns, _minute(start), _minute(end))

    def arrow(self, pair: str, *args: Any, **kwargs: Any) -> pa.Table:
        """:meth:`frame` as an Arrow table; needs pyarrow."""
        from bqx.build.export import to_arrow

        return to_arrow(self.frame(pair, *args, **kwargs))

    def pandas(self, pair: str, *args: Any, **kwargs: Any) -> pd.DataFrame:
        """:meth:`frame` as a pandas frame indexed by `ts_utc`; needs pandas, not pyarrow."""
        from bqx.build.export import to_pandas

        return to_pandas(self.frame(pair, *args, **kwargs))

    def numpy(self, pair: str, *args: Any, **kwargs: Any) -> Matrix:
        """:meth:`frame` as a float64 matrix with NaN for NULL, its minutes and column names."""
        from bqx.build.export import to_numpy

        return to_numpy(self.frame(pair, *args, **kwargs))

    def asof(
        self,
        timestamps: pl.DataFrame | Sequence[datetime],
        pair: str,
        columns: Sequence[str],
        *,
        max_age_minutes: float = 5.0,
        on: str = "ts",
    ) -> pl.DataFrame:
        """What was usable at times of your own; see :func:`bqx.build.asof.asof`."""
        from bqx.build.asof import asof

        return asof(self, timestamps, parse_pair(pair).name, columns, max_age_minutes=max_age_minutes, on=on)

    def resolve_column(self, name: str) -> tuple[str, str]:
        """Dataset and column of `dataset.column` or of a column name that only one dataset has."""
        home, item = column(name)
        return home.name, item.name

    def close(self) -> None:
        """Close the manifest's connections."""
        self.manifest.close()


def _calendar(root: Path, config: Config) -> Calendar:
    chosen = config.project.calendar
    return Calendar.load(None if chosen == "default" else root / chosen)


def _name_from(root: Path) -> str:
    kept = "".join(c for c in root.resolve().name if c.isalnum() or c in " ._-").strip(" ._-")
    return kept[:64] or "bqx"


def _minute(when: When) -> int | None:
    if when is None or isinstance(when, int):
        return when
    if when.tzinfo is None:
        raise UsageError(f"time {when.isoformat()} has no time zone", fix="add tzinfo=UTC")
    return minute_of(when)
