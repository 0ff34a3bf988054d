# A bar for each load and server: CPU a request as a ratio to the bare server of the same round, median. SVG.
BEGIN {
    FS = ","
    colour["service"] = "#1b6ca8"; colour["logged"] = "#8fa8bd"; colour["bare"] = "#999999"; colour["go"] = "#5fb0c9"; colour["nginx"] = "#5a9a4a"; colour["hyper"] = "#b8863b"; colour["httplib"] = "#a05a7a"
    colour["uwebsockets"] = "#c75b4a"; colour["fasthttp"] = "#3f8f8a"; colour["actix"] = "#d9a441"; colour["may"] = "#7b6fb0"; colour["ntex"] = "#8a6d5a"
}
function median(list, count,    i, j, swap) {
    for (i = 2; i <= count; ++i)
        for (j = i; j > 1 && list[j - 1] > list[j]; --j) { swap = list[j]; list[j] = list[j - 1]; list[j - 1] = swap }
    return count % 2 ? list[(count + 1) / 2] : (list[count / 2] + list[count / 2 + 1]) / 2
}
$1 == "load" && $2 == 1 && $3 !~ /^[0-9]/ {
    if (!($3 in seen)) { seen[$3] = 1; order[++loads] = $3 }
    if (!($5 in servers)) { servers[$5] = 1; names[++peers] = $5 }
    value[$3, $5, $4] = $7
    if ($4 > rounds) rounds = $4
}
END {
    bar = 14; gap = 16; left = 90; scale = 110; most = 5
    height = 40 + loads * (peers * bar + gap)
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"11\">\n", left + most * scale + 60, height
    print "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    printf "<text x=\"%d\" y=\"16\">CPU a request, as a ratio to a bare epoll server (one core)</text>\n", left
    for (k = 1; k <= loads; ++k) for (p = 1; p <= peers; ++p) {
        n = 0; delete r
        for (round = 1; round <= rounds; ++round)
            if (value[order[k], "bare", round] > 0 && value[order[k], names[p], round] > 0)
                r[++n] = value[order[k], names[p], round] / value[order[k], "bare", round]
        if (!n) continue
        ratio = median(r, n); shown = ratio > most ? most : ratio
        y = 30 + (k - 1) * (peers * bar + gap) + (p - 1) * bar
        if (p == 1) printf "<text x=\"4\" y=\"%d\">%s</text>\n", y + 11, order[k]
        printf "<rect x=\"%d\" y=\"%d\" width=\"%.0f\" height=\"%d\" fill=\"%s\"/>\n", left, y, shown * scale, bar - 2, colour[names[p]]
        printf "<text x=\"%.0f\" y=\"%d\">%s %.2f</text>\n", left + shown * scale + 4, y + 11, names[p], ratio
    }
    print "</svg>"
}
