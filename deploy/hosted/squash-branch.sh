#!/usr/bin/env bash
# Gives the data branch one commit with all of its present files and no past. What a commit held that the present
# does not, such as archives that became assets of a release, can then be forgotten by the remote.
#
# Every file of the lake stays. Refused by the remote, with nothing changed, where somebody pushed meanwhile.
# shellcheck source=deploy/hosted/environment.sh
source "$(dirname "$0")/environment.sh"
require_lake
cd "$RATCHET_DATA"

[ -z "$(data_git status --porcelain)" ] || fail 2 "$RATCHET_DATA holds files that are not kept yet." \
  "Run first: deploy/hosted/keep-lake.sh"
before=$(data_git rev-parse HEAD)
squashed=$(data_git commit-tree 'HEAD^{tree}' -m "The lake as of $(date -u +%Y-%m-%d), squashed")
data_git push --quiet --force-with-lease="refs/heads/$RATCHET_BRANCH:$before" \
  origin "$squashed:refs/heads/$RATCHET_BRANCH"
data_git reset --quiet "$squashed"
echo "The branch $RATCHET_BRANCH is one commit now; its past ended with $before."
