#!/usr/bin/env bash
# Who may include whom. Reads the #include lines below the root that is given and fails on any other arrow.
# Quoted includes are paths from the root; nobody includes by a relative path.
set -euo pipefail
cd "${1:-.}"
faults=0

fault()
{
    echo "layering: $1"
    faults=$((faults + 1))
}

# may FOLDER PATTERN...: what files of FOLDER may include of ours, as shell patterns.
declare -A may=(
    [lifecycle]="lifecycle/*"
    [server]="server/* lifecycle/*"
    [tracker]="tracker/* lifecycle/*"
    [configs]="configs/* server/options.hpp tracker/options.hpp tracker/utf8.hpp lifecycle/options.hpp lifecycle/masked_urls.hpp"
    [cmd]="cmd/* configs/* server/* tracker/* lifecycle/*"
)
# may_not FOLDER: libraries that are none of its business.
declare -A may_not=(
    [lifecycle]="boost/beast* boost/url* CLI/* toml++/*"
    [server]="CLI/* toml++/*"
    [tracker]="boost/beast* boost/url* CLI/* toml++/*"
    [configs]="boost/asio* boost/beast*"
    [cmd]="CLI/CLI.hpp toml++/toml*"
)

matches()
{
    local pattern
    for pattern in $2; do
        # shellcheck disable=SC2053  # a pattern is meant
        [[ $1 == $pattern ]] && return 0
    done
    return 1
}

set -f  # the patterns above are not for the shell to expand
for folder in lifecycle server tracker configs cmd; do
    [[ -d $folder ]] || continue
    while IFS=: read -r file line text; do
        [[ $text =~ ^[[:space:]]*#[[:space:]]*include[[:space:]]*([\<\"])([^\>\"]+) ]] || continue
        quote=${BASH_REMATCH[1]} path=${BASH_REMATCH[2]}
        # A module of the tracker that speaks HTTP.
        if [[ $file == tracker/http*/* && $path == boost/* ]]; then continue; fi
        if [[ $quote == '<' ]]; then
            if matches "$path" "${may_not[$folder]}"; then fault "$file:$line: $folder may not use <$path>"; fi
            if matches "$path" "lifecycle/* server/* tracker/* configs/* cmd/*"; then
                fault "$file:$line: our own headers are included with quotes: $path"
            fi
        elif [[ $path != */* || $path == ./* || $path == *../* ]]; then
            fault "$file:$line: not a path from the root: \"$path\""
        elif [[ $folder == cmd && -e skeleton.lock ]] && ! matches "$path" "lifecycle/* server/* tracker/* configs/* tests/* bench/*"; then
            continue  # a folder that a copy has of its own
        elif ! matches "$path" "${may[$folder]}"; then
            fault "$file:$line: no arrow $folder -> $path"
        fi
    done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include' --include='*.?pp' --include='*.in' "$folder" || true)
done
((faults == 0)) && echo "layering: every arrow is allowed"
exit $((faults > 0))
