"""Names of partitions: dataset x pair x month."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bqx.base.errors import CalendarError, UsageError
from bqx.market.calendar import month_span

_DATASET = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*_(?:rate|bqx|dual)")
_NAME = re.compile(rf"(?P<dataset>{_DATASET.pattern})_(?P<pair>[a-z]{{6}})_(?P<ym>\d{{4}}_\d{{2}})")


def check_dataset(name: str) -> str:
    """`name` when it reads {family}_{rate|bqx|dual}; raises UsageError else."""
    if not _DATASET.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a dataset name",
            fix="write {family}_{rate|bqx|dual} in lower case, for example returns_raw_rate",
        )
    return name


@dataclass(frozen=True, slots=True, order=True)
class PartitionKey:
    """One pair's month `ym` (yyyy_mm, UTC) of one dataset ({family}_{domain})."""

    dataset: str
    pair: str
    ym: str

    @property
    def name(self) -> str:
        """`{family}_{domain}_{pair}_{yyyy_mm}`."""
        return f"{self.dataset}_{self.pair}_{self.ym}"

    @property
    def span(self) -> tuple[int, int]:
        """First minute of the month and of the next one."""
        return month_span(self.ym)

    @staticmethod
    def is_name(text: str) -> bool:
        """Whether `text` reads like a partition name."""
        return _NAME.fullmatch(text) is not None

    @classmethod
    def parse(cls, name: str) -> PartitionKey:
        """Read a partition name; raises UsageError."""
        found = _NAME.fullmatch(name)
        if found is None:
            raise UsageError(
                f"{name!r} is not a partition name",
                fix="write {family}_{domain}_{pair}_{yyyy_mm}, for example returns_raw_rate_eurusd_2024_07",
            )
        return cls(found["dataset"], found["pair"], found["ym"]).checked()

    def checked(self) -> PartitionKey:
        """Itself when its name parses and its month exists; raises UsageError else."""
        if not _NAME.fullmatch(self.name):
            raise UsageError(f"{self.name!r} is not a partition name", fix="pairs are six letters, months yyyy_mm")
        try:
            month_span(self.ym)
        except CalendarError as error:
            raise UsageError(f"{self.name!r} names a month that does not exist") from error
        return self
