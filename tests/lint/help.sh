#!/usr/bin/env bash
# A script that is asked for --help says what it does, and does nothing: scripts/test would build for minutes.
set -euo pipefail
scripts=$(cd "${1:-.}/scripts" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cp -r "$scripts" "$tree/scripts"
cd "$tree"
status=0
for script in build coverage lint new-service test tidy update; do
    if [[ ! -e scripts/$script ]]; then continue; fi
    said=$(PATH=/usr/bin:/bin timeout 20 "scripts/$script" --help 2>&1) || said=
    if [[ $said != *" "* || -n $(find . -mindepth 1 -maxdepth 1 ! -name scripts) ]]; then
        echo "help: scripts/$script --help fails, says nothing, or does something"
        status=1
    fi
done
exit $status
