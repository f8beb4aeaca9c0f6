"""`context`, `lint`, `audit` and `stack` of `python -m bqx.ops.container`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

KINDS = ("processing", "training", "inference")
_folder = click.Path(path_type=Path, file_okay=False)
_file = click.Path(path_type=Path, exists=True, dir_okay=False)
json_option = click.option("--json", "as_json", is_flag=True, help="Machine-readable output on stdout.")
source_option = click.option(
    "--source", type=_folder, default=Path(), show_default="the folder you are in", help="A checkout of bqx."
)


@click.command()
@click.option("--kind", type=click.Choice(KINDS), help="Which image.")
@click.option("--out", type=_folder, help="Folder to write; an older context in it is replaced.")
@click.option("--check", type=_folder, help="Check a context that is there instead: hashes, bill, rules, secrets.")
@source_option
@json_option
def context(kind: str | None, out: Path | None, check: Path | None, source: Path, as_json: bool) -> None:
    """Write the build context of an image: wheel, locked requirements, Containerfile, bill of materials, hashes."""
    from bqx.ops.container.context import check_context, write_context

    if check is not None:
        card = check_context(check)
    elif kind is None or out is None:
        raise click.UsageError("give --kind and --out, or --check DIR")
    else:
        card = write_context(kind, source, out)
    lines = [f"{card['kind']}: {len(card['files'])} files, {card['packages']} packages, bqx {card['version']}"]
    lines += [f"{fact['sha256']}  {name}" for name, fact in card["files"].items()]
    _emit(card, as_json, lines)


@click.command()
@click.argument("files", nargs=-1, required=True, type=_file)
@json_option
def lint(files: tuple[Path, ...], as_json: bool) -> None:
    """Check Containerfiles against our rules; exit status 5 when one is broken."""
    from bqx.base.errors import ImageError
    from bqx.ops.container.containerfile import lint as look

    found = {str(f): look(f.read_text("utf-8"), f.name) for f in files}
    rows = [{"file": f, **p.__dict__} for f, problems in found.items() for p in problems]
    _emit(rows, as_json, [p.text(f) for f, problems in found.items() for p in problems] or ["no rule is broken"])
    if rows:
        raise ImageError(f"{len(rows)} rules are broken", where=rows[0]["file"])


@click.command()
@click.option("--lock", type=_file, default=Path("requirements/runtime.lock"), show_default=True)
@click.option("--osv", type=_file, help="Known vulnerabilities in the OSV format: JSON, JSON lines, or a zip of JSON.")
@click.option("--allow", type=_file, help="TOML of excuses: package, id (or `licence`), reason, expires.")
@json_option
def audit(lock: Path, osv: Path | None, allow: Path | None, as_json: bool) -> None:
    """Audit a lock without a network: hashes, licences, known vulnerabilities; exit status 5 for findings."""
    from bqx.base.errors import AuditError
    from bqx.ops.container.auditing import audit as look

    result = look(lock, osv, allow)
    base = result.database
    lines = [f"{result.packages} packages, {result.hashes:,} hashes, {len(result.unseen)} licences not seen here"]
    lines += [f"{len(result.found)} found, {len(result.found) - len(result.bad)} of them excused"]
    for f in result.found:
        excuse = f" (excused: {f.excused})" if f.excused else ""
        lines.append(f"  {f.package} {f.version}: {f.id or f.kind}: {f.what}{excuse}")
    lines.append(
        f"{base['entries']:,} known vulnerabilities, the newest of {base['newest']}" if base
        else "known vulnerabilities were NOT looked at: give --osv FILE"
    )  # fmt: skip
    _emit(result.as_dict(), as_json, lines)
    if result.bad:
        first = result.bad[0]
        raise AuditError(
            f"{len(result.bad)} findings, the first {first.package}: {first.id or first.what}", where=str(lock)
        )


@click.command()
@click.argument("template", type=_file)
@json_option
def stack(template: Path, as_json: bool) -> None:
    """Check a CloudFormation template against our rules; exit status 5 when one is broken."""
    from bqx.base.errors import StackError
    from bqx.ops.container.stack import check_template, read_template

    problems = check_template(read_template(template))
    _emit([p.__dict__ for p in problems], as_json, [f"{p.resource}: {p.rule}: {p.what}" for p in problems]
          or ["no rule is broken"])  # fmt: skip
    if problems:
        raise StackError(f"{len(problems)} rules are broken", where=problems[0].resource)


def _emit(data: Any, as_json: bool, lines: list[str]) -> None:
    click.echo(json.dumps(data, indent=1, default=str) if as_json else "\n".join(lines))
