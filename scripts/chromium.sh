#!/bin/sh
# Make sure that a headless Chromium is there for the tests of the console; prints its path.
# Needs root and a Debian-like system to install one; exits 3 with the reason where that cannot be.
set -eu
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null 2>&1; then command -v "$name"; exit 0; fi
done
if ! command -v apt-get >/dev/null 2>&1; then echo "no Chromium, and no apt-get to install it with" >&2; exit 3; fi
if [ "$(id -u)" != 0 ]; then echo "no Chromium; as root: apt-get install chromium" >&2; exit 3; fi
{
    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core
} >&2 || { echo "apt-get could not install Chromium" >&2; exit 3; }
command -v chromium
