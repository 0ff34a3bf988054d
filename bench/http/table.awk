# The tables of bench/http/run from its CSV: medians, and ratios to the bare server of the same round.
BEGIN { FS = "," }
function median(list, count,    i, j, swap) {
    for (i = 2; i <= count; ++i)
        for (j = i; j > 1 && list[j - 1] > list[j]; --j) { swap = list[j]; list[j] = list[j - 1]; list[j - 1] = swap }
    return count % 2 ? list[(count + 1) / 2] : (list[count / 2] + list[count / 2 + 1]) / 2
}
$1 != "load" && NR > 1 {
    key = $1 SUBSEP $3 SUBSEP $5
    if (!(key in others)) { others[key] = 0; kinds[++kind_count] = key }
    other[key, ++others[key]] = $7
}
$1 == "load" {
    key = $2 SUBSEP $3
    if (!(key in seen)) { seen[key] = 1; order[++keys] = key }
    if (!($5 in servers)) { servers[$5] = 1; names[++peers] = $5 }
    value[key, $5, $4] = $7
    if ($4 > rounds) rounds = $4
}
END {
    if (keys) print_loads()
    if (kind_count) print_others()
}
function print_others(    k, n, i, v, part, unit) {
    print "\n| what | | server | median | least | most |\n|---|---|---|---|---|---|"
    for (k = 1; k <= kind_count; ++k) {
        n = others[kinds[k]]; delete v
        for (i = 1; i <= n; ++i) v[i] = other[kinds[k], i]
        split(kinds[k], part, SUBSEP)
        unit = part[1] == "profile" ? (part[3] == "both" ? "‰" : "ns a request") : part[1] == "start" || part[1] == "tail" ? "µs" : part[2] ~ /^[0-9]+$/ ? "bytes a connection" : "bytes"
        printf "| %s | %s | %s | %d %s | %d | %d |\n", part[1], part[2], part[3], median(v, n), unit, v[1], v[n]
    }
}
function print_loads(    k, p, n, round, v, r, part, cost, ratio, low, high, noisy) {
    print "| cores | load | server | CPU a request, ns | ratio to bare | spread |"
    print "|---|---|---|---|---|---|"
    for (k = 1; k <= keys; ++k) for (p = 1; p <= peers; ++p) {
        n = 0; delete v; delete r
        for (round = 1; round <= rounds; ++round)
            if (((order[k], names[p], round) in value) && ((order[k], "bare", round) in value)) {
                ++n; v[n] = value[order[k], names[p], round]; r[n] = v[n] / value[order[k], "bare", round]
            }
        if (!n) continue
        split(order[k], part, SUBSEP)
        cost = median(v, n); ratio = median(r, n)
        # The middle half of the ratios, and all of them: one round beside somebody else's build is not the server.
        low = r[int((n + 3) / 4)]; high = r[n + 1 - int((n + 3) / 4)]
        noisy = (high - low) / ratio > 0.08
        printf "| %s | %s | %s | %.0f | %s | %.2f–%.2f |\n", part[1], part[2], names[p], cost,
            noisy ? sprintf("(%.2f, noisy)", ratio) : sprintf("%.2f", ratio), low, high
    }
}
