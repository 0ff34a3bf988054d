# The medians of bench/tracker/capacity, as a table or, with -v plot=1, as SVG: both axes are logarithmic.
BEGIN { FS = ","; name["queue"] = "tracker::queue"; name["channel"] = "Go channel"; colour["queue"] = "#1b6ca8"; colour["channel"] = "#b8863b" }
function median(who, capacity, column,    n, i, j, swap, list) {
    n = runs[who, capacity]
    for (i = 1; i <= n; ++i) list[i] = value[who, capacity, i, column]
    for (i = 2; i <= n; ++i)
        for (j = i; j > 1 && list[j - 1] > list[j]; --j) { swap = list[j]; list[j] = list[j - 1]; list[j - 1] = swap }
    return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}
function shown(who, capacity, column) { return (who, capacity) in runs ? sprintf("%d", median(who, capacity, column)) : "–" }
NR > 1 {
    if (!($2 in seen)) { seen[$2] = 1; order[++count] = $2 }
    nth = ++runs[$1, $2]
    value[$1, $2, nth, "clock"] = $3
    value[$1, $2, nth, "cpu"] = $4
}
function x_of(nth) { return 60 + (nth - 1) * 480 / (count - 1) }
function y_of(ns) { return 320 - (log(ns) / log(10) - 1.5) * 90 }
function line(who, column, dashes,    k, points, ns) {
    for (k = 1; k <= count; ++k) {
        if (!((who, order[k]) in runs)) continue
        ns = median(who, order[k], column)
        points = points sprintf("%.0f,%.0f ", x_of(k), y_of(ns))
        printf "<circle cx=\"%.0f\" cy=\"%.0f\" r=\"2.5\" fill=\"%s\"/>\n", x_of(k), y_of(ns), colour[who]
    }
    printf "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\"%s/>\n", points, colour[who], dashes
}
END {
    if (!plot) {
        print "| capacity | `tracker::queue`, ns of CPU | by the clock | Go channel, ns of CPU | by the clock |\n|---:|---:|---:|---:|---:|"
        for (k = 1; k <= count; ++k)
            printf "| %d | %s | %s | %s | %s |\n", order[k], shown("queue", order[k], "cpu"), shown("queue", order[k], "clock"), shown("channel", order[k], "cpu"), shown("channel", order[k], "clock")
        exit
    }
    print "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"700\" height=\"370\" font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    print "<text x=\"60\" y=\"16\">ns an event: one producer, a million integers, five workers. Dashed: by the clock</text>"
    for (ns = 100; ns <= 10000; ns *= 10) {
        printf "<line x1=\"60\" x2=\"540\" y1=\"%.0f\" y2=\"%.0f\" stroke=\"#dddddd\"/>\n<text x=\"54\" y=\"%.0f\" text-anchor=\"end\">%d</text>\n", y_of(ns), y_of(ns), y_of(ns) + 4, ns
    }
    for (k = 1; k <= count; ++k) printf "<text x=\"%.0f\" y=\"352\" text-anchor=\"middle\">%d</text>\n", x_of(k), order[k]
    print "<text x=\"300\" y=\"366\" text-anchor=\"middle\">capacity</text>"
    n = split("queue channel", who, " ")
    for (i = 1; i <= n; ++i) {
        if (!((who[i], order[count]) in runs)) continue
        line(who[i], "cpu", "")
        line(who[i], "clock", " stroke-dasharray=\"4 3\"")
        printf "<text x=\"550\" y=\"%.0f\" fill=\"%s\">%s</text>\n", y_of(median(who[i], order[count], "cpu")) + 4, colour[who[i]], name[who[i]]
    }
    print "</svg>"
}
