"""`bqx serve`: the prediction API, and its keys."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from bqx.base.errors import ServeError, UsageError
from bqx.cli.common import App, emit, json_option

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.group(invoke_without_command=True)
@click.option("--models", "run", metavar="RUN", help="A run of `bqx train`, as research; else the registry's.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: a free one.")
@click.option("--cost-bps", type=click.FloatRange(0), default=None, help="A round trip; else quoted spreads.")
@click.option(
    "--feed", type=click.Path(path_type=Path), help="A CSV file of bars that grows: serve from the live engine."
)
@click.option("--as-if", "start", metavar="TIME", help="Pretend it is this time and let it run on (ISO, with offset).")
@click.option("--container", is_flag=True, help="SageMaker's contract: /invocations needs no key, any address.")
@click.option("--behind-proxy", is_flag=True, help="Listen beyond this machine without TLS: a proxy brings it.")
@click.option("--tls-cert", type=click.Path(exists=True, path_type=Path), help="Certificate chain, PEM.")
@click.option("--tls-key", type=click.Path(exists=True, path_type=Path), help="Its private key, PEM.")
@click.option("--cors", multiple=True, metavar="ORIGIN", help="Let pages of this origin ask; none may by default.")
@click.pass_context
def serve(
    ctx: click.Context,
    run: str | None,
    host: str,
    port: int,
    cost_bps: float | None,
    feed: Path | None,
    start: str | None,
    container: bool,
    behind_proxy: bool,
    tls_cert: Path | None,
    tls_key: Path | None,
    cors: tuple[str, ...],
) -> None:
    """Answer POST /predict with forecasts of five horizons, until Ctrl-C or SIGTERM.

    Signals are HOLD unless a model passed every gate. A key is needed: `bqx serve keys make LABEL`. For a log, put
    `--log-json` before `serve`.
    """
    if ctx.invoked_subcommand is not None:
        return
    if host not in LOOPBACK and not (container or behind_proxy or tls_cert):
        raise ServeError(
            f"keys would cross the network of {host} unprotected",
            fix="give --tls-cert and --tls-key, or --behind-proxy",
        )
    if (tls_cert is None) != (tls_key is None):
        raise UsageError("--tls-cert and --tls-key belong together")
    if feed is not None and start is not None:
        raise UsageError("a feed has a time of its own", fix="give --feed or --as-if")
    from bqx.serve.api.assemble import Settings, make_server

    app: App = ctx.obj
    tls = None if tls_cert is None else (str(tls_cert), str(tls_key))
    settings = Settings(run, host, port, cost_bps, _seconds(start), container, cors, tls, feed)
    with closing(app.open()) as project:
        server = make_server(project, settings)
        click.echo(f"{server.url}{' SIMULATED DATA' if project.simulated else ''}")
        server.serve()


@serve.group()
def keys() -> None:
    """API keys: made and shown once, kept as hashes."""


@keys.command()
@click.argument("label")
@click.option(
    "--rate", type=click.FloatRange(0.1, 100_000), default=100.0, show_default=True, help="Requests a second."
)
@json_option
@click.pass_obj
def make(app: App, label: str, rate: float, as_json: bool) -> None:
    """Make a key and show it, once."""
    from bqx.serve.api.keys import Keys

    with closing(app.open()) as project:
        made, text = Keys(project.root).make(label, rate)
    emit({**made.shown(), "key": text}, as_json, f"{text}\nkeep it now: it cannot be shown again (id {made.id})")


@keys.command(name="list")
@json_option
@click.pass_obj
def list_(app: App, as_json: bool) -> None:
    """Ids, labels, rates and states."""
    from bqx.serve.api.keys import Keys

    with closing(app.open()) as project:
        rows = [k.shown() for k in Keys(project.root).list()]

    def text() -> None:
        for r in rows:
            state = f"revoked {r['revoked_at']}" if r["revoked_at"] else "active"
            click.echo(f"{r['id']}  {r['rate']:g}/s  made {r['made_at']}  {state}  {r['label']}")
        if not rows:
            click.echo("no keys: `bqx serve keys make LABEL`")

    emit(rows, as_json, text)


@keys.command()
@click.argument("key_id")
@json_option
@click.pass_obj
def revoke(app: App, key_id: str, as_json: bool) -> None:
    """Close a key; a running server refuses it from its next request on."""
    from bqx.serve.api.keys import Keys

    with closing(app.open()) as project:
        found = Keys(project.root).revoke(key_id)
    emit(found.shown(), as_json, f"{found.id} {found.label}: revoked {found.revoked_at}")


def _seconds(text: str | None) -> float | None:
    from datetime import datetime

    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError as exc:
        raise UsageError(f"{text!r} is not an ISO time", fix="for example 2024-07-01T10:00Z") from exc
    if when.tzinfo is None:
        raise UsageError(f"{text!r} has no offset", fix="add Z or +00:00")
    return when.timestamp()
