#!/usr/bin/env bash
# Spin 6.5: `spin -a` says an error and exits with 1, and has written pan.c all the same: it compiles and explores. A
# script that does not look at the exit status checks something else than what was written. Seen with an array as a
# parameter of an inline ("missing array index").
# And a c_expr that calls a function is refused as one with side effects, whatever the function does: what C computes has
# to be put into a variable by a c_code first.
# Seen with Spin 6.5.2 of Debian 12; needs spin and gcc. Fails when that changes.
set -euo pipefail
spin -V
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
fail()
{
    echo "not as it was: $*" >&2
    exit 1
}

cat >array.pml <<'MODEL'
byte many[4];
inline first(array, what) { if :: array[0] == what -> array[0]++ :: else fi }
active proctype p() { first(many, 0); assert(many[0] == 0) }
MODEL
status=0
said=$(spin -a array.pml) || status=$?
[[ $status == 1 && $said == *"missing array index for 'many'"* ]] || fail "$status: $said"
[[ -s pan.c ]] || fail "no pan.c"
gcc -w -DSAFETY -o pan pan.c
explored=$(./pan -n)
[[ $explored == *"assertion violated (many[0]==0)"* ]] || fail "$explored"
echo "exit status 1, an error, and a verifier that explores: $(grep -m1 violated <<<"$explored")"
rm -f pan*

cat >function.pml <<'MODEL'
c_decl { static int two(int n) { return 2 * n; } }
active proctype p() { do :: c_expr { two(1) } -> break od }
MODEL
status=0
said=$(spin -a function.pml) || status=$?
[[ $status == 1 && $said == *"has side-effects"* ]] || fail "$status: $said"
echo "a c_expr with a call: $said"
cat >variable.pml <<'MODEL'
c_decl { static int two(int n) { return 2 * n; } }
byte n;
active proctype p() { c_code { now.n = two(1); }; do :: n == 2 -> break od }
MODEL
spin -a variable.pml || fail "c_code with a call"
echo "a c_code with a call: taken"
