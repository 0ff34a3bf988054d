#!/usr/bin/env bash
# Forms that have bitten, each with what to do instead. Comments and strings do not count. A line that needs
# the form all the same says why behind it: `io.stop();  // lint: the loop's owner has joined every task`.
set -euo pipefail
cd "${1:-.}"
faults=0
core=(cmd lifecycle server tracker configs)

# The code of a file as FILE:LINE:CODE. Lines with a `// lint:` mark, comments and strings are left out.
code_of()
{
    awk '{
        line = $0
        if (line ~ /\/\/ lint: [a-zA-Z]/) next
        gsub(/\\["\\]/, "", line)
        gsub(/"[^"]*"/, "\"\"", line)
        gsub(/\/\*.*\*\//, "", line)
        sub(/\/\/.*/, "", line)
        if (line ~ /[^[:space:]]/) print FILENAME ":" FNR ":" line
    }' "$@" </dev/null
}

# The same with each statement on one line, so that a form that is broken over lines is seen.
statements_of()
{
    code_of "$@" | awk '{
        match($0, /:[0-9]+:/)
        place = substr($0, 1, RSTART + RLENGTH - 1)
        text = substr($0, RSTART + RLENGTH)
        if (statement == "") first = place
        statement = statement " " text
        if (text ~ /[;{}][[:space:]]*$/) { print first statement; statement = "" }
    } END { if (statement != "") print first statement }'
}

files_in()
{
    local folder
    for folder in "$@"; do
        if [[ -d $folder ]]; then find "$folder" -type f \( -name '*.cpp' -o -name '*.hpp' \) -print; fi
    done | sort
}

# ban TEXT REGEX ADVICE [FILES THAT MAY]: TEXT are lines FILE:LINE:CODE.
ban()
{
    local hits
    hits=$(grep -E "^[^:]+:[0-9]+:.*($2)" <<<"$1" || true)
    if [[ -n ${4:-} && -n $hits ]]; then hits=$(grep -vE "^($4)" <<<"$hits" || true); fi
    if [[ -n $hits ]]; then
        while IFS= read -r hit; do
            echo "banned: $hit"
            echo "        $3"
            faults=$((faults + 1))
        done <<<"$hits"
    fi
}

mapfile -t core_files < <(files_in "${core[@]}")
mapfile -t test_files < <(files_in tests)
code=$(code_of "${core_files[@]}")
tests=$(code_of "${test_files[@]}")
statements=$(statements_of "${core_files[@]}" "${test_files[@]}")

# Threads and tasks have an owner that waits for them.
ban "$code" 'std::thread\b|pthread_create|std::async\b|\.detach\(\)' 'threads are started by lifecycle::workers'
ban "$code" 'std::jthread *[({]|std::jthread +[a-z_]+ *[({]' 'threads are started by lifecycle::workers' \
    'lifecycle/workers\.'
ban "$code" '\bdetached\b' 'a coroutine has an owner that waits for it: lifecycle::task_group' \
    'lifecycle/task_group\.'
ban "$code" '(\.|->)stop\(\)' 'io_context::stop drops handlers: let the loop run out of work'
ban "$code" 'shared_from_this' 'one owner, which waits'
ban "$code" 'awaitable_operators|experimental::.*channel|experimental/.*channel' \
    'not thread-safe, and slow: see docs/ARCHITECTURE.md'
ban "$code" 'spdlog::(trace|debug|info|warn|error|critical|get|default_logger|set_default_logger)\(' \
    'there is no global logger: take one'
ban "$code"$'\n'"$tests" '(auto|[&*]) ?(const )?one( :|[,;)=(])' 'a name says what it stands for'
scripts=$(grep -rnI '' bench findings scripts tests/all tests/page docs/spec server/admin/page .ci 2>/dev/null || true)
ban "$scripts" \
    'for (const |var )?one (in|of|:)|[$]\{?one\b|\bone (:?=|==) |lambda one\b|\bas one:|\bone\.[a-z_]+[(=]|\bone\[|\(one[,)]|\b(byte|const|function|let|local|var) one\b' \
    'a name says what it stands for'
ban "$scripts" '[^|]\| *grep (-[a-zA-Z]+ )*-[a-zA-Z]*q' \
    'grep ends at its first match, and the writer by SIGPIPE, which pipefail takes for a fault: give it a here-string'
ban "$code" '[a-z_)] = std::string\(\);' 'that keeps the memory: server/forget.hpp'
ban "$code"$'\n'"$tests" 'atomic<std::shared_ptr' 'a mutex around the pointer'
ban "$code"$'\n'"$tests" 'std::(format\(|stacktrace|move_only_function)' 'libstdc++ 12 has it not: fmt'
ban "$(grep -nE '"/usr/s?bin/' "${test_files[@]}" /dev/null || true)" '"/usr/s?bin/' 'support::tool finds it by PATH'
ban "$tests" 'sleep_for|sleep_until|\b(u|nano)?sleep\(' 'a test waits for an event, with a deadline' 'tests/examples/'

# What g++ 12 miscompiles: name the thing first.
ban "$statements" '\? *\(?co_await|\?[^;{}]*[^:]: *co_await' 'g++ 12: a conditional with co_await destroys twice'
ban "$statements" 'co_await[^;]*[(,] *\[[^]]' 'g++ 12: a capturing lambda inside a co_await: name it first'
ban "$statements" '\{[^;{}]*co_await[^;{}]*\}' 'g++ 12: a braced list of co_await: name them first'

# What nobody should find in a finished tree.
files=("${core_files[@]}" "${test_files[@]}")
ban "$(awk '{print FILENAME ":" FNR ":" $0}' "${files[@]}" </dev/null)" '\b(TO''DO|FIX''ME)\b|/ho''me/|/ro''ot/' \
    'do it, or say in an issue that it is to be done'
headers=()
public=()
for file in "${files[@]}"; do
    case "${file##*/}" in
    service_manager.* | database.*) ;;  # what systemd calls itself; what it is
    *manager* | *helper* | *util* | *base.* | *misc* | *common.*)
        echo "banned: $file: a name that says nothing"
        faults=$((faults + 1))
        ;;
    esac
    if [[ $file == *.hpp ]]; then headers+=("$file"); fi
    if [[ $file == *.hpp && $file != tests/* ]]; then public+=("$file"); fi
done
ban "$(code_of "${public[@]}")" 'using namespace' 'not in a header'
guarded=$'\n'$(grep -l '^#pragma once' "${headers[@]}" </dev/null || true)$'\n'
for file in "${headers[@]}"; do
    if [[ $guarded == *$'\n'"$file"$'\n'* ]]; then continue; fi
    echo "banned: $file: no #pragma once"
    faults=$((faults + 1))
done

marks=$(grep -rnE '// lint: [a-zA-Z]' --include='*.?pp' "${core[@]}" tests 2>/dev/null || true)
if [[ -n $marks ]]; then printf 'allowed where it stands:\n%s\n' "$marks"; fi
((faults == 0)) && echo "banned: nothing found"
exit $((faults > 0))
