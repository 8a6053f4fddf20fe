#!/usr/bin/env bash
# Captures each source of RATCHET_SOURCES (separated by blanks) once, whatever happens to the others.
#
# Ends with 0 where every hour is observed, else with the exit code of `ratchet collect` for the first source that
# needs somebody.
# shellcheck source=deploy/hosted/environment.sh
source "$(dirname "$0")/environment.sh"
require_lake

already_observed=13
read -ra sources <<< "${RATCHET_SOURCES:-}"
[ ${#sources[@]} -gt 0 ] || fail 2 "No source is named." "Set RATCHET_SOURCES, for example to: my_blog my_repository"

ended=0
for source in "${sources[@]}"; do
  echo "== $source"
  code=0
  "$ratchet" collect "$source" || code=$?
  if [ "$code" -ne 0 ] && [ "$code" -ne "$already_observed" ] && [ "$ended" -eq 0 ]; then
    ended=$code
  fi
done
exit "$ended"
