#!/usr/bin/env bash
# The core stays small enough to be read. A line counts when it says something: no blank line, no comment, no
# #include, no lone bracket, access specifier or namespace. For single files every line counts.
set -euo pipefail
cd "${1:-.}"
core_limit=7000 lifecycle_limit=1000 file_limit=400
core=(cmd lifecycle server tracker configs)
# A module is a folder of its own inside the core that a build may leave out; it does not count.
modules=(cmd/service/last_run cmd/service/systemd cmd/service/trace cmd/service/upgrade lifecycle/group lifecycle/pool
    server/client server/heap server/page server/pprof tracker/http tracker/nats)
faults=0

sources()
{
    local folder skip=()
    for folder in "${modules[@]}"; do skip+=(-not -path "$folder/*"); done
    for folder in "$@"; do
        if [[ -d $folder ]]; then find "$folder" -type f \( -name '*.cpp' -o -name '*.hpp' \) "${skip[@]}" -print0; fi
    done
}

lines()
{
    sources "$@" | xargs -0 -r cat |
        grep -vcE '^\s*(//.*|#(include|pragma).*|[]{}();,]*|(public|private|protected):|(}  // )?namespace.*)?$'
}

at_most()
{
    echo "size: $1 has $2 lines of at most $3"
    if (($2 > $3)); then faults=$((faults + 1)); fi
}

at_most core "$(lines "${core[@]}")" $core_limit
at_most lifecycle "$(lines lifecycle)" $lifecycle_limit
while IFS= read -r -d '' file; do
    count=$(wc -l <"$file")
    if ((count > file_limit)); then at_most "$file" "$count" $file_limit; fi
done < <(sources "${core[@]}")
if ((faults > 0)); then echo "size: too large"; fi
exit $((faults > 0))
