#!/usr/bin/env bash
# Installs a build, builds the project of this folder on it, and drains that: tests/install/run.sh BUILD_FOLDER.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$(cd "$1" && pwd)
place=$build/install_test
greeter=
ended()
{
    if [[ -n $greeter ]]; then kill -KILL "$greeter" 2>/dev/null || true; fi
}
trap ended EXIT
fail()
{
    echo "install: $*" >&2
    exit 1
}

rm -rf "$place/prefix" "$place/run"
mkdir -p "$place/run"
cmake --install "$build" --prefix "$place/prefix" >"$place/install.log"
cd "$place/prefix"
bin/service --config etc/service/service.toml --check-config >"$place/run/checked.toml" || fail "the settings"
[[ -e include/curfew/server/router.hpp && ! -e include/curfew/server/loop.cpp ]] || fail "the headers"
for header in configs/kinds cmd/service/process tests/integration/service tests/tracker/spool_fakes lifecycle/pool/run_on; do
    [[ -e include/curfew/$header.hpp ]] || fail "no $header.hpp"
done
[[ ! -e include/curfew/cmd/service/routes.hpp ]] || fail "a header of the program's own"
# What somebody has edited stays.
echo 'ready_file = "mine"' >etc/service/service.toml
cmake --install "$build" --prefix "$place/prefix" --component service >>"$place/install.log"
[[ $(<etc/service/service.toml) == 'ready_file = "mine"' ]] || fail "the settings were overwritten"
if [[ -d lib/systemd/system ]]; then
    grep -qx "ExecStart=$place/prefix/bin/service --config $place/prefix/etc/service/service.toml" \
        lib/systemd/system/service.service || fail "the unit does not name the program that was installed"
fi

# From a folder that has nothing of the tree around it, with the compiler of the build.
compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")
cmake -G Ninja -S "$here" -B "$place/greeter" -D CMAKE_BUILD_TYPE=Release -D CMAKE_PREFIX_PATH="$place/prefix" \
    -D CMAKE_CXX_COMPILER="$compiler" -D CMAKE_CXX_COMPILER_LAUNCHER="$(command -v ccache || true)" \
    -D CMAKE_CXX_FLAGS="-Wall -Wextra -Werror -O0" >"$place/greeter.log"
cmake --build "$place/greeter" >>"$place/greeter.log" || fail "$(tail -n 20 "$place/greeter.log")"

# The same without CMake, where the machine has the tool for it.
if command -v pkg-config >/dev/null; then
    mapfile -t flags < <(PKG_CONFIG_PATH="$(echo "$place"/prefix/lib*/pkgconfig):$(echo "$place"/prefix/lib/*/pkgconfig)" \
        pkg-config --cflags --libs curfew | xargs -n 1)
    ((${#flags[@]} > 5)) || fail "curfew.pc: ${flags[*]}"
    "$compiler" -O0 "$here/main.cpp" "${flags[@]}" -o "$place/run/greeter" || fail "by pkg-config"
    [[ -x $place/run/greeter ]] || fail "no program by pkg-config"
fi

cd "$place/run"
mkfifo out
"$place/greeter/greeter" >out 2>err &
greeter=$!
exec 3<out
read -rt 20 -u 3 word address || fail "it does not listen: $(<err)"
[[ $word == listens ]] || fail "$word"
exec 4<>"/dev/tcp/${address%:*}/${address#*:}"
printf 'GET /greet/stranger HTTP/1.1\r\nHost: here\r\n\r\n' >&4
read -rt 20 -u 3 word name || fail "no event was delivered"
[[ $word == greeted && $name == stranger ]] || fail "$word $name"
kill -TERM "$greeter"  # the event is there and the answer is not
answer=$(timeout 20 cat <&4) || fail "the answer does not end"
[[ $answer == "HTTP/1.1 200 "*"Connection: close"*"Hello, stranger" ]] || fail "cut: $answer"
code=0
wait "$greeter" || code=$?
greeter=
((code == 0)) || fail "exit code $code: $(<err)"
grep -q '"exit_code":0.*"in_flight_at_stop":1,"begun_after":0,"finished":1,"cut":0,"gone":0.*"accepted":1,.*"delivered":1' report.json ||
    fail "$(<report.json)"
echo "install: an outside project was built on the installed libraries, answered and drained"
