#!/usr/bin/env bash
# Each fault can be put into the tree as it is, names the law that finds it, and each law of the simulator has one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
export GIT_CEILING_DIRECTORIES=${PWD%/*}  # a tree inside of another repository is none of that
status=0
for fault in tests/simulator/faults/*.patch; do
    if ! git apply --check "$fault"; then status=1; fi
    if ! grep -q '^law: [a-z]*$' "$fault"; then
        echo "$fault: names no law" >&2
        status=1
    fi
done
# Two are of what the machinery sees, and not the world: failure.cpp.
laws=$(cat tests/simulator/*.cpp | tr -d ' \n' | grep -oE '(broken\(|law=)"[a-z]+"' | grep -oE '[a-z]+"$' | tr -d '"' | sort -u)
found=$(sed -n 's/^law: //p' tests/simulator/faults/*.patch | sort -u)
if ! diff <(echo "$laws") <(echo "$found") >&2; then
    echo "tests/simulator/faults: above, < are laws that no fault breaks, > names that no law has" >&2
    status=1
fi
exit $status
