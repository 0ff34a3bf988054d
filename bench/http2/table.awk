# The table of bench/http2/run from its CSV: µs of CPU a request, medians, and the service's as a ratio to each other server's
# of the same round.
BEGIN { FS = "," }
function median(list, count,    i, j, swap) {
    for (i = 2; i <= count; ++i)
        for (j = i; j > 1 && list[j - 1] > list[j]; --j) { swap = list[j]; list[j] = list[j - 1]; list[j - 1] = swap }
    return count % 2 ? list[(count + 1) / 2] : (list[count / 2] + list[count / 2 + 1]) / 2
}
NR > 1 {
    value[$1, $2, $3, $4] = $5
    if (!($4 in known)) { known[$4] = 1; servers[++count] = $4 }
    if ($3 > rounds) rounds = $3
}
END {
    print "| | server | 1 stream | 10 | 100 | Curfew ÷ it, 1 | 10 | 100 |\n|---|---|---|---|---|---|---|---|"
    row("clear")
    row("TLS")
}
function row(how,    s) { for (s = 1; s <= count; ++s) cells_of(how, servers[s]) }
function cells_of(how, server,    k, streams, cells, n, v, r, ratio, low, high, round) {
    for (k = 1; k <= 3; ++k) {
        streams = 10 ^ (k - 1); n = 0; delete v; delete r
        for (round = 1; round <= rounds; ++round) {
            if (!((how, streams, round, server) in value) || !((how, streams, round, "Curfew") in value)) continue
            ++n; v[n] = value[how, streams, round, server]; r[n] = value[how, streams, round, "Curfew"] / v[n]
        }
        if (!n) { cells = cells " |"; ratios[k] = ""; continue }
        cells = cells sprintf(" %.2f |", median(v, n))
        ratio = median(r, n)
        low = r[int((n + 3) / 4)]; high = r[n + 1 - int((n + 3) / 4)]  # the middle half of them
        ratios[k] = server == "Curfew" ? "" : (high - low) / ratio > 0.08 ? sprintf("*%.2f*", ratio) : sprintf("%.2f", ratio)
    }
    printf "| %s | %s |%s %s | %s | %s |\n", how, server, cells, ratios[1], ratios[2], ratios[3]
}
