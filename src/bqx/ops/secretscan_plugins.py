"""Our detectors, as detect-secrets plugins: what its own 26 do not know."""

from __future__ import annotations

import re
from collections.abc import Iterable
from re import Pattern

from detect_secrets.plugins.base import RegexBasedDetector

_WORD = r"(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key)"


class AirtableTokenDetector(RegexBasedDetector):
    """Personal access tokens (``pat`` + 14, dot, 64 hex) and the retired ``key`` + 14 beside the vendor's name."""

    secret_type = "Airtable Token"  # noqa: S105 - a name
    denylist: Iterable[Pattern[str]] = (
        re.compile(r"\bpat[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
        re.compile(r"airtable.{0,60}?\b(key[A-Za-z0-9]{14})\b", re.IGNORECASE),
    )


class DsnPasswordDetector(RegexBasedDetector):
    """Passwords in URLs, libpq and ADO key-value strings, JDBC, and the variables of client programs."""

    secret_type = "Database Password"  # noqa: S105 - a name
    denylist: Iterable[Pattern[str]] = (
        re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"']{0,128}:([^\s\"'/@]{1,256})@", re.IGNORECASE),
        re.compile(
            r"\b(?:host|hostaddr|port|dbname|user|server|uid|user id|data source|sslmode)\s*=\s*[^\s;]+[\s;]"
            r".{0,200}?\b(?:password|pwd)\s*=\s*[\"']?([^\s;\"'&]+)",
            re.IGNORECASE,
        ),
        re.compile(
            r"\b(?:password|pwd)\s*=\s*[\"']?([^\s;\"']+)[\"']?[\s;].{0,200}?"
            r"\b(?:host|hostaddr|dbname|user|server|uid|sslmode)\s*=\s*[^\s;]",
            re.IGNORECASE,
        ),
        re.compile(r"\bjdbc:[^\s\"']{1,300}?[?&;]password=([^\s&;\"']+)", re.IGNORECASE),
        re.compile(r"\b(?:PGPASSWORD|MYSQL_PWD|REDISCLI_AUTH)=[\"']?([^\s\"']+)"),
    )


class SecretDefaultDetector(RegexBasedDetector):
    """A literal as the default of a secret's look-up: the leak that survives a move to a secrets manager."""

    secret_type = "Literal Default of a Secret"  # noqa: S105 - a name
    denylist: Iterable[Pattern[str]] = (
        re.compile(
            rf"\b\w*(?:get|getenv|secret|option|argument)\w*\(\s*[\"'][\w./-]*{_WORD}[\w./-]*[\"']\s*,"
            r"(?:[^\"']{0,60}?\bdefault\s*=)?\s*[\"']([^\"'\s]{4,})[\"']",
            re.IGNORECASE,
        ),
        re.compile(rf"\$\{{\w*{_WORD}\w*:[-=]([^}}\s]{{4,}})\}}", re.IGNORECASE),
    )


class AwsSecretDetector(RegexBasedDetector):
    """AWS secret keys and session tokens as profiles and shells write them: without quotes."""

    secret_type = "AWS Secret Key"  # noqa: S105 - a name
    denylist: Iterable[Pattern[str]] = (
        re.compile(r"aws_?secret_?access_?key[\"']?\s*[=:]\s*[\"']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])", re.I),
        re.compile(r"aws_?session_?token[\"']?\s*[=:]\s*[\"']?([A-Za-z0-9/+=]{100,})", re.I),
    )


class VendorTokenDetector(RegexBasedDetector):
    """Token formats younger than detect-secrets 1.5."""

    secret_type = "Vendor Token"  # noqa: S105 - a name
    denylist: Iterable[Pattern[str]] = (
        re.compile(r"\bgithub_pat_[A-Za-z0-9_]{60,}"),
        re.compile(r"\bsk-(?:proj|ant|svcacct|admin)[A-Za-z0-9_-]{20,}"),
        re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b"),
        re.compile(r"\bhf_[A-Za-z0-9]{30,}\b"),
        re.compile(r"\bauthorization[\"']?\s*[:=,]\s*[\"']?(?:bearer|basic|token)\s+([A-Za-z0-9._~+/=-]{16,})", re.I),
        re.compile(r"-----BEGIN ENCRYPTED (?:PRIVATE KEY)-----"),
    )


OURS: tuple[type[RegexBasedDetector], ...] = (
    AirtableTokenDetector,
    DsnPasswordDetector,
    SecretDefaultDetector,
    AwsSecretDetector,
    VendorTokenDetector,
)
