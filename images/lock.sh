#!/usr/bin/env bash
# Pin what the images install: every distribution by version and by the hashes of all its files.
# Needs `uv` (pip install uv). --upgrade takes newer versions; without it only what is missing is added.
set -euo pipefail
cd "$(dirname "$0")"
uv pip compile --quiet "$@" --generate-hashes --no-annotate --python-version 3.11 --extra train --extra serve \
  --python-platform x86_64-manylinux_2_28 --no-emit-index-url --override requirements.overrides \
  --custom-compile-command images/lock.sh ../pyproject.toml requirements.in --output-file requirements.lock
# the training service's: without TensorFlow
uv pip compile --quiet "$@" --generate-hashes --no-annotate --python-version 3.11 --extra service --extra cluster \
  --python-platform x86_64-manylinux_2_28 --no-emit-index-url \
  --custom-compile-command images/lock.sh ../pyproject.toml --output-file training/requirements.lock
# the server's, on the step image: at the versions that are there
uv pip compile --quiet "$@" --generate-hashes --no-annotate --python-version 3.11 --extra server --extra service \
  --python-platform x86_64-manylinux_2_28 --no-emit-index-url --constraint requirements.lock \
  --custom-compile-command images/lock.sh ../pyproject.toml --output-file server/requirements.lock
