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


class ServerError(BqxError):
    code, exit_code, title = "BQX410", 12, "the PostgreSQL server cannot be reached or has gone"
    next_step = "see that the server runs and can be reached; the same command goes on where it stopped"


class RoleError(BqxError):
    code, exit_code, title = "BQX411", 6, "the database role may not do that"
    next_step = "use the role that docs/postgres.md names, or have the owner run `bqx store upgrade` for this one"


class TablesError(BqxError):
    code, exit_code, title = "BQX412", 6, "the tables in PostgreSQL are not those this bqx needs"
    next_step = "`bqx store upgrade --dry-run` says what is missing; `bqx store upgrade` makes it"


class MigrationSpecError(BqxError):
    code, exit_code, title = "BQX420", 2, "a migration's specification or plan file is wrong"
    next_step = "mend the named line, or make the plan anew with `bqx migrate plan`"


class MigrationConflict(BqxError):  # noqa: N818 - what is in the way
    code, exit_code, title = "BQX421", 4, "a new name is taken, or the plan no longer fits the database"
    next_step = "look at what holds the name; then `bqx migrate plan` again. Nothing was renamed"


class MigrationLocked(BqxError):  # noqa: N818
    code, exit_code, title = "BQX422", 5, "a lock could not be had in time, or another operator migrates"
    next_step = "wait for the named sessions or end them yourself, then run the same command again"


class VerificationError(BqxError):
    code, exit_code, title = "BQX423", 6, "a migration's assertion does not hold"
    next_step = "read expected and observed of the named check; inside the transaction all was rolled back"


class PreflightError(BqxError):
    code, exit_code, title = "BQX424", 7, "a migration may not start as things are"
    next_step = "settle each finding or allow it by name in the specification; nothing was renamed"


class MigrationBroken(BqxError):  # noqa: N818
    code, exit_code, title = "BQX425", 9, "the server or the connection went away in mid-migration"
    next_step = "`bqx migrate status` says what is renamed; the same command goes on from there"


class MigrationDenied(BqxError):  # noqa: N818
    code, exit_code, title = "BQX426", 6, "the database refused a statement of a migration"
    next_step = "read the server's words; what was not committed is rolled back"


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


class PlanError(BqxError):
    code, exit_code, title = "BQX701", 3, "the plan, or a file added to it, cannot be used"
    next_step = "correct the named key; docs/stages.md lists the keys, and a cycle is printed with its path"


class StageBlocked(BqxError):  # noqa: N818
    code, exit_code, title = "BQX702", 7, "a stage may not run now"
    next_step = "`bqx stage show ID` lists what is in its way; nothing was built and nothing was marked"


class StageFailed(BqxError):  # noqa: N818
    code, exit_code, title = "BQX703", 5, "a stage was built but its evidence does not hold"
    next_step = "read which column or partition differs; the stage keeps its status, and running it again goes on"


class ReportError(BqxError):
    code, exit_code, title = "BQX704", 5, "a stage report cannot be published"
    next_step = "read which sum or number is at fault; the report stays a draft"


class ConsoleError(BqxError):
    code, exit_code, title = "BQX705", 7, "the console cannot be served"
    next_step = "give another `--port`, or end the program that listens there"


class TrackerError(BqxError):
    code, exit_code, title = "BQX711", 9, "the tracker refused a change or gave an answer that cannot be right"
    next_step = "read the reason; the change waits in the outbox: `bqx tracker log --waiting`"


class TrackerUnreachable(TrackerError):  # noqa: N818
    code, exit_code, title = "BQX712", 9, "the tracker cannot be reached now"
    next_step = "nothing is lost: `bqx tracker sync` delivers what waits once the tracker answers"


class TrackerAccess(TrackerError):  # noqa: N818
    code, exit_code, title = "BQX713", 10, "the tracker does not let this token do what is needed"
    next_step = "give the token the named scopes and the base, or store a new one at the secrets provider"


class TrackerSchema(TrackerError):  # noqa: N818
    code, exit_code, title = "BQX714", 3, "the mapping and the tracker's tables disagree"
    next_step = "correct the named line of the mapping file, or the tracker's field; docs/tracker.md"


class TrackerKey(TrackerError):  # noqa: N818
    code, exit_code, title = "BQX715", 5, "a code that must name one record names none or several"
    next_step = "make the code unique in the tracker, then `bqx tracker sync --replay`"


class TrackerConflict(TrackerError):  # noqa: N818
    code, exit_code, title = "BQX716", 5, "somebody changed in the tracker what was about to be written"
    next_step = "look with `bqx tracker diff`; then correct the tracker, or `bqx tracker sync --overwrite CODE`"


class TrackerStale(TrackerError):  # noqa: N818
    code, exit_code, title = "BQX717", 5, "the tracker is not up to date"
    next_step = "run `bqx tracker sync`"


class TrackerDrift(TrackerError):  # noqa: N818
    code, exit_code, title = "BQX718", 5, "the tracker says something else than plan and evidence"
    next_step = "look with `bqx tracker diff`, then `bqx tracker sync`"


class TrackerPayload(TrackerError):  # noqa: N818
    code, exit_code, title = "BQX719", 5, "a change that may not go to a tracker"
    next_step = "a status that claims work names its evidence; nothing that looks like a secret leaves this machine"


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


class TrainingError(BqxError):
    code, exit_code, title = "BQX825", 9, "some cells of a training run failed, or too few are done"
    next_step = "read each cell's reason; the same `bqx train` command tries the failed ones only"


class QuarantinedError(BqxError):
    code, exit_code, title = "BQX826", 5, "a run is quarantined: its skill is too good to be true"
    next_step = "look for the leak; `bqx train sign NAME` runs L1-L6 again and records who answers for it"


class ForecastError(BqxError):
    code, exit_code, title = "BQX827", 6, "a forecast table is absent or not what the contract says"
    next_step = "train the run again under another name; docs/training.md lists the columns"


class RunError(BqxError):
    code, exit_code, title = "BQX828", 6, "a training run is damaged, or the name belongs to another one"
    next_step = "`bqx train list` names the runs; choose another name"


class ArtefactError(BqxError):
    code, exit_code, title = "BQX821", 6, "a model's files are changed, incomplete, unsigned or of a key nobody trusts"
    next_step = "take the artefact from its source again; never add a key to the trusted ones only to make it load"


class EstimatorError(BqxError):
    code, exit_code, title = "BQX822", 5, "an estimator cannot be loaded, breaks its contract or is not admitted"
    next_step = "read which check it fails; everything else works without it: docs/models.md"


class TuningError(BqxError):
    code, exit_code, title = "BQX823", 6, "a study cannot go on, or its result cannot be used"
    next_step = "choose another name for the study, or run `bqx tune` with the options it was begun with"


class IntervalError(BqxError):
    code, exit_code, title = "BQX824", 5, "prediction intervals cannot be calibrated"
    next_step = "give a longer history: a calibration part needs enough rows that training did not see"


class EvaluationError(BqxError):
    code, exit_code, title = "BQX831", 5, "the forecasts of a run cannot be judged"
    next_step = "read how many rows, pairs or columns are missing; train on more folds or a longer history"


class BacktestError(BqxError):
    code, exit_code, title = "BQX834", 2, "a backtest was set up in a way that cannot be"
    next_step = "correct the named setting; docs/backtest.md lists them"


class BacktestInputError(BqxError):
    code, exit_code, title = "BQX835", 4, "forecasts and bars do not give a backtest"
    next_step = "read what is missing: forecasts of the run, bars of its pairs, or enough days and trades"


class BrokerError(BqxError):
    code, exit_code, title = "BQX836", 5, "an order or a bar that the simulated broker cannot take"
    next_step = "orders need known pairs and unique ids; bars must come in order, a minute once"


class RegistryError(BqxError):
    code, exit_code, title = "BQX837", 6, "the registry of models is damaged, or a model in it has changed meanwhile"
    next_step = "`bqx models list` shows what it holds; artefacts and runs are not touched"


class PromotionRefused(BqxError):  # noqa: N818 - what happened, not what went wrong
    code, exit_code, title = "BQX838", 5, "a model has not passed the gates that its next state asks for"
    next_step = "`bqx models show NAME` lists every gate, its evidence and the command that makes what is missing"


class LiveStateError(BqxError):
    code, exit_code, title = "BQX841", 6, "the live state cannot be used"
    next_step = "`bqx live state rebuild` makes it again from the stored bars; nothing was served from it"


class FeedError(BqxError):
    code, exit_code, title = "BQX842", 3, "a live feed gives what is no bar of this project"
    next_step = "look at the named line or message; correct the feed's format, clock or instruments"


class BarRefused(BqxError):  # noqa: N818
    code, exit_code, title = "BQX843", 4, "a live bar came too late, from the future, or was impossible"
    next_step = "import the corrected bars with `bqx bars import`, then `bqx live state rebuild`"


class LiveError(BqxError):
    code, exit_code, title = "BQX844", 5, "live values cannot be made"
    next_step = "read what is missing: bars of the look-back, a pair, or the lease that another process holds"


class ServeError(BqxError):
    code, exit_code, title = "BQX846", 7, "the prediction API cannot be served"
    next_step = "read what is missing: a free port, a trained run, an API key (`bqx serve keys make LABEL`)"


class ModelRefused(BqxError):  # noqa: N818
    code, exit_code, title = "BQX847", 5, "a model cannot be served"
    next_step = "the model in service before it stays; train again, or with the catalogue this bqx has"


class NoPrediction(BqxError):  # noqa: N818
    """No forecast can be given now. reason : `stale`, `closed`, `no_row`, `no_volatility`, `no_model`, `busy`."""

    code, exit_code, title = "BQX848", 5, "there is no prediction for this pair at this time"
    next_step = "read the reason: stale data, a closed market, a minute that is not in the store, or no model"

    def __init__(self, reason: str, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.reason = reason
        super().__init__(what, where=where, fix=fix)


class ApiKeyError(BqxError):
    code, exit_code, title = "BQX849", 10, "an API key cannot be made, found or checked"
    next_step = "`bqx serve keys list`; a lost key cannot be shown again, make another and revoke it"


class MonitorError(BqxError):
    code, exit_code, title = "BQX851", 3, "the monitors cannot run as they are set"
    next_step = "correct the named key of monitor.toml, or make what is missing; docs/monitoring.md lists both"


class MonitorInputError(BqxError):
    code, exit_code, title = "BQX852", 4, "a monitor got arrays, tables or a state that it cannot judge"
    next_step = "read which; a reference needs enough trade days, a state file must be one that `bqx monitor run` wrote"


class AlertFailed(BqxError):  # noqa: N818
    code, exit_code, title = "BQX853", 12, "an alert could not be delivered"
    next_step = "it stays in monitor/alerts.jsonl and is sent again with the next run; look at the named sink"


class PaperError(BqxError):
    code, exit_code, title = "BQX854", 5, "paper trading cannot go on"
    next_step = "read which file disagrees; forecasts and settings of a paper book may not change once it has begun"


class ClusterError(BqxError):
    code, exit_code, title = "BQX861", 12, "a cluster or one of its workers cannot be used"
    next_step = "read which worker and why; what was built is kept, and running it again goes on"


class WorkerMismatch(ClusterError):  # noqa: N818
    code, exit_code, title = "BQX862", 12, "a worker has other versions, settings or data than the coordinator"
    next_step = "give the named worker the same bqx, packages and bqx.toml, then run it again"


class ObjectError(BqxError):
    code, exit_code, title = "BQX863", 12, "the object storage refused, could not be reached, or did not answer in time"
    next_step = "read what it said; what was built is kept, and running it again goes on"


class CloudError(BqxError):
    code, exit_code, title = "BQX880", 12, "the cloud refused, could not be reached, or did not answer in time"
    next_step = "read what it said; what was done is recorded in cloud/state.sqlite, and the same command goes on"


class DeploymentError(CloudError):
    code, exit_code, title = "BQX881", 3, "cloud.toml, or what it names, cannot be used"
    next_step = "correct the named key; docs/cloud.md lists them"


class CloudThrottled(CloudError):  # noqa: N818 - what happened
    code, exit_code, title = "BQX882", 12, "the cloud asked to slow down for too long"
    next_step = "wait a few minutes and run the same command again; it goes on where it stopped"


class CloudCredentials(CloudError):  # noqa: N818
    code, exit_code, title = "BQX883", 10, "there are no credentials for the cloud, or they are refused or expired"
    next_step = "log in again, or store new keys at the secrets provider; then run the same command again"


class CloudDenied(CloudError):  # noqa: N818
    code, exit_code, title = "BQX884", 10, "the cloud does not allow this to these credentials"
    next_step = "give the role the documents that `bqx cloud policy` prints, then run the same command again"


class CloudQuota(CloudError):  # noqa: N818
    code, exit_code, title = "BQX885", 12, "a quota of the cloud account is used up"
    next_step = "have the named quota raised, or ask for less in cloud.toml; then run the same command again"


class CloudConflict(CloudError):  # noqa: N818
    code, exit_code, title = "BQX886", 5, "something of that name is there already, or is being changed"
    next_step = "what lacks the deployment's tag is never touched: choose another prefix, or wait for the change to end"


class CloudHalfMade(CloudError):  # noqa: N818
    code, exit_code, title = "BQX887", 9, "something did not come up in the cloud"
    next_step = "read its reason; `bqx cloud apply` makes it again, `bqx cloud destroy` removes it"


class CloudDrift(CloudError):  # noqa: N818
    code, exit_code, title = "BQX888", 5, "what is in the cloud is not what cloud.toml says"
    next_step = "`bqx cloud plan` lists the differences, `bqx cloud apply` ends them"


class CloudJobsFailed(CloudError):  # noqa: N818
    code, exit_code, title = "BQX889", 9, "too few jobs in the cloud succeeded"
    next_step = "read each job's reason; the same command tries the failed ones only"


class ShiftRolledBack(CloudError):  # noqa: N818
    code, exit_code, title = "BQX890", 5, "a new release was taken back, or its traffic cannot be moved now"
    next_step = "`bqx cloud status` shows what was measured at which share; the release before serves"


class CloudStateError(CloudError):
    code, exit_code, title = "BQX891", 6, "cloud/state.sqlite cannot be used"
    next_step = "move it away: `bqx cloud verify` and `destroy` find what is there by name and tag without it"


class PolicyError(CloudError):
    code, exit_code, title = "BQX892", 5, "a policy document allows more than it may, or not what is called"
    next_step = "correct src/bqx/ops/cloud/permissions.py, then `python -m bqx.ops.cloud.policy`"


class LeftBehind(CloudError):  # noqa: N818
    code, exit_code, title = "BQX893", 9, "some of a deployment could not be removed"
    next_step = "read each reason and run `bqx cloud destroy` again; until then it may cost money"


class Unsupported(BqxError):  # noqa: N818
    code, exit_code, title = "BQX901", 11, "this platform, store or file version does not support that"
    next_step = "use the alternative the message names"


def catalogue() -> list[type[BqxError]]:
    """All error classes with a code of their own, by code; ``docs/errors.md`` is generated from it."""
    found: list[type[BqxError]] = [BqxError]
    queue = list(BqxError.__subclasses__())
    while queue:
        cls = queue.pop()
        if "code" in vars(cls):
            found.append(cls)
        queue.extend(cls.__subclasses__())
    return sorted(found, key=lambda c: c.code)
