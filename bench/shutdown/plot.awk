# Four panels, one for each thing that a stop's time may grow with: medians in ms over stop.csv of bench/shutdown/scale. SVG.
BEGIN {
    FS = ","
    colour["service"] = "#1b6ca8"; colour["go"] = "#5fb0c9"; colour["nginx"] = "#5a9a4a"
    title["connections"] = "idle connections"; title["streams"] = "event streams"
    title["backlog"] = "events that wait for the sink"; title["loops"] = "event loops (half as many idle connections)"
    split("connections streams backlog loops", panel, " ")
}
function median(text,    list, count, i, j, swap) {
    count = split(text, list, " ")
    for (i = 2; i <= count; ++i)
        for (j = i; j > 1 && list[j - 1] + 0 > list[j] + 0; --j) { swap = list[j]; list[j] = list[j - 1]; list[j - 1] = swap }
    return count % 2 ? list[(count + 1) / 2] : (list[count / 2] + list[count / 2 + 1]) / 2
}
{
    if (!(($1, $2) in points)) names[$1] = names[$1] " " $2
    if (!(($1, $2, $3) in all)) at[$1, $2, ++points[$1, $2]] = $3
    all[$1, $2, $3] = all[$1, $2, $3] " " $5
    if ($3 + 0 > widest[$1]) widest[$1] = $3 + 0
}
function draw(of, left, top,    count, server, list, s, p, x, y, line, value, highest) {
    count = split(names[of], server, " ")
    for (s = 1; s <= count; ++s) for (p = 1; p <= points[of, server[s]]; ++p) {
        value = median(all[of, server[s], at[of, server[s], p]])
        if (value > highest) highest = value
    }
    printf "<text x=\"%d\" y=\"%d\" font-weight=\"bold\">ms, by %s</text>\n", left, top - 8, title[of]
    printf "<path d=\"M%d %d v%d h%d\" fill=\"none\" stroke=\"#999\"/>\n", left, top, height, width
    printf "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%d</text>\n", left - 4, top + 10, highest
    printf "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%d</text>\n", left + width, top + height + 14, widest[of]
    for (s = 1; s <= count; ++s) {
        line = ""
        for (p = 1; p <= points[of, server[s]]; ++p) {
            x = left + at[of, server[s], p] / widest[of] * width
            y = top + height - median(all[of, server[s], at[of, server[s], p]]) / highest * height
            line = line sprintf("%s%.1f %.1f", p == 1 ? "M" : " L", x, y)
            printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\" fill=\"%s\"/>\n", x, y, colour[server[s]]
        }
        printf "<path d=\"%s\" fill=\"none\" stroke=\"%s\"/>\n", line, colour[server[s]]
        if (count > 1) printf "<text x=\"%d\" y=\"%d\" fill=\"%s\">%s</text>\n", left + 8 + 60 * (s - 1), top + 12, colour[server[s]], server[s]
    }
}
END {
    width = 300; height = 160
    print "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"480\" font-family=\"sans-serif\" font-size=\"11\">"
    print "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    for (k = 1; k <= 4; ++k) if (widest[panel[k]] > 0) draw(panel[k], 50 + (k - 1) % 2 * 370, 30 + int((k - 1) / 2) * 230)
    print "</svg>"
}
