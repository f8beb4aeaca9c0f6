"""Connections to PostgreSQL: TLS that checks who answers, an empty search path, timeouts; the DSN stays a secret."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bqx.base.errors import ConfigError, Unsupported
from bqx.base.secret import Secret
from bqx.store.pg.failures import translated

if TYPE_CHECKING:
    import psycopg

OLDEST = 150000
"""The first server version supported, as libpq writes 15.0."""

_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. lock : waiting for somebody else's lock. idle : a transaction in which nobody says anything, so that
    a client that hangs holds no locks. statement : one statement, 0 for no limit."""

    connect: int = 10
    lock: float = 10.0
    statement: float = 0.0
    idle: float = 300.0


def psycopg_module() -> ModuleType:
    """psycopg 3, imported when first needed; raises Unsupported where it is not installed."""
    try:
        import psycopg
    except ImportError as error:
        raise Unsupported(
            "PostgreSQL needs the package psycopg", fix="install bqx with its extra: pip install 'bqx[postgres]'"
        ) from error
    return psycopg


def connect(
    dsn: Secret | str,
    *,
    application: str = "bqx",
    search_path: str = "",
    limits: Limits | None = None,
    autocommit: bool = True,
) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection in UTC and UTF-8 with `search_path` (empty unless given: names are qualified).

    Without `sslmode` a server on another machine is reached by `verify-full`; a weaker mode there raises ConfigError.
    Raises ServerError when the server cannot be reached, RoleError when it refuses the role, Unsupported before 15.
    """
    driver = psycopg_module()
    parameters = _parameters(dsn.reveal() if isinstance(dsn, Secret) else dsn)
    limits = limits or Limits()
    settings = {
        "search_path": search_path or '""',
        "timezone": "UTC",
        "lock_timeout": f"{limits.lock * 1000:.0f}",
        "statement_timeout": f"{limits.statement * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{limits.idle * 1000:.0f}",
        # what a client that vanished without a word held is free again after a minute, not after two hours
        "tcp_keepalives_idle": "30",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
    }
    options = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in settings.items())
    given = f"{parameters.pop('options')} " if parameters.get("options") else ""
    parameters.setdefault("connect_timeout", limits.connect)
    with translated(where_of(parameters)):
        con: psycopg.Connection[tuple[Any, ...]] = driver.Connection.connect(
            **{**parameters, "options": given + options},
            application_name=application,
            client_encoding="UTF8",
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            tcp_user_timeout=60_000,
            autocommit=autocommit,
            cursor_factory=driver.ClientCursor,
            prepare_threshold=None,
        )
    if con.info.server_version < OLDEST:
        version = con.info.parameter_status("server_version")
        con.close()
        raise Unsupported(f"the server is PostgreSQL {version}", fix="use 15 or later")
    return con


def _parameters(text: str) -> dict[str, Any]:
    """The DSN's parts, `sslmode` filled in; the text itself is in no message, for it may hold a password."""
    driver = psycopg_module()
    try:
        found: dict[str, Any] = driver.conninfo.conninfo_to_dict(text)
    except driver.Error:
        raise ConfigError(
            "the DSN is not one that libpq understands",
            where="the secret named by store.dsn",
            fix="write it like `host=db.example dbname=fx user=bqx_writer`, or as postgresql://user@host/dbname",
        ) from None
    hosts = [part.strip() for part in str(found.get("host") or "").split(",")]
    far = [host for host in hosts if host and not host.startswith(("/", "@")) and host not in _LOCAL]
    if not far and found.get("hostaddr"):
        far = [part for part in str(found["hostaddr"]).split(",") if part.strip() not in _LOCAL]
    if far and found.setdefault("sslmode", "verify-full") != "verify-full":
        raise ConfigError(
            f"sslmode={found['sslmode']} does not check that {far[0]} is who it says",
            where="the secret named by store.dsn",
            fix="use sslmode=verify-full with sslrootcert=FILE (or sslrootcert=system)",
        )
    return found


def where_of(parameters: dict[str, Any]) -> str:
    """The server for messages: host, port and database, no user and no password."""
    host = parameters.get("host") or parameters.get("hostaddr") or "the local socket"
    return f"{host} port {parameters.get('port') or 5432} database {parameters.get('dbname') or '(default)'}"
