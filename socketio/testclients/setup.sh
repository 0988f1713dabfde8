#!/usr/bin/env bash
# Installs the clients that clients_test.go drives, in the versions that are pinned
# here. Needs Node.js from 18 and Python 3.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
npm ci --no-audit --no-fund --ignore-scripts
python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement requirements.txt
