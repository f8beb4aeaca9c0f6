"""`bqx console`: the web console of a project."""

from __future__ import annotations

from contextlib import closing

import click

from bqx.cli.common import App


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0: a free one.")
@click.option("--open", "browse", is_flag=True, help="Open it in the default browser.")
@click.pass_obj
def console(app: App, port: int, browse: bool) -> None:
    """Serve stages, graph, coverage, catalogue, health, runs and reports on 127.0.0.1.

    It changes nothing. Ctrl-C ends it.
    """
    import webbrowser

    from bqx.ops.console.server import Console

    with closing(app.open()) as project:
        served = Console(project, port)
        click.echo(served.url)
        if browse:
            webbrowser.open(served.url)
        try:
            served.serve()
        except KeyboardInterrupt:
            click.echo("ended", err=True)
