# shellcheck shell=bash
# What the steps share; sourced by each of them.
#
#   RATCHET_BRANCH  the data branch: data
#   RATCHET_DATA    where it is checked out; the lake is the folder lake/ in it
#   GITHUB_TOKEN    shown to the remote by git whenever it asks; it is written nowhere
set -euo pipefail

CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export RATCHET_DATA=${RATCHET_DATA:-$CHECKOUT/data/hosted}
RATCHET_BRANCH=${RATCHET_BRANCH:-data}
# shellcheck disable=SC2034  # used by the steps
ratchet=$CHECKOUT/.venv/bin/ratchet

fail() { # CODE WHAT NEXT_STEP
  printf 'Error: %s\n%s\n' "$2" "$3" >&2
  exit "$1"
}

# Git as the steps use it: it signs as Ratchet, never asks at a terminal, and takes the token from the environment.
data_git() {
  # shellcheck disable=SC2016  # the helper itself reads the token, so that it is in no argument and no file
  GIT_TERMINAL_PROMPT=0 git -c user.name="${GIT_AUTHOR_NAME:-Ratchet}" -c user.email="${GIT_AUTHOR_EMAIL:-ratchet@localhost}" \
    -c credential.helper= -c credential.helper='!token() { [ "$1" = get ] && [ -n "${GITHUB_TOKEN:-}" ] && printf "username=x-access-token\npassword=%s\n" "$GITHUB_TOKEN"; }; token' \
    "$@"
}

require_lake() {
  [ -d "$RATCHET_DATA/.git" ] || fail 2 "There is no clone of the data branch at $RATCHET_DATA." \
    "Run first: deploy/hosted/open-lake.sh"
}
