#!/usr/bin/env bash
# A file of the core has at most 400 lines, all of them counted. The size of the core is reported, not limited: lines that
# say something, so no blank line, no comment, no #include, no lone bracket, access specifier or namespace.
set -euo pipefail
cd "${1:-.}"
file_limit=400
core=(cmd lifecycle server tracker configs)
# A module is a folder of its own inside the core that a build may leave out; it does not count.
modules=(cmd/service/last_run cmd/service/systemd cmd/service/telemetry cmd/service/trace cmd/service/upgrade configs/modules lifecycle/group lifecycle/pool
    server/client server/admin/heap server/http2 server/admin/page server/admin/pprof server/tls server/websocket tracker/http tracker/http_connection tracker/kafka tracker/nats)
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

for folder in "${core[@]}"; do
    if [[ -d $folder ]]; then echo "size: $folder has $(lines "$folder" || true) lines"; fi
done
while IFS= read -r -d '' file; do
    count=$(wc -l <"$file")
    if ((count > file_limit)); then
        echo "size: $file has $count lines of at most $file_limit"
        faults=$((faults + 1))
    fi
done < <(sources "${core[@]}")
if ((faults > 0)); then echo "size: too large"; fi
exit $((faults > 0))
