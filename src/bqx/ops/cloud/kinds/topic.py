"""Where alarms and the budget tell: a topic, and the addresses that hear it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from bqx.base.secret import Secret
from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.kinds.kind import Have, Wanted
from bqx.ops.cloud.kinds.secret import fingerprint
from bqx.ops.cloud.names import tag_list

SENDERS = ("budgets.amazonaws.com", "cloudwatch.amazonaws.com")


def values(arn: str, account: str, mail: Secret | None) -> dict[str, Any]:
    """policy : who may send. mail : fingerprint of the address, so that it is not shown."""
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": sender.partition(".")[0], "Effect": "Allow", "Principal": {"Service": sender},
             "Action": "SNS:Publish", "Resource": arn, "Condition": {"StringEquals": {"aws:SourceAccount": account}}}
            for sender in SENDERS
        ],
    }  # fmt: skip
    return {"policy": policy, "mail": [] if mail is None else [fingerprint(mail.reveal())]}


@dataclass(frozen=True)
class Topic:
    name: str = "topic"
    disposable: bool = False

    def have(self, aws: Aws, name: str) -> Have | None:
        arn = aws.arn("sns", name)
        said = aws.find("sns", "GetTopicAttributes", TopicArn=arn)
        if said is None:
            return None
        heard = aws.pages("sns", "ListSubscriptionsByTopic", "Subscriptions", TopicArn=arn)
        tags = aws.call("sns", "ListTagsForResource", ResourceArn=arn)["Tags"]
        there = {
            "policy": json.loads(said["Attributes"].get("Policy", "null")),
            "mail": sorted(fingerprint(s["Endpoint"]) for s in heard if s["Protocol"] == "email"),
        }
        return Have(there, {t["Key"]: t["Value"] for t in tags})

    def create(self, aws: Aws, want: Wanted) -> None:
        policy = json.dumps(want.values["policy"])
        aws.call("sns", "CreateTopic", Name=want.name, Attributes={"Policy": policy}, Tags=tag_list(want.tags))
        mail: Secret | None = want.hidden.get("mail")
        if mail is not None:
            aws.call("sns", "Subscribe", TopicArn=aws.arn("sns", want.name), Protocol="email",
                     Endpoint=mail.reveal())  # fmt: skip

    def update(self, aws: Aws, want: Wanted) -> bool:
        """Another address, another policy: made again."""
        return False

    def delete(self, aws: Aws, name: str) -> None:
        aws.gone("sns", "DeleteTopic", TopicArn=aws.arn("sns", name))

    def listed(self, aws: Aws, prefix: str) -> list[str]:
        names = (t["TopicArn"].rpartition(":")[2] for t in aws.pages("sns", "ListTopics", "Topics"))
        return sorted(n for n in names if n == f"{prefix}-alerts")


TOPIC = Topic()
