"""Headless Chromium of the system, installed by `scripts/chromium.sh` where it is missing and can be had."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

SCRIPT = Path(__file__).parents[1] / "scripts" / "chromium.sh"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; the test is skipped with the script's reason where none can be installed."""
    found = subprocess.run([str(SCRIPT)], capture_output=True, text=True, timeout=580)
    if found.returncode == 3:
        pytest.skip(found.stderr.strip().splitlines()[-1])
    assert found.returncode == 0, found.stderr
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found.stdout.strip().splitlines()[-1], args=list(QUIET), headless=True
        )
        try:
            yield browser
        finally:
            browser.close()
