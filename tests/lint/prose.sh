#!/usr/bin/env bash
# Phrases that stop a native reader, each with what is said instead. Code, comments, messages and pages; the decisions of
# docs/adr and the changelog stand as they were written.
set -euo pipefail
cd "${1:-.}"
faults=0
mapfile -t files < <(find cmd lifecycle server tracker configs tests docs deploy scripts ./*.md -type f \
    \( -name '*.cpp' -o -name '*.hpp' -o -name '*.md' -o -name '*.toml' -o -name '*.service' -o -name '*.yaml' \) \
    -not -path 'docs/adr/*' -not -name CHANGELOG.md -not -path '*/lint/*' 2>/dev/null)

# instead PATTERN WHAT
instead()
{
    local found
    found=$(grep -nEi -- "$1" "${files[@]}" /dev/null || true)
    if [[ -z $found ]]; then return 0; fi
    echo "prose: say \"$2\" in"
    echo "$found"
    faults=$((faults + 1))
}

instead '\b(is|are|was|were|be|been|not) home\b' 'has ended'
instead '\b(take|takes|took|need|needs) a new start\b' 'needs a restart'
instead '\b(at|after|for|of|by|in|one in|about) so (many|long)\b' 'this many, this long'
if ((faults == 0)); then echo "prose: nothing found"; fi
exit $((faults > 0))
