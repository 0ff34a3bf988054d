#!/usr/bin/env bash
# The code blocks of docs/from-go.md, docs/http2.md, docs/make-it-yours.md, docs/streams.md and docs/websocket.md are the marked regions of the tests that run them: behind
# `<!-- FILE [NAME] -->` stands what FILE has between `// [NAME]` and `// [/NAME]`, without its indentation.
set -euo pipefail
cd "${1:-.}"
faults=0 found=0

region()
{
    awk -v first="// [$2]" -v last="// [/$2]" '
        { line = $0; sub(/^ +/, "", line) }
        line == last { exit }
        inside { print substr($0, indent + 1) }
        line == first { inside = 1; indent = index($0, "/") - 1 }' "$1"
}

block_at()
{
    awk -v from="$2" 'NR <= from { next } /^```/ { if (inside) exit; inside = 1; next } inside { print }' "$1"
}

for document in docs/from-go.md docs/http2.md docs/make-it-yours.md docs/streams.md docs/websocket.md; do
    if [[ ! -f $document ]]; then continue; fi
    before=$found
    while IFS=: read -r line mark; do
        found=$((found + 1))
        read -r _ file name <<<"${mark% -->}"
        name=${name#[} name=${name%]}
        if [[ ! -f $file ]] || [[ -z $(region "$file" "$name") ]] ||
            [[ $(region "$file" "$name") != "$(block_at "$document" "$line")" ]]; then
            echo "snippets: $document:$line is not what stands in $file between // [$name] and // [/$name]"
            faults=$((faults + 1))
        fi
    done < <(grep -nE '^<!-- [^ ]+ \[[^]]+\] -->$' "$document")
    if (($(grep -cE '^```(cpp|proto)' "$document") != found - before)); then
        echo "snippets: $document has code without a place"
        faults=$((faults + 1))
    fi
done
echo "snippets: $found code blocks, $faults faults"
exit $((faults > 0))
