#!/usr/bin/env bash
# Installs Ratchet into .venv of this checkout from deploy/requirements.lock, for a single host and a hosted CI.
# What a cache brought back is taken as it is where it was installed from the same lock by the same Python.
# PYTHON names another Python than python3.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
wanted="$(sha256sum deploy/requirements.lock) $("$python" -c 'import sys; print(sys.version, sys.base_prefix)')"
if [ "$(cat .venv/installed-from 2>/dev/null || true)" = "$wanted" ]; then
  echo "Dependencies: as they were, the lock has not changed."
else
  echo "Dependencies: from deploy/requirements.lock."
  rm -rf .venv
  "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r deploy/requirements.lock
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . -e points
# Every capture is a process of its own; without bytecode its start takes three times as long.
.venv/bin/python -m compileall -q pipeline points/src
echo "$wanted" > .venv/installed-from
.venv/bin/ratchet --version
