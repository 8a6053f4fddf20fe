#!/usr/bin/env bash
# Commits what is new in the lake to the data branch: the accepted files of a good hour; evidence, incident and
# receipts of a refused one. Where another run pushed meanwhile, or the branch was squashed, the commit goes on top.
#
# Ends with 15 where another run kept the same hour, and with 1 where the branch cannot be pushed.
# shellcheck source=deploy/hosted/environment.sh
source "$(dirname "$0")/environment.sh"
require_lake
cd "$RATCHET_DATA"

data_git add --all
if data_git diff --cached --quiet; then
  echo "Nothing new to keep."
  exit 0
fi

# The title counts what came: "my_blog: 1 accepted, 0 refused". Names of files only, nothing that a platform wrote.
title=$(data_git diff --cached --name-only --diff-filter=A | awk -F/ '
  $1 == "lake" && $2 != "_project" { seen[$2] += 0 }
  $1 == "lake" && $3 == "validated" { accepted[$2]++ }
  $1 == "lake" && $3 == "quarantine" { refused[$2]++ }
  END { for (s in seen) printf "%s%s: %d accepted, %d refused", n++ ? "; " : "", s, accepted[s], refused[s] }')
data_git commit --quiet --message "${1:-${title:-Notes and incidents}}"

for _ in 1 2 3; do
  if data_git push --quiet origin "HEAD:refs/heads/$RATCHET_BRANCH"; then
    echo "Kept: $(data_git log -1 --format=%s)"
    exit 0
  fi
  data_git rev-parse --quiet --verify HEAD~1 > /dev/null || break
  data_git fetch --quiet --depth 1 origin "$RATCHET_BRANCH" || break
  if ! data_git rebase --quiet --onto FETCH_HEAD HEAD~1; then
    data_git rebase --abort
    fail 15 "Another run kept the same hour on the branch $RATCHET_BRANCH; what it kept stands." \
      "Nothing is to be done. If this comes again, see that only one workflow collects."
  fi
done
fail 1 "The branch $RATCHET_BRANCH could not be pushed; this hour's files are only in $RATCHET_DATA." \
  "Read git's words above. The token needs the permission 'contents: write'."
