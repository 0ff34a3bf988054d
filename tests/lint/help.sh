#!/usr/bin/env bash
# A script that is asked for --help says what it does, and does nothing: scripts/test would build for minutes.
set -euo pipefail
root=$(cd "${1:-.}" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cp -r "$root/scripts" "$root/.ci" "$tree/"
cd "$tree"
status=0
for script in scripts/{build,coverage,lint,new-service,test,tidy,update} .ci/run; do
    if [[ ! -e $script ]]; then continue; fi
    said=$(PATH=/usr/bin:/bin timeout 20 "$script" --help 2>&1) || said=
    if [[ $said != *" "* || -n $(find . -mindepth 1 -maxdepth 1 ! -name scripts ! -name .ci) ]]; then
        echo "help: $script --help fails, says nothing, or does something"
        status=1
    fi
done
exit $status
