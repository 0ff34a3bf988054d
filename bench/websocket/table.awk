# The CSV of bench/websocket/run as two tables: medians, and the ratios of the service to what it is held against, each the
# median of those of one round. A ratio whose middle half is wider than 8 % is in italics: noisy, and no result.
BEGIN {
    FS = ","
    split("echo deflate broadcast idle", parts, " ")
    split("service bare uwebsockets beast node go rust", servers, " ")
    names["service"] = "**Curfew**"; names["bare"] = "bare"; names["uwebsockets"] = "uWebSockets"; names["beast"] = "Beast"
    names["node"] = "Node, ws"; names["go"] = "Go, coder/websocket"; names["rust"] = "tokio-tungstenite"
}
{
    value[$1, $2, $3] = $4
    if ($2 > rounds) rounds = $2
    seen[$1] = seen[$3] = 1
}

function sorted(list, count,    at, other, kept) {
    for (at = 2; at <= count; ++at) {
        kept = list[at]
        for (other = at - 1; other > 0 && list[other] > kept; --other) list[other + 1] = list[other]
        list[other + 1] = kept
    }
}

# The median of `part` of `server`, or of its ratio to `base`; empty: nothing was measured. `wide`: whether it is noisy.
function median(part, server, base, digits,    round, count, list, found) {
    for (round = 1; round <= rounds; ++round)
        if (((part, round, server) in value) && (base == "" || (part, round, base) in value))
            list[++count] = value[part, round, server] / (base == "" ? 1 : value[part, round, base])
    if (count == 0) return ""
    sorted(list, count)
    found = list[int((count + 1) / 2)]
    wide = count > 3 && list[int((3 * count + 3) / 4)] - list[int((count + 3) / 4)] > 0.08 * found
    return sprintf("%." digits "f", found)
}

function wanted(what, part, base, limit,    got) {
    got = median(part, "service", base, 2)
    if (got == "") return
    printf "| %s | %s × %s | %s | %s |\n", what, limit, names[base], wide ? "*" got "*" : got, got <= limit ? "yes" : "no"
}

END {
    print "| | echo of 64 B, µs | 1 KiB with deflate, µs | to 5,000, ms | idle, bytes |"
    print "|---|---|---|---|---|"
    for (nth = 1; nth in servers; ++nth) {
        if (!(servers[nth] in seen)) continue
        line = "| " names[servers[nth]] " |"
        for (part = 1; part in parts; ++part)
            line = line " " median(parts[part], servers[nth], "", parts[part] == "idle" ? 0 : 2) " |"
        print line
    }
    print ""
    print "| | wanted, at most | measured | met |"
    print "|---|---|---|---|"
    wanted("echo of 64 B", "echo", "uwebsockets", 1.10)
    wanted("", "echo", "beast", 0.9)
    wanted("1 KiB of JSON with deflate", "deflate", "uwebsockets", 1.0)
    wanted("a message to 5,000", "broadcast", "bare", 1.15)
    wanted("idle", "idle", "beast", 0.12)
    if ((idle = median("idle", "service", "", 0)) != "") printf "| idle, bytes | 600 | %s | %s |\n", idle, idle <= 600 ? "yes" : "no"
}
