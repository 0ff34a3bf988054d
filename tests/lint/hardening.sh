#!/usr/bin/env bash
# What a hardened build has: tests/lint/hardening.sh PROGRAM BUILD_FOLDER, of a preset with HARDENING. A flag that is
# asked for and does nothing (a library compiled without it, a linker that does not know it) is seen in the program.
set -euo pipefail
program=$1
faults=0

# has WHAT TEXT REGEX
has()
{
    if grep -qE "$3" <<<"$2"; then return; fi
    echo "hardening: $program: no $1"
    faults=$((faults + 1))
}

headers=$(readelf -hlW "$program")
dynamic=$(readelf -dW "$program")
has "position-independent executable" "$headers" 'Type: +DYN'
has "PIE flag" "$dynamic" 'Flags:.* PIE'
has "RELRO" "$headers" 'GNU_RELRO'
has "immediate binding" "$dynamic" 'BIND_NOW'
has "stack that is not executable" "$headers" 'GNU_STACK .* RW +0x'
if grep -E '^ +(LOAD|GNU_STACK)' <<<"$headers" | grep -E ' RWE '; then
    echo "hardening: $program: a segment that can be written and run"
    faults=$((faults + 1))
fi
for library in server/libserver lifecycle/liblifecycle tracker/libtracker configs/libconfigs; do
    symbols=$(nm "$2/$library.a" 2>/dev/null)
    has "stack protector in $library" "$symbols" 'U __stack_chk_fail'
    has "fortified copy in $library" "$symbols" 'U __mem(cpy|move|set)_chk'
    has "libstdc++ assertion in $library" "$symbols" 'U _ZSt21__glibcxx_assert_fail'
done
# What leaves no name in the program: by how each of our own sources is compiled.
while IFS= read -r command; do
    for flag in -O2 -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -D_GLIBCXX_ASSERTIONS; do
        has "$flag: ${command##* }" "$command " " $flag "
    done
done < <(sed -nE 's/^ *"command": "(.*\/(server|lifecycle|tracker|configs|cmd)\/[a-z_0-9/]+\.cpp)",?$/\1/p' "$2/compile_commands.json")
exit $((faults > 0))
