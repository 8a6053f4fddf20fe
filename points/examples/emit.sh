#!/bin/sh
# Points out of a shell script: one event a call, or many through one process.
set -eu
export POINTS_APP=nightly

points emit backup.started host=db1

cp /nonexistent/dump /nonexistent/safe 2>/dev/null ||
  points emit backup.failed --error --file "$0" --line 8 code=$?

i=0
while [ "$i" -lt 100 ]; do
  i=$((i + 1))
  printf '{"name": "backup.table", "kind": "operation", "attributes": {"rows": %d}}\n' "$i"
done | points emit --stream
