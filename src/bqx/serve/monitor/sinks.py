"""Where messages go: a file of JSON lines, a webhook, mail."""

from __future__ import annotations

import json
import os
import smtplib
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bqx.base.errors import AlertFailed, MonitorError
from bqx.base.redaction import redact
from bqx.base.secret import Secret
from bqx.base.version import __version__

if TYPE_CHECKING:
    from bqx.base.secret_provider import SecretProvider
    from bqx.serve.monitor.settings import AlertSettings

TIMEOUT = 10.0


class Sink(Protocol):
    """`send` raises AlertFailed when the messages did not arrive; they come again with the next look."""

    @property
    def name(self) -> str: ...

    def send(self, messages: Sequence[dict[str, Any]]) -> None: ...


@dataclass(frozen=True)
class Lines:
    """Appends to a file, one JSON object a message; the record of all that was sent."""

    path: Path
    name: str = "lines"

    def send(self, messages: Sequence[dict[str, Any]]) -> None:
        text = "".join(redact(json.dumps(m, sort_keys=True, allow_nan=False)) + "\n" for m in messages)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise AlertFailed(f"the file cannot be written: {error.strerror}", where=str(self.path)) from error


@dataclass(frozen=True)
class Webhook:
    """Posts `{"text": ..., "alerts": [...]}` to an http or https URL, which chat services take; no redirects."""

    url: Secret
    name: str = "webhook"

    def send(self, messages: Sequence[dict[str, Any]]) -> None:
        url = self.url.reveal()
        if not url.startswith(("https://", "http://")):
            raise MonitorError("the secret of the webhook is no http URL", where="alerts.webhook")
        body = json.dumps({"text": "\n".join(map(line, messages)), "alerts": list(messages)}, allow_nan=False)
        head = {"content-type": "application/json", "user-agent": f"bqx/{__version__}"}
        request = urllib.request.Request(url, redact(body).encode(), head, method="POST")  # noqa: S310 - http or https, seen above
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT) as answer:
                answer.read(1)
        except urllib.error.HTTPError as error:
            raise AlertFailed(f"the webhook answered {error.code}", where=self.name) from error
        except (OSError, ValueError) as error:
            raise AlertFailed(f"the webhook cannot be reached: {type(error).__name__}", where=self.name) from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would hand the alerts to somebody else."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


@dataclass(frozen=True)
class Mail:
    """One message for all alerts of a look, over SMTP with STARTTLS unless it is switched off."""

    host: str
    port: int
    sender: str
    to: tuple[str, ...]
    starttls: bool
    user: Secret | None = None
    password: Secret | None = None
    name: str = "mail"

    def send(self, messages: Sequence[dict[str, Any]]) -> None:
        import ssl

        mail = EmailMessage()
        first = line(messages[0])
        more = f" and {len(messages) - 1} more" if len(messages) > 1 else ""
        mail["Subject"] = redact(" ".join(first.split()) + more)[:200]
        mail["From"], mail["To"] = self.sender, ", ".join(self.to)
        text = "\n\n".join(f"{line(m)}\nsince {m['began']}, see {m['runbook']}" for m in messages)
        mail.set_content(redact(text))
        try:
            with smtplib.SMTP(self.host, self.port, timeout=TIMEOUT) as server:
                if self.starttls:
                    server.starttls(context=ssl.create_default_context())
                if self.user is not None and self.password is not None:
                    server.login(self.user.reveal(), self.password.reveal())
                server.send_message(mail)
        except (OSError, smtplib.SMTPException) as error:
            raise AlertFailed(f"mail could not be sent: {type(error).__name__}", where=self.host) from error


def line(message: dict[str, Any]) -> str:
    """One line for people."""
    state = "resolved" if message["why"] == "resolved" else message["severity"]
    mark = "SIMULATED " if message["simulated"] else ""
    return f"[bqx {mark}{state}] {message['what']}"


def make_sinks(root: Path, settings: AlertSettings, provider: SecretProvider | None) -> list[Sink]:
    """The sinks that are set; MonitorError when a secret is named and there is no provider."""
    sinks: list[Sink] = [Lines(root / "monitor" / "alerts.jsonl")]

    def secret(name: str) -> Secret:
        if provider is None:
            raise MonitorError(f"there is no provider for the secret {name!r}", where="alerts",
                               fix="set secrets.provider in bqx.toml")  # fmt: skip
        return provider.get(name)

    if settings.webhook:
        sinks.append(Webhook(secret(settings.webhook)))
    if settings.mail_host:
        named = bool(settings.mail_user)
        if named and not settings.mail_starttls:
            raise MonitorError("a password may not be sent without TLS", where="alerts.mail_starttls")
        sinks.append(Mail(settings.mail_host, settings.mail_port, settings.mail_from, settings.mail_to,
                          settings.mail_starttls, secret(settings.mail_user) if named else None,
                          secret(settings.mail_password) if named else None))  # fmt: skip
    return sinks


def deliver(
    sinks: Sequence[Sink], messages: Sequence[dict[str, Any]], waiting: dict[str, list[dict[str, Any]]]
) -> dict[str, str]:
    """Give every sink what it has not had: `waiting` (by sink, kept by the caller) and the new messages.

    Returns the errors by sink; what such a sink should have had is then in `waiting`.
    """
    failed: dict[str, str] = {}
    for sink in sinks:
        due = [*waiting.get(sink.name, []), *messages]
        if not due:
            continue
        try:
            sink.send(due)
            waiting.pop(sink.name, None)
        except AlertFailed as error:
            waiting[sink.name] = due
            failed[sink.name] = error.what
    return failed
