"""Every error a user can meet: a stable code, an exit code, and what to do next."""

from __future__ import annotations

from typing import Any, ClassVar


class BqxError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    what : what is wrong, with the number or value that shows it.
    where : file, line, partition, column or key it was found at.
    fix : what the reader can do about it.
    """

    code: ClassVar[str] = "BQX000"
    exit_code: ClassVar[int] = 70
    title: ClassVar[str] = "internal error"
    next_step: ClassVar[str] = "report it, with the ticket number and the lines printed above it"

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__(what)

    def __str__(self) -> str:
        parts = [f"{self.code} {self.what}"]
        if self.where:
            parts.append(f"at {self.where}")
        if self.fix:
            parts.append(f"-> {self.fix}")
        return " ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """JSON form, for ``--json`` and logs."""
        return {
            "code": self.code,
            "title": self.title,
            "exit_code": self.exit_code,
            "what": self.what,
            "where": self.where,
            "fix": self.fix,
        }


class UsageError(BqxError):
    code, exit_code, title = "BQX002", 2, "the command or call was used wrongly"
    next_step = "read `bqx COMMAND --help`"


class ConfigError(BqxError):
    code, exit_code, title = "BQX101", 3, "bqx.toml or an option is wrong"
    next_step = "correct the named key at the named line; `bqx config show` prints every value and its origin"


class ProjectError(BqxError):
    code, exit_code, title = "BQX102", 3, "not a bqx project, or one of another format version"
    next_step = "run `bqx init`, or point `-C` at the project; a newer format needs a newer bqx"


class InputError(BqxError):
    code, exit_code, title = "BQX201", 4, "an input file cannot be read as bars"
    next_step = "look at the named file and line; the store was not touched"


class ClockError(BqxError):
    code, exit_code, title = "BQX202", 4, "the clock of an input file cannot be right"
    next_step = "import again with the `--utc-offset` that the message proposes, if it agrees with your vendor"


class CalendarError(BqxError):
    code, exit_code, title = "BQX203", 4, "the market calendar cannot be used"
    next_step = "correct the holiday file, or set `project.calendar` back to `default`"


class CheckError(BqxError):
    code, exit_code, title = "BQX301", 5, "a check failed or could not compare enough values"
    next_step = "read which value differs where; with too few values, give the check more bars"


class FeatureError(BqxError):
    code, exit_code, title = "BQX302", 5, "a feature declaration or its output is wrong"
    next_step = "correct the named column's declaration or formula; nothing of it was stored"


class StoreError(BqxError):
    code, exit_code, title = "BQX401", 6, "the store is damaged or was asked for what it does not hold"
    next_step = "run `bqx build verify`; `bqx build run` makes again what is damaged"


class LeaseError(BqxError):
    code, exit_code, title = "BQX402", 7, "another run holds the project"
    next_step = "wait for the named run, or end it; a lease of a dead process is taken over by itself"


class DiskError(BqxError):
    code, exit_code, title = "BQX403", 8, "not enough disk space"
    next_step = "free the amount named, or put the project on a larger disk; `bqx store gc` removes old generations"


class BuildError(BqxError):
    code, exit_code, title = "BQX501", 9, "some units failed; the rest was built"
    next_step = "read each unit's reason; `bqx build run` tries the failed ones only"


class FetchError(BqxError):
    code, exit_code, title = "BQX502", 9, "some downloads failed; the rest is on disk"
    next_step = "read each file's reason; the same command goes on where it stopped"


class SecretError(BqxError):
    code, exit_code, title = "BQX601", 10, "a secret could not be had from its provider"
    next_step = "run `bqx secrets check NAME`; there is no fallback on purpose"


class SecretLeak(BqxError):  # noqa: N818 - what happened, not what went wrong
    code, exit_code, title = "BQX602", 5, "the secret scan found something"
    next_step = "change the secret at its issuer first, then clean up: docs/security.md"


class DatasetError(BqxError):
    code, exit_code, title = "BQX801", 6, "a training dataset cannot be made, or is not what it was when it was made"
    next_step = "`bqx dataset show NAME` says what it is made of; make it again under another name"


class SealedError(BqxError):
    code, exit_code, title = "BQX802", 5, "the sealed test was asked for, or was opened before"
    next_step = "work on the folds before it; it is opened once a release, by `bqx dataset open`, and that is logged"


class SelectionError(BqxError):
    code, exit_code, title = "BQX803", 5, "a selection cannot have the columns it must"
    next_step = "read which quota falls short and why candidates were left out; build more datasets or a longer history"


class LeakError(BqxError):
    code, exit_code, title = "BQX804", 5, "a leakage test failed, or could not compare enough"
    next_step = "find the named column or rows before any result of this dataset is used"


class LedgerError(BqxError):
    code, exit_code, title = "BQX805", 6, "the ledger of trials cannot be used"
    next_step = "restore research.sqlite from a backup; without it no later statistic knows how much was tried"


class CausalityError(BqxError):
    code, exit_code, title = "BQX811", 5, "a test of causality cannot be made on these series"
    next_step = "read how many values, pairs or folds are missing; give a longer span, more pairs or shorter lags"


class CausalityStateError(BqxError):
    code, exit_code, title = "BQX812", 6, "the stored parts of a causality run are damaged or not of this run"
    next_step = "remove the named folder and run it again; bars and features are not touched"


class Unsupported(BqxError):  # noqa: N818
    code, exit_code, title = "BQX901", 11, "this platform, store or file version does not support that"
    next_step = "use the alternative the message names"


def catalogue() -> list[type[BqxError]]:
    """All error classes, by code; ``docs/errors.md`` is generated from it."""
    found: list[type[BqxError]] = [BqxError]
    queue = list(BqxError.__subclasses__())
    while queue:
        cls = queue.pop()
        found.append(cls)
        queue.extend(cls.__subclasses__())
    return sorted(found, key=lambda c: c.code)
