#!/usr/bin/env bash
# What one person can hold in the head: a class of the core or a module has at most 25 data members and 30 member
# functions (those that are deleted or defaulted do not count, nor does what is static and constexpr), a function 50
# lines. A copier's own code may be as large as it likes: cmd/*/routes.cpp is not looked at. What was larger when the
# rule came is in classes.known with its size: it may shrink, and then its line does, but not grow.
set -euo pipefail
cd "${1:-.}"
mapfile -t files < <(for folder in cmd lifecycle server tracker configs; do
    if [[ -d $folder ]]; then find "$folder" -type f \( -name '*.cpp' -o -name '*.hpp' \) -not -name routes.cpp; fi
done | sort)
if ((${#files[@]} == 0)); then exit 0; fi
known=tests/lint/classes.known
if [[ ! -f $known ]]; then known=/dev/null; fi

awk -v known="$known" -v most_data=25 -v most_functions=30 -v most_lines=50 '
# A statement of a class: what is declared in it.
function declared(text,    names) {
    gsub(/(public|private|protected) *:/, " ", text)
    gsub(/\[\[[a-z_]*\]\]/, " ", text)
    sub(/^ +/, "", text)
    if (text ~ /^(using|typedef|friend|static_assert|enum|class|struct|union|requires)[^a-z_]/) return
    while (match(text, /<[^<>]*>/)) text = substr(text, 1, RSTART - 1) " " substr(text, RSTART + RLENGTH)
    if (text ~ /^template/) sub(/^template */, "", text)
    if (text ~ /^(using|friend|class|struct)[^a-z_]/ || text ~ /^ *$/) return
    if (text ~ /[(]/ && text !~ /^[^(]*=[^=]/ ) {
        if (text !~ /= *(delete|default) *$/) ++functions[depth]
        return
    }
    if (text ~ /static constexpr|constexpr static|static const /) return
    while (match(text, /[({][^(){}]*[)}]/)) text = substr(text, 1, RSTART - 1) " " substr(text, RSTART + RLENGTH)
    names = gsub(/,/, ",", text) + 1
    data[depth] += names
}
function measure(where, what, size, most, of,    allowed) {
    allowed = (where " " what " " of) in larger ? larger[where " " what " " of] : most
    seen[where " " what " " of] = 1
    if (size > allowed) complain(where ": " what " has " size " " of " of at most " allowed)
    if (size < allowed && allowed > most) complain(where ": " what " has only " size " " of " left: say so in " known)
}
function complain(what) { print "classes: " what; ++faults }
BEGIN {
    while ((getline line < known) > 0)
        if (line !~ /^#/ && split(line, word, " ") >= 4) larger[word[1] " " word[2] " " word[3]] = word[4]
}
function begin_file() { depth = 0; statement = ""; kind[0] = "space"; in_comment = 0 }
FNR == 1 { begin_file() }
{
    line = $0
    gsub(/\\./, "", line)
    gsub(/"[^"]*"/, "\"\"", line)
    gsub(/'"'"'[^'"'"']'"'"'/, "0", line)
    sub(/\/\/.*/, "", line)
    if (line ~ /^ *#/) next
    size = length(line)
    for (at = 1; at <= size; ++at) {
        letter = substr(line, at, 1)
        if (letter == "{") {
            head = statement
            flat = head
            while (match(flat, /<[^<>]*>/)) flat = substr(flat, 1, RSTART - 1) substr(flat, RSTART + RLENGTH)
            parent = kind[depth]
            ++depth
            first[depth] = statement == "" ? FNR : began
            before[depth] = head
            if (flat ~ /(^|[^a-z_])(class|struct|union) / && flat !~ /enum / && flat !~ /[(=]/) {
                kind[depth] = "class"; name[depth] = flat; data[depth] = functions[depth] = 0
                sub(/.*(class|struct|union) +/, "", name[depth]); sub(/[ :].*/, "", name[depth])
                statement = ""
            } else if (flat ~ /namespace|extern/ && parent == "space") {
                kind[depth] = "space"; statement = ""
            } else if (flat ~ /[(]/ && (parent == "space" || parent == "class") && flat !~ /^[^(]*=[^=]/) {
                kind[depth] = "function"; statement = ""
            } else {
                kind[depth] = "other"; statement = ""
            }
            continue
        }
        if (letter == "}") {
            ended = kind[depth]
            if (ended == "class") {
                measure(FILENAME, name[depth], data[depth], most_data, "members")
                measure(FILENAME, name[depth], functions[depth], most_functions, "functions")
            }
            if (ended == "function") {
                flat = before[depth]
                sub(/[(].*/, "", flat)
                sub(/.*[ *&]/, "", flat)
                measure(FILENAME, flat, FNR - first[depth] + 1, most_lines, "lines")
            }
            head = before[depth]
            --depth
            if (ended == "function" && kind[depth] == "class") { declared(head); statement = "" }
            else if (ended == "class") statement = "struct "          # what may follow is a name of that type
            else if (ended == "other") statement = head "{}"
            else statement = ""
            continue
        }
        if (letter == ";") {
            if (kind[depth] == "class") declared(statement)
            statement = ""
            continue
        }
        if (statement == "" && letter ~ /[ \t]/) continue
        if (statement == "") began = FNR
        statement = statement letter
    }
    if (statement != "") statement = statement " "
}
END {
    for (line in larger) {
        split(line, word, " ")
        if (!(line in seen) && (getline line < word[1]) >= 0) complain(known ": there is no " line)
    }
    if (faults == 0) print "classes: nothing is too large"; exit faults > 0
}
' "${files[@]}"
