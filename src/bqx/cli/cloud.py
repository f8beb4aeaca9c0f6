"""`bqx cloud`: plan, apply, verify, status, destroy, submit, shift, policy."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from bqx.cli.cloud_submit import submit
from bqx.cli.common import App, dry_run_option, emit, json_option, yes_option

if TYPE_CHECKING:
    from bqx.ops.cloud.compare import Change
    from bqx.ops.cloud.destroy import Gone


@click.group()
def cloud() -> None:
    """A deployment in AWS, described in cloud.toml: exercised against local servers only, see docs/cloud.md."""


@cloud.command()
@json_option
@click.pass_obj
def plan(app: App, as_json: bool) -> None:
    """What `apply` would do, as a difference of what is wanted and what is there; changes nothing."""
    from bqx.ops.cloud.cloud import Cloud

    with closing(app.open()) as project:
        found = Cloud.of(project).plan()
    emit({"changes": [c.as_dict() for c in found], "pending": sum(c.action != "keep" for c in found)}, as_json,
         lambda: _say(found))  # fmt: skip


@cloud.command()
@dry_run_option
@json_option
@click.pass_obj
def apply(app: App, dry_run: bool, as_json: bool) -> None:
    """Make what is wanted, one recorded step at a time; after a kill the same command goes on."""
    from bqx.ops.cloud.cloud import Cloud

    with closing(app.open()) as project:
        made = Cloud.of(project)
        found = made.plan() if dry_run else made.apply(_note)
    emit({"dry_run": dry_run, "changes": [c.as_dict() for c in found]}, as_json, lambda: _say(found))


@cloud.command()
@json_option
@click.pass_obj
def verify(app: App, as_json: bool) -> None:
    """Compare all that is there with what is wanted; exit code 5 when anything differs."""
    from bqx.ops.cloud.cloud import Cloud

    with closing(app.open()) as project:
        found = Cloud.of(project).verify()
    emit({"things": [c.as_dict() for c in found]}, as_json, f"{len(found)} things are as wanted")


@cloud.command()
@json_option
@click.pass_obj
def status(app: App, as_json: bool) -> None:
    """What serves, what was begun and not finished, jobs, the last steps; from this machine's record."""
    from bqx.ops.cloud.cloud import Cloud

    with closing(app.open()) as project:
        data = Cloud.of(project).status()

    def text() -> None:
        serving, kept, moving = data["serving"], data["kept"], data["shift"]
        click.echo(f"deployment {data['prefix']} in {data['region']}")
        click.echo(f"serving    {serving['id'] if serving else 'nothing yet'}; before it {kept['id'] if kept else '-'}")
        if moving:
            click.echo(f"moving     to {moving['to']['id']}, phase {moving['phase']}")
        for look in (moving or data["last_shift"] or {}).get("looks", []):
            new = look["new"]
            p99 = "-" if new["p99_ms"] is None else f"{new['p99_ms']:.0f} ms"
            click.echo(f"  {look['share']:3} %  {new['requests']} requests, {new['errors']} errors, P99 {p99}: "
                       f"{look['verdict']} {'; '.join(look['reasons'])}")  # fmt: skip
        for step in data["unfinished"]:
            click.echo(f"unfinished {step['action']} {step['kind']} {step['name']}: {step['outcome']} {step['detail']}")
        states: dict[str, int] = {}
        for job in data["jobs"]:
            key = f"{job['kind']} {job['run']}: {job['status']}"
            states[key] = states.get(key, 0) + 1
        for key, count in sorted(states.items()):
            click.echo(f"jobs       {key} {count}")

    emit(data, as_json, text)


@cloud.command()
@yes_option
@dry_run_option
@json_option
@click.pass_obj
def destroy(app: App, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Remove everything that bears the deployment's names and tag: endpoint, jobs, buckets with all that is in them."""
    from bqx.base.errors import UsageError
    from bqx.ops.cloud.cloud import Cloud

    if not (yes or dry_run):
        raise UsageError("this removes data, too", fix="look with --dry-run, then say --yes")
    with closing(app.open()) as project:
        gone = Cloud.of(project).destroy(dry_run=dry_run, note=_note)
    emit({"dry_run": dry_run, "things": [_gone(g) for g in gone]}, as_json, lambda: _lines(gone))


@cloud.command()
@click.option("--back", is_flag=True, help="Take a move back, or give the traffic back to the release before.")
@dry_run_option
@json_option
@click.pass_obj
def shift(app: App, back: bool, dry_run: bool, as_json: bool) -> None:
    """Move the traffic to the release that `submit release` made: 10, 50, 100 %, judged at each share.

    Exit code 5 when it is taken back: errors, latency or drift beyond cloud.toml's [canary], or too little traffic to
    tell. After a kill the same command goes on.
    """
    from bqx.ops.cloud.cloud import Cloud
    from bqx.ops.cloud.release import Release
    from bqx.ops.cloud.shift.move import back as take_back
    from bqx.ops.cloud.shift.move import shift as move

    with closing(app.open()) as project:
        made = Cloud.of(project)
        candidate, moving = Release.of(made.state.get("candidate")), made.state.get("shift")
        if dry_run:
            serving, kept = made.serving, made.kept
            to = kept if back and not moving else Release.of(moving["to"]) if moving else candidate
            said: dict[str, Any] = {"dry_run": True, "from": serving.id if serving else None,
                                    "to": to.id if to else None,
                                    "shares": [100] if back else list(made.deployment.canary.shares)}  # fmt: skip
        else:
            said = take_back(made, _note) if back else move(made, None if moving else candidate, _note)
    emit(said, as_json, f"release {said['to']}: {said.get('outcome', 'would get the traffic of ' + str(said['from']))}")


@cloud.command()
@click.argument("name", required=False)
@json_option
@click.pass_obj
def policy(app: App, name: str | None, as_json: bool) -> None:
    """The least-privilege documents of this deployment: a NAME, or the list of them.

    operator-* are for who runs `bqx cloud`, role-* for the roles of the jobs. The account is asked for its number.
    """
    from bqx.ops.cloud import policy as policies
    from bqx.ops.cloud.cloud import Cloud

    if name is None:
        names = sorted(policies.documents())
        emit({"policies": names}, as_json, "\n".join(names))
        return
    document = policies.stored(name)
    with closing(app.open()) as project:
        made = Cloud.of(project)
        values = {"Partition": made.aws.partition, "Region": made.aws.region, "Account": made.aws.account,
                  "Prefix": made.deployment.prefix}  # fmt: skip
    filled = policies.fill(document, values)
    emit(filled, as_json, policies.text_of(filled).rstrip())


cloud.add_command(submit)


def _note(text: str) -> None:
    click.echo(text, err=True)


def _say(found: list[Change]) -> None:
    for c in found:
        if c.action != "keep":
            click.echo(f"{c.action:8} {c.kind:20} {c.name}{f'  ({c.reason})' if c.reason else ''}")
            for d in c.found:
                click.echo(f"{'':9}{d}")
    keep = sum(c.action == "keep" for c in found)
    click.echo(f"{len(found) - keep} changes, {keep} things are as wanted")


def _gone(g: Gone) -> dict[str, str]:
    return {"kind": g.kind, "name": g.name, "outcome": g.outcome, "reason": g.reason}


def _lines(gone: list[Gone]) -> None:
    for g in gone:
        click.echo(f"{g.outcome:16} {g.kind:20} {g.name} {g.reason}".rstrip())
    click.echo(f"{sum(g.outcome in ('removed', 'would be removed') for g in gone)} things")
