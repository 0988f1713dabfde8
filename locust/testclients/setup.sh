#!/usr/bin/env bash
# Installs the Locust that locust_test.go starts, in the versions that are pinned here.
# Needs Python 3.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement requirements.txt
