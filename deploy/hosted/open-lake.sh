#!/usr/bin/env bash
# Checks the newest commit of the data branch out into RATCHET_DATA.
#
#   RATCHET_REMOTE                   the repository that holds the branch; that of this checkout by default
#   RATCHET_BEGIN=true               begin an empty lake where the branch is not there yet
#   RATCHET_REPOSITORY_PRIVATE=false everybody can read the repository: refused without RATCHET_PUBLIC=yes
#
# Ends with 2 where something is to be decided first, and with git's own code where the remote cannot be reached.
# shellcheck source=deploy/hosted/environment.sh
source "$(dirname "$0")/environment.sh"

if [ "${RATCHET_REPOSITORY_PRIVATE-true}" != true ] && [ "${RATCHET_PUBLIC:-}" != yes ]; then
  fail 2 "This repository is public, or cannot be told to be private: everybody could read the platforms' replies." \
    "Make it private. If all of it may be read by all, for ever, set the variable RATCHET_PUBLIC to yes."
fi
[ ! -e "$RATCHET_DATA/.git" ] || fail 2 "$RATCHET_DATA holds a clone already." \
  "Go on with it, or move it away and run this again."
remote=${RATCHET_REMOTE:-$(git -C "$CHECKOUT" remote get-url origin)}
branch=$(data_git ls-remote --heads "$remote" "refs/heads/$RATCHET_BRANCH")
if [ -n "$branch" ]; then
  data_git clone --quiet --depth 1 --single-branch --branch "$RATCHET_BRANCH" "$remote" "$RATCHET_DATA"
  echo "Opened the lake of ${branch:0:12} on the branch $RATCHET_BRANCH."
elif [ "${RATCHET_BEGIN:-}" = true ]; then
  data_git init --quiet --initial-branch "$RATCHET_BRANCH" "$RATCHET_DATA"
  data_git -C "$RATCHET_DATA" remote add origin "$remote"
  cp "$CHECKOUT/deploy/hosted/branch.gitignore" "$RATCHET_DATA/.gitignore"
  cp "$CHECKOUT/deploy/hosted/branch.gitattributes" "$RATCHET_DATA/.gitattributes"
  echo "Began an empty lake for the branch $RATCHET_BRANCH."
else
  # An empty lake in the place of one that was lost would count everything anew without a word.
  fail 2 "The branch $RATCHET_BRANCH is not there." \
    "For a first start, run it by hand with 'begin' (RATCHET_BEGIN=true). Otherwise restore the branch."
fi
