#!/usr/bin/env bash
# Packs the finished months and attaches each archive to the release lake-YYYY-MM, one a month for all sources.
# An archive leaves the data branch only after it was read back from the release, byte for byte.
#
#   GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_TOKEN   as the hosted CI sets them
#
# Running it again goes on where it stopped. An older archive of the same month keeps its bytes under another name.
# shellcheck source=deploy/hosted/environment.sh
source "$(dirname "$0")/environment.sh"
require_lake
: "${GITHUB_REPOSITORY:?is OWNER/NAME of the repository with the releases}" "${GITHUB_TOKEN:?may write releases}"
repository=${GITHUB_API_URL:-https://api.github.com}/repos/$GITHUB_REPOSITORY
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Asks the API; the reply is in $work/reply and its status is printed. The token goes through a pipe: it stands in no
# file and in no list of processes.
ask() { # METHOD ADDRESS [CURL OPTIONS]
  local method=$1 address=$2
  shift 2
  curl --config <(printf 'header = "Authorization: Bearer %s"\n' "$GITHUB_TOKEN") --silent --show-error --location --retry 3 --max-time 600 --request "$method" \
    --header 'X-GitHub-Api-Version: 2022-11-28' --output "$work/reply" --write-out '%{http_code}' "$@" "$address"
}

expect() { # STATUS METHOD ADDRESS [CURL OPTIONS]
  local wanted=$1 status
  shift
  status=$(ask "$@") || fail 10 "The API did not answer: $1 $2" "Run it again; nothing was removed."
  [ "$status" = "$wanted" ] || fail 10 "The API answered $status to $1 $2: $(head -c 300 "$work/reply")" \
    "The token needs 'contents: write'. Run it again; nothing was removed."
}

release_of() { # TAG; the release is in $work/release
  local status
  status=$(ask GET "$repository/releases/tags/$1")
  if [ "$status" = 404 ]; then
    # Its tag stands on the default branch: one on the data branch would keep that branch's past for ever.
    expect 201 POST "$repository/releases" --data "$(jq -n --arg tag "$1" \
      '{tag_name: $tag, name: $tag, body: "Archives of one month of the lake; docs/deployment.md says how to use them."}')"
  elif [ "$status" != 200 ]; then
    fail 10 "The API answered $status when asked for the release $1." "Run it again; nothing was removed."
  fi
  mv "$work/reply" "$work/release"
}

is_archive() { # ASSET_ID FILE; whether the release holds these very bytes
  expect 200 GET "$repository/releases/assets/$1" --header 'Accept: application/octet-stream'
  cmp --silent "$work/reply" "$2"
}

attach() { # FILE; ends well when the release of its month holds it
  local file=$1 name tag asset state
  name=$(basename "$file")
  tag=lake-$(grep -oE '[0-9]{4}-[0-9]{2}\.zip$' <<< "$name" | cut -c1-7)
  release_of "$tag"
  read -r asset state < <(jq -r --arg name "$name" '.assets[] | select(.name == $name) | "\(.id) \(.state)"' "$work/release") || true
  if [ -n "${asset:-}" ] && [ "$state" != uploaded ]; then # what an upload that broke off leaves
    expect 204 DELETE "$repository/releases/assets/$asset"
  elif [ -n "${asset:-}" ]; then
    is_archive "$asset" "$file" && return
    expect 200 PATCH "$repository/releases/assets/$asset" \
      --data "$(jq -n --arg name "${name%.zip}.until-$(date -u +%Y%m%dT%H%M%SZ).zip" '{name: $name}')"
  fi
  expect 201 POST "$(jq -r '.upload_url | split("{")[0]' "$work/release")?name=$name" \
    --header 'Content-Type: application/zip' --upload-file "$file"
  is_archive "$(jq -r .id "$work/reply")" "$file" || fail 10 "The release $tag gave $name back with other bytes." \
    "Delete that asset and run it again; nothing was removed."
}

"$ratchet" compact
shopt -s nullglob
archives=("$RATCHET_DATA"/lake/*/archives/*.zip)
for archive in "${archives[@]}"; do
  attach "$archive"
  echo "$(basename "$archive") is with its release."
done
[ ${#archives[@]} -eq 0 ] || rm -- "${archives[@]}"
"$CHECKOUT/deploy/hosted/keep-lake.sh" "Pack the finished months"
