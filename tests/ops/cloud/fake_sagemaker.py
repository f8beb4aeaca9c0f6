"""SageMaker as far as bqx uses it, with what moto lacks: progress, failures, stops, updates, schedules, traffic."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from fake_model import fitting, operation

PAGE = 10
"""Items of a listing, as the service has them."""
ARN_KINDS = {
    "Model": "model", "EndpointConfig": "endpoint-config", "Endpoint": "endpoint",
    "ModelPackageGroup": "model-package-group", "FeatureGroup": "feature-group",
    "MonitoringSchedule": "monitoring-schedule", "ProcessingJob": "processing-job", "TrainingJob": "training-job",
    "HyperParameterTuningJob": "hyper-parameter-tuning-job",
}  # fmt: skip
JOBS = ("ProcessingJob", "TrainingJob", "HyperParameterTuningJob")
LISTS = {
    "ListModels": ("Model", "Models"), "ListEndpointConfigs": ("EndpointConfig", "EndpointConfigs"),
    "ListEndpoints": ("Endpoint", "Endpoints"),
    "ListMonitoringSchedules": ("MonitoringSchedule", "MonitoringScheduleSummaries"),
    "ListModelPackageGroups": ("ModelPackageGroup", "ModelPackageGroupSummaryList"),
    "ListFeatureGroups": ("FeatureGroup", "FeatureGroupSummaries"),
    "ListProcessingJobs": ("ProcessingJob", "ProcessingJobSummaries"),
    "ListTrainingJobs": ("TrainingJob", "TrainingJobSummaries"),
    "ListHyperParameterTuningJobs": ("HyperParameterTuningJob", "HyperParameterTuningJobSummaries"),
}  # fmt: skip
_NO_COUNT = {"Completed": 0, "InProgress": 0, "RetryableError": 0, "NonRetryableError": 0, "Stopped": 0}


class Refused(Exception):
    """An error of the service."""

    def __init__(self, code: str, said: str, status: int = 400) -> None:
        super().__init__(said)
        self.code, self.said, self.status = code, said, status


class Things:
    """Everything there is. busy : describes until something that is being made is ready.

    job_end, endpoint_end : (name, request) -> what becomes of it; the default is success. on_done : after a job.
    quota : jobs of a kind that may run at once.
    """

    def __init__(self, region: str, account: str, now: Callable[[], float]) -> None:
        self.region, self.account, self.now = region, account, now
        self.all: dict[str, dict[str, dict[str, Any]]] = {k: {} for k in ARN_KINDS}
        self.packages: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.records: list[dict[str, Any]] = []
        self.scaled: set[str] = set()
        self.busy, self.quota = 1, {"TrainingJob": 100, "ProcessingJob": 100, "HyperParameterTuningJob": 100}
        self.most_running = dict.fromkeys(JOBS, 0)
        self.job_end: Callable[[str, Mapping[str, Any]], dict[str, Any]] = lambda name, asked: {}
        self.endpoint_end: Callable[[str, str], str] = lambda name, config: ""
        self.on_done: Callable[[str, dict[str, Any]], None] = lambda noun, record: None

    def arn(self, noun: str, name: str) -> str:
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{ARN_KINDS[noun]}/{name}"

    def tags_of(self, arn: str) -> dict[str, str]:
        return self.tags.get(arn, {})

    def do(self, name: str, p: dict[str, Any]) -> dict[str, Any]:
        """The answer of an operation, as the model names its members."""
        own = getattr(self, f"_{name}", None)
        if own is not None:
            return dict(own(p))
        if name in LISTS:
            return self._list(name, p)
        verb = next(v for v in ("Create", "Describe", "Update", "Delete", "Stop") if name.startswith(v))
        return dict(getattr(self, f"_{verb.lower()}")(name.removeprefix(verb), p))

    def _time(self) -> datetime:
        return datetime.fromtimestamp(self.now(), UTC)

    def _create(self, noun: str, p: dict[str, Any]) -> dict[str, Any]:
        name = p[f"{noun}Name"]
        if name in self.all[noun]:
            what = f"Cannot create already existing {ARN_KINDS[noun]} {name}"
            inuse = noun in (*JOBS, "FeatureGroup", "MonitoringSchedule")
            raise Refused("ResourceInUse" if inuse else "ValidationException", what)
        if noun in JOBS:
            running = sum(r[f"{noun}Status"] == "InProgress" for r in self.all[noun].values())
            if running >= self.quota[noun]:
                raise Refused("ResourceLimitExceeded", f"The account-level service limit for {noun} is {running}")
            self.most_running[noun] = max(self.most_running[noun], running + 1)
        arn = self.arn(noun, name)
        self.tags[arn] = {t["Key"]: t["Value"] for t in p.get("Tags", ())}
        record = {k: v for k, v in p.items() if k != "Tags"}
        record |= {f"{noun}Arn": arn, "CreationTime": self._time(), "LastModifiedTime": self._time()}
        record |= {"left": self.busy, **self._begun(noun, record)}
        self.all[noun][name] = record
        return {f"{noun}Arn": arn}

    def _begun(self, noun: str, p: dict[str, Any]) -> dict[str, Any]:
        """What is there of it at once."""
        if noun in JOBS:
            more: dict[str, Any] = {f"{noun}Status": "InProgress"}
            if noun == "TrainingJob":
                home = f"{p['OutputDataConfig']['S3OutputPath']}{p['TrainingJobName']}/output/model.tar.gz"
                more |= {"SecondaryStatus": "Training", "ModelArtifacts": {"S3ModelArtifacts": home}}
            if noun == "HyperParameterTuningJob":
                more |= {"TrainingJobStatusCounters": dict(_NO_COUNT), "ObjectiveStatusCounters": {
                    "Succeeded": 0, "Pending": 0, "Failed": 0},
                    "Strategy": p["HyperParameterTuningJobConfig"]["Strategy"]}  # fmt: skip
            return more
        if noun == "Endpoint":
            self._config(p["EndpointConfigName"])
            return {"EndpointStatus": "Creating", "wanted": p["EndpointConfigName"], "ProductionVariants": []}
        if noun == "EndpointConfig":
            for v in p["ProductionVariants"]:
                self._get("Model", v["ModelName"])
        if noun == "MonitoringSchedule":
            job = p["MonitoringScheduleConfig"]["MonitoringJobDefinition"]
            endpoint = job["MonitoringInputs"][0]["EndpointInput"]["EndpointName"]
            self._get("Endpoint", endpoint)
            return {"MonitoringScheduleStatus": "Pending", "EndpointName": endpoint,
                    "MonitoringType": p["MonitoringScheduleConfig"]["MonitoringType"]}  # fmt: skip
        if noun == "ModelPackageGroup":
            return {"ModelPackageGroupStatus": "Pending", "CreatedBy": {}}
        return {"FeatureGroupStatus": "Creating", "NextToken": ""} if noun == "FeatureGroup" else {}

    def _describe(self, noun: str, p: dict[str, Any]) -> dict[str, Any]:
        record = self._get(noun, p[f"{noun}Name"])
        if record["left"] > 0:
            record["left"] -= 1
        else:
            self._ready(noun, record)
        shape = operation("sagemaker", f"Describe{noun}").output_shape
        if noun not in self.all or p[f"{noun}Name"] not in self.all[noun]:
            raise self._absent(noun, p[f"{noun}Name"])
        return fitting(record, shape)

    def _ready(self, noun: str, r: dict[str, Any]) -> None:
        """What was under way has ended."""
        name, status = r[f"{noun}Name"], r.get(f"{noun}Status")
        if noun in JOBS and status in ("InProgress", "Stopping"):
            end = {f"{noun}Status": "Completed"} | ({"SecondaryStatus": "Completed"} if noun == "TrainingJob" else {})
            if status == "Stopping":
                end = {f"{noun}Status": "Stopped"} | ({"SecondaryStatus": "Stopped"} if noun == "TrainingJob" else {})
            else:
                end |= self.job_end(name, r)
            r.update(end)
            if r[f"{noun}Status"] == "Completed":
                self.on_done(noun, r)
        if noun == "Endpoint" and status in ("Creating", "Updating"):
            self._serve(r)
        if noun in ("Endpoint", "FeatureGroup") and status == "Deleting":
            del self.all[noun][name]
            del self.tags[r[f"{noun}Arn"]]
        if noun == "MonitoringSchedule" and status == "Pending":
            r["MonitoringScheduleStatus"] = "Scheduled"
        if noun == "ModelPackageGroup":
            r["ModelPackageGroupStatus"] = "Completed"
        if noun == "FeatureGroup":
            r["FeatureGroupStatus"] = "Created"

    def _serve(self, r: dict[str, Any]) -> None:
        """An endpoint has come up, or has been changed; or it failed, and then it keeps what it had."""
        if "weights" in r:
            for v in r["ProductionVariants"]:
                v["CurrentWeight"] = v["DesiredWeight"] = r["weights"].get(v["VariantName"], v["CurrentWeight"])
            del r["weights"]
            r["EndpointStatus"] = "InService"
            return
        if reason := self.endpoint_end(r["EndpointName"], r["wanted"]):
            r["FailureReason"] = reason
            r["EndpointStatus"] = "Failed" if r["EndpointStatus"] == "Creating" else "InService"
            return
        config = self._config(r["wanted"])
        kept = {v["VariantName"]: v for v in r["ProductionVariants"]} if r.get("retain") else {}
        out = []
        for v in config["ProductionVariants"]:
            old = kept.get(v["VariantName"])
            weight = old["CurrentWeight"] if old else v["InitialVariantWeight"]
            count = old["CurrentInstanceCount"] if old else v["InitialInstanceCount"]
            out.append({"VariantName": v["VariantName"], "CurrentWeight": weight, "DesiredWeight": weight,
                        "CurrentInstanceCount": count, "DesiredInstanceCount": count})  # fmt: skip
        if r["EndpointStatus"] == "Creating":
            r.pop("FailureReason", None)
        r |= {"EndpointStatus": "InService", "EndpointConfigName": r["wanted"], "ProductionVariants": out,
              "LastModifiedTime": self._time()}  # fmt: skip

    def _update(self, noun: str, p: dict[str, Any]) -> dict[str, Any]:
        r = self._get(noun, p[f"{noun}Name"])
        if noun == "Endpoint":
            self._idle(r)
            config = self._config(p["EndpointConfigName"])
            stay = {v["VariantName"] for v in config["ProductionVariants"]}
            gone = [v["VariantName"] for v in r["ProductionVariants"] if v["VariantName"] not in stay]
            for variant in gone:
                if f"endpoint/{r['EndpointName']}/variant/{variant}" in self.scaled:
                    raise Refused("ValidationException", f"The variant {variant} is a scalable target; deregister it")
            r |= {"EndpointStatus": "Updating", "wanted": p["EndpointConfigName"], "left": self.busy,
                  "retain": p.get("RetainAllVariantProperties", False)}  # fmt: skip
        else:
            r.update(p)
        return {f"{noun}Arn": r[f"{noun}Arn"]}

    def _UpdateEndpointWeightsAndCapacities(self, p: dict[str, Any]) -> dict[str, Any]:
        r = self._get("Endpoint", p["EndpointName"])
        self._idle(r)
        names = {v["VariantName"] for v in r["ProductionVariants"]}
        asked = {w["VariantName"]: w["DesiredWeight"] for w in p["DesiredWeightsAndCapacities"]}
        if unknown := set(asked) - names:
            raise Refused("ValidationException", f"The variants {sorted(unknown)} are not part of the endpoint")
        r |= {"EndpointStatus": "Updating", "weights": asked, "left": self.busy}
        return {"EndpointArn": r["EndpointArn"]}

    @staticmethod
    def _idle(r: dict[str, Any]) -> None:
        if r["EndpointStatus"] != "InService":
            raise Refused("ValidationException", "Cannot update in-progress endpoint " + r["EndpointArn"])

    def _delete(self, noun: str, p: dict[str, Any]) -> dict[str, Any]:
        name = p[f"{noun}Name"]
        r = self._get(noun, name)
        if noun == "Endpoint":
            if r["EndpointStatus"] in ("Creating", "Updating"):
                raise Refused("ValidationException", "Cannot update in-progress endpoint " + r["EndpointArn"])
            r |= {"EndpointStatus": "Deleting", "left": self.busy}
            return {}
        if noun == "FeatureGroup":
            r |= {"FeatureGroupStatus": "Deleting", "left": self.busy}
            return {}
        if noun == "EndpointConfig":
            self._unused(name, "Endpoint", lambda e: name in (e.get("EndpointConfigName"), e["wanted"]))
        if noun == "Model":
            self._unused(name, "EndpointConfig", lambda c: any(v["ModelName"] == name for v in c["ProductionVariants"]))
        if noun == "ModelPackageGroup" and any(x["ModelPackageGroupName"] == name for x in self.packages.values()):
            raise Refused("ConflictException", "Cannot delete a group that holds versions")
        if noun in JOBS and r[f"{noun}Status"] in ("InProgress", "Stopping"):
            raise Refused("ResourceInUse", f"{name} is in progress")
        del self.all[noun][name]
        del self.tags[r[f"{noun}Arn"]]
        return {}

    def _unused(self, name: str, by: str, uses: Callable[[dict[str, Any]], bool]) -> None:
        """The service allows this and breaks what uses it; bqx must never do it."""
        if users := [u for u, r in self.all[by].items() if uses(r)]:
            raise Refused("ValidationException", f"{name} is in use by {users}")

    def _stop(self, noun: str, p: dict[str, Any]) -> dict[str, Any]:
        r = self._get(noun, p[f"{noun}Name"])
        if r[f"{noun}Status"] == "InProgress":
            r |= {f"{noun}Status": "Stopping", "left": self.busy}
            if noun == "TrainingJob":
                r["SecondaryStatus"] = "Stopping"
        return {}

    def _list(self, name: str, p: dict[str, Any]) -> dict[str, Any]:
        noun, items = LISTS[name]
        shape = operation("sagemaker", name).output_shape.members[items].member
        found = [r for n, r in sorted(self.all[noun].items()) if p.get("NameContains", "") in n]
        return self._page(items, [fitting(r, shape) for r in found], p)

    @staticmethod
    def _page(items: str, found: list[dict[str, Any]], p: dict[str, Any]) -> dict[str, Any]:
        at, size = int(p.get("NextToken", 0)), p.get("MaxResults", PAGE)
        more = {"NextToken": str(at + size)} if at + size < len(found) else {}
        return {items: found[at : at + size], **more}

    def _ListTags(self, p: dict[str, Any]) -> dict[str, Any]:
        tags = [{"Key": k, "Value": v} for k, v in self.tags_of(p["ResourceArn"]).items()]
        return {"Tags": tags}

    def _CreateModelPackage(self, p: dict[str, Any]) -> dict[str, Any]:
        group = p["ModelPackageGroupName"]
        self._get("ModelPackageGroup", group)
        version = 1 + max((r["ModelPackageVersion"] for r in self.packages.values()
                           if r["ModelPackageGroupName"] == group), default=0)  # fmt: skip
        arn = f"arn:aws:sagemaker:{self.region}:{self.account}:model-package/{group}/{version}"
        self.packages[arn] = {
            **p, "ModelPackageName": f"{group}/{version}", "ModelPackageArn": arn, "ModelPackageVersion": version,
            "CreationTime": self._time(), "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": []},
        }  # fmt: skip
        return {"ModelPackageArn": arn}

    def _package(self, arn: str) -> dict[str, Any]:
        if arn not in self.packages:
            raise Refused("ValidationException", f"ModelPackage {arn} does not exist.")
        return self.packages[arn]

    def _DescribeModelPackage(self, p: dict[str, Any]) -> dict[str, Any]:
        record = self._package(p["ModelPackageName"])
        return fitting(record, operation("sagemaker", "DescribeModelPackage").output_shape)

    def _UpdateModelPackage(self, p: dict[str, Any]) -> dict[str, Any]:
        self._package(p["ModelPackageArn"]).update(p)
        return {"ModelPackageArn": p["ModelPackageArn"]}

    def _DeleteModelPackage(self, p: dict[str, Any]) -> dict[str, Any]:
        self._package(p["ModelPackageName"])
        del self.packages[p["ModelPackageName"]]
        return {}

    def _ListModelPackages(self, p: dict[str, Any]) -> dict[str, Any]:
        shape = operation("sagemaker", "ListModelPackages").output_shape.members["ModelPackageSummaryList"].member
        mine = [r for r in self.packages.values() if r["ModelPackageGroupName"] == p["ModelPackageGroupName"]]
        return self._page("ModelPackageSummaryList", [fitting(r, shape) for r in mine], p)

    def _PutRecord(self, p: dict[str, Any]) -> dict[str, Any]:
        group = self._get("FeatureGroup", p["FeatureGroupName"])
        known = {d["FeatureName"] for d in group["FeatureDefinitions"]}
        given = {f["FeatureName"] for f in p["Record"]}
        lacking = {group["RecordIdentifierFeatureName"], group["EventTimeFeatureName"]} - given
        if given - known or lacking:
            raise Refused("ValidationError", f"unknown {sorted(given - known)}, missing {sorted(lacking)}")
        self.records.append(p)
        return {}

    def _config(self, name: str) -> dict[str, Any]:
        return self._get("EndpointConfig", name)

    def _get(self, noun: str, name: str) -> dict[str, Any]:
        if name not in self.all[noun]:
            raise self._absent(noun, name)
        return self.all[noun][name]

    @staticmethod
    def _absent(noun: str, name: str) -> Refused:
        if noun in (*JOBS, "FeatureGroup", "MonitoringSchedule"):
            return Refused("ResourceNotFound", f"Requested resource not found: {name}")
        return Refused("ValidationException", f'Could not find {ARN_KINDS[noun]} "{name}" (does not exist).')


def as_text(record: Mapping[str, Any]) -> str:
    """For looking for secrets."""
    return json.dumps(record, default=str)
