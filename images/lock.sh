#!/usr/bin/env bash
# Pin requirements.in: every distribution by version and by the hashes of all its files. Needs `uv` (pip install uv).
set -euo pipefail
cd "$(dirname "$0")"
uv pip compile --quiet --upgrade --generate-hashes --no-annotate --python-version 3.11 \
  --python-platform x86_64-manylinux_2_28 --no-emit-index-url --override requirements.overrides \
  --custom-compile-command images/lock.sh requirements.in --output-file requirements.lock
