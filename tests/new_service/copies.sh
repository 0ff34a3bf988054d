#!/usr/bin/env bash
# Copies by scripts/new-service: none of the old name, none of what was not asked for. Builds nothing; tests/all/new_service does.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
faults=0
fault()
{
    echo "new_service: $*"
    faults=$((faults + 1))
}
new_service()
{
    GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@example.com GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@example.com \
        "$root/scripts/new-service" "$@"
}

# What would be left of the old name if a rule were missing. CURFEW is the magic of a spool's file, which is a format.
old='curfew|Curfew|\b(-[UD])?SERVICE_(?![a-z])|cmd/service\b|bin/service\b|\bservice(-debug)?\.(toml|socket|service)\b'
old+='|/(etc|srv|lib)/service\b|build/\w+/service\b|name: service\b|\bservice_(body|entry|with)|[^:]"service"|HTTP service skeleton'
modules='NATS|KAFKA|rdkafka|HTTP_CLIENT|[Nn]ats[_-]|HTTP_SINK|http_sink|SYSTEMD\b|systemd/|lifecycle/pool|pool_tests'

# clean COPY: nothing of the old name; every copy has its files.
clean()
{
    local hits
    hits=$(cd "$place/$1" && git grep -InP "$old" -- . ':!tests/fuzz/corpus' ':!tests/integration/service.*') && fault "$1: $hits"
    hits=$(cd "$place/$1" && git grep -nE '\[/?(module|examples|skeleton)' | head -3) && [[ -n $hits ]] && fault "$1: $hits"
    [[ -z $(git -C "$place/$1" status --porcelain) ]] || fault "$1: not committed"
    (($(git -C "$place/$1" rev-list --count HEAD) == 1)) || fault "$1 has a history"
}

new_service order-book "$place/none"
new_service orders "$place/all" --with all
mkdir "$place/bare"
new_service orders "$place/bare" --with=pool --without-examples
for copy in none all bare; do clean $copy; done

hits=$(cd "$place/none" && git grep -nE "$modules" -- cmd lifecycle server '*CMakeLists.txt' scripts .ci tests/lint deploy) &&
    fault "none: $hits"
[[ -f $place/none/cmd/order-book/main.cpp && -f $place/none/configs/order-book.toml ]] || fault "none: files"
grep -q '"ORDER_BOOK_"' "$place/none/configs/config.hpp" || fault "none: the prefix of the variables"
for folder in cmd/orders/systemd tracker/http tracker/kafka tracker/nats lifecycle/pool; do
    [[ -d $place/all/$folder ]] || fault "all: no $folder"
done
for rule in layering size banned snippets log_lines; do
    (cd "$place/bare" && bash tests/lint/$rule.sh .) >"$place/lint" || fault "bare: $(<"$place/lint")"
done
for copy in none all; do
    (cd "$place/$copy" && bash tests/lint/log_lines.sh .) >"$place/lint" || fault "$copy: $(<"$place/lint")"
    (cd "$place/$copy" && bash deploy/prometheus/check) >"$place/lint" 2>&1 || (($? == 77)) || fault "$copy: $(<"$place/lint")"
done
grep -q 'hello' "$place/bare/cmd/orders/routes.cpp" && fault "bare: an example route"
grep -q 'routes.get("/", hello)' "$place/bare/tests/examples/routes.cpp" || fault "bare: the tests have no example routes"
[[ -d $place/bare/lifecycle/pool && ! -d $place/bare/tracker/http ]] || fault "bare: modules"

# The same again is the same.
new_service order-book "$place/again"
diff -r --exclude=.git "$place/none" "$place/again" || fault "a second copy is another one"
# refused ARGUMENT...: code 2, one line that says why, nothing made.
refused()
{
    local code=0
    new_service "$@" >"$place/said" 2>&1 || code=$?
    [[ $code == 2 && $(wc -l <"$place/said") == 1 ]] || fault "not refused: $*: $(<"$place/said")"
    [[ ! -e $place/no ]] || fault "$* has made something"
}
for name in Orders 1st -x a--b a_b orders- server group revision "$(printf 'a%.0s' {1..33})" 'a b' ''; do refused "$name" "$place/no"; done
refused orders "$place/all"
refused orders "$place/no" --with unknown
refused orders "$place/no" --unknown
refused orders
[[ -z $(find "$place" -maxdepth 1 -name '.new-service*') ]] || fault "something is left"

((faults == 0)) && echo "new_service: copies are whole and have nothing of the old name"
exit $((faults > 0))
