"""The month's budget of what bears our tag: tells when the forecast, or the cost, passes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bqx.ops.cloud.aws import Aws
from bqx.ops.cloud.description import OWNER
from bqx.ops.cloud.kinds.kind import Have, Wanted


def values(prefix: str, monthly: float, warn: int) -> dict[str, Any]:
    return {
        "amount": monthly,
        "filter": [f"user:{OWNER}${prefix}"],
        "notices": [["ACTUAL", 100], ["FORECASTED", warn]],
    }


@dataclass(frozen=True)
class Budget:
    name: str = "budget"
    disposable: bool = True

    def have(self, aws: Aws, name: str) -> Have | None:
        who = {"AccountId": aws.account, "BudgetName": name}
        answer = aws.find("budgets", "DescribeBudget", **who)
        if answer is None:
            return None
        said = answer["Budget"]
        notices = aws.pages("budgets", "DescribeNotificationsForBudget", "Notifications", **who)
        there = {
            "amount": float(said["BudgetLimit"]["Amount"]),
            "filter": said.get("CostFilters", {}).get("TagKeyValue", []),
            "notices": sorted([n["NotificationType"], n["Threshold"]] for n in notices),
        }
        return Have(there, None)

    def create(self, aws: Aws, want: Wanted) -> None:
        v = want.values
        aws.call(
            "budgets", "CreateBudget", AccountId=aws.account,
            Budget={
                "BudgetName": want.name, "BudgetType": "COST", "TimeUnit": "MONTHLY",
                "BudgetLimit": {"Amount": f"{v['amount']:.2f}", "Unit": "USD"},
                "CostFilters": {"TagKeyValue": v["filter"]},
            },
            NotificationsWithSubscribers=[
                {
                    "Notification": {"NotificationType": kind, "ComparisonOperator": "GREATER_THAN",
                                     "Threshold": float(percent), "ThresholdType": "PERCENTAGE"},
                    "Subscribers": [{"SubscriptionType": "SNS", "Address": want.hidden["topic"]}],
                }
                for kind, percent in v["notices"]
            ],
        )  # fmt: skip

    def update(self, aws: Aws, want: Wanted) -> bool:
        return False

    def delete(self, aws: Aws, name: str) -> None:
        aws.gone("budgets", "DeleteBudget", AccountId=aws.account, BudgetName=name)

    def listed(self, aws: Aws, prefix: str) -> list[str]:
        """There is one of ours, of a known name."""
        name = f"{prefix}-monthly"
        who = {"AccountId": aws.account, "BudgetName": name}
        return [] if aws.find("budgets", "DescribeBudget", **who) is None else [name]


BUDGET = Budget()
