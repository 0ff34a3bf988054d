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

# What would be left of the old name if a rule were missing. CURFEW is the magic of a spool's file and
# curfew_build_info a metric, which are formats.
old='curfew(?!_build_info)|Curfew|\b(-[UD])?SERVICE_(?![a-z])|cmd/service\b|bin/service\b|\bservice(-debug)?\.(toml|socket|service)\b'
old+='|/(etc|srv|lib)/service\b|build/\w+/service\b|name: service\b|\bservice_(body|entry|with)|[^:]"service"|HTTP service skeleton'
modules='NATS|KAFKA|rdkafka|HTTP_CLIENT|[Nn]ats[_-]|HTTP_SINK|http_sink|SYSTEMD\b|systemd/|lifecycle/pool|pool_tests'

# clean COPY: nothing of the old name; every copy has its files.
clean()
{
    local hits test
    hits=$(cd "$place/$1" && git grep -InP "$old" -- . ':!tests/fuzz/corpus' ':!tests/integration/service.*' ':!skeleton.lock') && fault "$1: $hits"
    hits=$(cd "$place/$1" && git grep -nE '\[/?(module|examples|skeleton)') && fault "$1: ${hits:0:500}"
    # shellcheck disable=SC2016  # the $1 is that of the file
    for test in $(sed -n 's/^ *scripts\/build "$1" {\(.*\)}_tests .*/\1/p' "$place/$1/.ci/run" | tr , ' '); do
        [[ -d $place/$1/tests/$test ]] || fault "$1: .ci/run runs tests of $test, which are not there"
    done
    [[ -z $(git -C "$place/$1" status --porcelain) ]] || fault "$1: not committed"
    (($(git -C "$place/$1" rev-list --count HEAD) == 1)) || fault "$1 has a history"
}

new_service order-book "$place/none" --fork
new_service orders "$place/all" --fork --with all
mkdir "$place/bare"
new_service orders "$place/bare" --fork --with=pool --without-examples
new_service orders "$place/client" --fork --with http_client
for copy in none all bare client; do clean $copy; done

hits=$(cd "$place/none" && git grep -nE "$modules" -- cmd lifecycle server '*CMakeLists.txt' scripts .ci tests/lint deploy) &&
    fault "none: $hits"
for copy in none all; do  # a page names no script that is not there
    while IFS=: read -r page script; do
        [[ -e $place/$copy/$script ]] || fault "$copy: $page names $script"
    done < <(cd "$place/$copy" && grep -oE '\b(scripts|tests/all)/[a-z0-9_-]+' ./*.md docs/*.md | sort -u)
done
settings='app\.(tls_|http2)|debug\.tls|tls_options|^(tls_|http2|max_websocket|websocket_)|websocket_ping|http2_max_streams = |nats_|kafka_|\[client\]|client_options|\[telemetry\]|telemetry_options|(^\| `|")(client|telemetry)\.'
hits=$(cd "$place/none" && git grep -nE "$settings" -- cmd configs server tracker docs/operations.md) && fault "none: $hits"
(($(git -C "$place/all" grep -hE '^(nats_url|kafka_brokers|otlp_endpoint|allow|tls_key|tls_ca|http2|websocket_ping) = ' -- configs/orders.toml | wc -l) == 10)) || fault "all: settings"
# A key belongs to its table: that of another module has the same name and stays.
[[ $(sed -n '/^\[client\]/,/^\[log\]/s/^\(tls_[a-z]*\) = .*/\1/p' "$place/client/configs/orders.toml" | xargs) == "tls_ca tls_certificate tls_key" &&
    $(grep -c '^tls_' "$place/client/configs/orders.toml") == 3 ]] || fault "client: settings"
[[ -f $place/none/cmd/order-book/main.cpp && -f $place/none/configs/order-book.toml ]] || fault "none: files"
grep -q '"ORDER_BOOK_"' "$place/none/configs/program.hpp" || fault "none: the prefix of the variables"
for folder in cmd/orders/systemd tracker/http tracker/kafka tracker/nats lifecycle/pool; do
    [[ -d $place/all/$folder ]] || fault "all: no $folder"
done
# A copy's own code is not what the lints are about: a folder of its own, lines of the log that no manual has.
mkdir "$place/bare/pricing"
echo '#pragma once' >"$place/bare/pricing/price.hpp"
printf '#include "pricing/price.hpp"\nvoid say(spdlog::logger& log) { log.info("order {}", 1); }\n' >"$place/bare/cmd/orders/own.cpp"
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

# Somebody who has not told git a name yet has a commit too, by which updates find what was made; ignored files are no less a part of it.
mkdir "$place/home" && printf '*.toml\n' >"$place/home/ignored"
env -u GIT_AUTHOR_NAME HOME="$place/home" GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=user.useConfigOnly GIT_CONFIG_VALUE_0=true \
    GIT_CONFIG_KEY_1=core.excludesFile GIT_CONFIG_VALUE_1="$place/home/ignored" \
    "$root/scripts/new-service" order-book "$place/nobody" --installed >"$place/said" 2>&1 || fault "$(<"$place/said")"
[[ $(git -C "$place/nobody" log --format='%an %(trailers:key=Skeleton-Revision,valueonly)') == new-service\ ?* ]] || fault "nobody: $(<"$place/said")"
[[ -n $(git -C "$place/nobody" ls-files configs/order-book.toml) ]] || fault "nobody: a file is not committed"

# The same again is the same.
new_service order-book "$place/again" --fork
diff -r --exclude=.git "$place/none" "$place/again" || fault "a second copy is another one"

# DIRECTORY is relative to where the caller is; an empty folder is filled, also by the name of a link or from inside it.
mkdir -p "$place/here/empty" "$place/here/behind"
ln -s behind "$place/here/link"
for to in new deep/er link .; do
    folder=$place/here
    if [[ $to == . ]]; then folder=$place/here/empty; fi
    (cd "$folder" && new_service orders $to --installed --unformatted) >"$place/said" 2>&1 || fault "DIRECTORY $to: $(<"$place/said")"
    [[ -e $folder/$to/cmd/orders/main.cpp && -d $folder/$to/.git ]] || fault "DIRECTORY $to: nothing there"
done
[[ -z $(find "$place/here" -name '.new-service*') && -L $place/here/link ]] || fault "DIRECTORY: something is left"
grep -q ' no modules, ' "$place/said" || fault "of no modules: $(<"$place/said")"

# Thin copies: what is about the service, whatever its libraries come from; 15 to 25 files, at most 2,000 lines.
export CMAKE_PREFIX_PATH=$place/nothing
new_service order-book "$place/vendored"
new_service order-book "$place/installed" --installed
new_service order-book "$place/thick" --vendored --with all
new_service order-book "$place/fewer" --vendored --with all --without nats,kafka,http_sink
for copy in vendored installed thick; do
    cd "$place/$copy"
    mapfile -t own < <(git ls-files -- ':!curfew')
    ((${#own[@]} >= 15 && ${#own[@]} <= 25)) || fault "$copy: ${#own[@]} files of its own: ${own[*]}"
    (($(cat "${own[@]}" | wc -l) <= 2000)) || fault "$copy: too many lines of its own"
    hits=$(git grep -nE '\bSERVICE_[A-Z]|cmd/service/(routes|main)|\[/?(installed|vendored|dynamic|module|skeleton|examples)' -- . ':!curfew' \
        ':!scripts/update' ':!tests') && fault "$copy: $hits"
    [[ -z $(git status --porcelain) && $(git rev-list --count HEAD) == 1 ]] || fault "$copy: not one commit"
    if command -v clang-format-14 >/dev/null; then
        clang-format-14 --dry-run --Werror cmd/*/*.?pp configs/*.?pp tests/*.?pp || fault "$copy: format"
    fi
    if command -v shellcheck >/dev/null; then shellcheck scripts/* .ci/run || fault "$copy: shellcheck"; fi
done
[[ $(git -C "$place/vendored" ls-files scripts tests) == $(git -C "$place/installed" ls-files scripts tests) ]] || fault "the kinds differ"
[[ ! -e $place/installed/curfew && -e $place/vendored/curfew/install.cmake ]] || fault "the folder curfew"
# What is not asked for is not there, neither in its own nor in the folder; the rest of that is as it is here.
cd "$place/vendored"
hits=$(git grep -nE "$modules|TLS OR|HTTP2\b|WEBSOCKET" -- '*CMakeLists.txt' Dockerfile scripts/setup scripts/build) && fault "vendored: $hits"
for folder in server/tls server/http2 tracker/http cmd/service/systemd tests/integration/stop_test.cpp docs; do
    [[ ! -e curfew/$folder ]] || fault "vendored: curfew/$folder"
done
for file in server/loop.cpp lifecycle/context.hpp configs/load.cpp cmd/service/process.cpp; do
    cmp -s "$root/$file" "curfew/$file" || fault "vendored: curfew/$file is not what it is here"
done
[[ -e $place/thick/deploy/order-book.service && ! -e deploy/order-book.service ]] || fault "the unit"
[[ -d $place/fewer/curfew/server/tls && ! -e $place/fewer/curfew/tracker/nats ]] || fault "--without"
# What it was made as, to the byte: updates merge with nothing else.
for copy in none vendored; do
    hash=$(cd "$place/$copy" && git ls-files -z -- ':!*skeleton.lock' | sed -z 's|^|./|' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
    grep -qx "hash = sha256:${hash%% *}" "$place/$copy/skeleton.lock" || fault "$copy: another hash than ${hash%% *}"
done
grep -qE '^libraries = sha256:[0-9a-f]{64}$' "$place/vendored/skeleton.lock" || fault "no hash of the libraries"
grep -q '^modules = .*tls.*' "$place/fewer/skeleton.lock" || fault "the lock of --without"

# What is installed decides: none, one that fits, an older one, one that lacks a module.
# libraries VERSION DATE MODULES: what find_package would find.
libraries()
{
    local place=$CMAKE_PREFIX_PATH/lib/cmake/curfew
    mkdir -p "$place"
    echo "set(PACKAGE_VERSION \"$1\")" >"$place/curfew-config-version.cmake"
    echo "set(curfew_DATE \"$2\")" >"$place/curfew-revision.cmake"
    echo "set(curfew_MODULES \"$3\")" >"$place/curfew-config.cmake"
}
version=$(sed -n 's/^project(curfew VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt")
libraries "$version" 2999-01-01T00:00:00Z "tls trace"
new_service orders "$place/found" --with tls
[[ $(sed -n 's/^kind = //p' "$place/found/skeleton.lock") == installed ]] || fault "what is installed was not found"
cd "$root"

# refused ARGUMENT...: code 2, one line that says why, nothing made.
refused()
{
    local code=0
    new_service "$@" >"$place/said" 2>&1 || code=$?
    [[ $code == 2 && $(wc -l <"$place/said") == 1 ]] || fault "not refused: $*: $(<"$place/said")"
    [[ ! -e $place/no ]] || fault "$* has made something"
}
for name in Orders 1st -x a--b a_b orders- server group revision "$(printf 'a%.0s' {1..33})" 'a b' '' $'a\nb' no null proxy; do refused "$name" "$place/no"; done
refused greeter "$place/no" --fork
refused orders "$place/all"
refused orders "$place/no" --with unknown
refused orders "$place/no" --unknown
refused orders /proc/no/place
grep -qF "new-service: /proc/no/place cannot be made: " "$place/said" || fault "of a folder that cannot be made: $(<"$place/said")"
echo file >"$place/file"
refused orders "$place/file/under"
refused orders
refused curfew "$place/no"
refused orders "$place/no" --fork --vendored
refused orders "$place/no" --vendored --without-examples
refused orders "$place/no" --without unknown
refused orders "$place/no" --with heap --without pprof
refused orders "$place/no" --with nats
grep -qF "built without it" "$place/said" || fault "of a module that is not there: $(<"$place/said")"
libraries "$version" 2001-01-01T00:00:00Z "tls trace nats_sink"
refused orders "$place/no"
grep -qF "older than" "$place/said" || fault "of older libraries: $(<"$place/said")"
libraries 9.9.9 2999-01-01T00:00:00Z "tls"
refused orders "$place/no"
[[ -z $(find "$place" -maxdepth 1 -name '.new-service*') ]] || fault "something is left"

((faults == 0)) && echo "new_service: copies are whole and have nothing of the old name"
exit $((faults > 0))
