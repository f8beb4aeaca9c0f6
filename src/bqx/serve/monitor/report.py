"""The latest look as a page."""

from __future__ import annotations

from typing import Any

from bqx.base.report import Badge, Heading, KeyValues, Note, Report, Table, Text, Tone

TONES: dict[str, Tone] = {"critical": "bad", "warning": "warn", "info": "plain", "good": "good", "failed": "bad",
                          "not judged": "plain"}  # fmt: skip


def monitor_report(look: dict[str, Any]) -> Report:
    """look : as `monitor/latest.json` holds it."""
    report = Report(
        "Monitors",
        subtitle=f"models of {look['models']}, looked at {look['at']}",
        banner="SIMULATED DATA" if look["simulated"] else None,
    )
    counts = {s: sum(f["severity"] == s for f in look["findings"]) for s in ("critical", "warning", "info")}
    report.add(KeyValues(list(counts.items())), Heading("Sections"))
    rows = [[name, Badge(s["state"], TONES[s["state"]]), s.get("why", "")] for name, s in look["sections"].items()]
    report.add(Table(["section", "state", "why"], rows))
    report.add(Heading("Findings"))
    if look["findings"]:
        body = [[Badge(f["severity"], TONES[f["severity"]]), f["key"], f["what"], f"docs/runbooks.md#{f['check']}"]
                for f in look["findings"]]  # fmt: skip
        report.add(Table(["severity", "alert", "what", "runbook"], body))
    else:
        report.add(Text("None."))
    for silence in look["silences"]:
        report.add(Note(f"`{silence['pattern']}` is silenced by {silence['by']}: {silence['why']}", "warn"))
    for sink, why in look["undelivered"].items():
        report.add(Note(f"{sink} did not take the alerts: {why}. They are sent again.", "bad"))
    _details(report, look["sections"])
    return report


def _details(report: Report, sections: dict[str, Any]) -> None:
    drift = sections.get("drift", {}).get("seen")
    if drift:
        told = (
            "Score: deviations beyond resamples of the reference's own days, in blocks. Columns are counted at a false "
            "discovery rate of 5 %; only a domain raises an alarm."
        )
        report.add(Heading("Drift"), Text(told))
        report.add(Table(["domain", "columns", "score", "p", "columns with drift", "most", "its PSI"], [
            [d[k] for k in ("domain", "features", "score", "p", "drifted_count", "worst", "psi")]
            for d in drift["domains"]]))  # fmt: skip
    series = sections.get("performance", {}).get("seen")
    if series:
        report.add(Heading("Performance"), Table(
            ["series", "days", "latest", "in the reference", "CUSUM", "limit", "days to a false alarm"],
            [[s["series"], s["days"], s["latest"], s["reference_mean"], s["sum"], s["h"], s["run_length"]]
             for s in series["series"]]))  # fmt: skip
    parity = sections.get("parity", {}).get("seen")
    if parity:
        heads = ["what", "compared", "different", "built again since"]
        rows = [[k, p["compared"], sum(p["differing"].values()), len(p["revised"])] for k, p in parity.items()]
        report.add(Heading("Served and computed again"), Table(heads, rows))
    again = sections.get("retrain", {}).get("seen")
    if again:
        report.add(Heading("Training"), Text(again["decision"]["what"]))
        if again["comparison"] is not None:
            c = again["comparison"]
            report.add(Text(f"{c['challenger']} against {c['champion']}: the {c['keeps']} serves on."))
