#!/usr/bin/env bash
# whole_fmt.sh NM LIBFMT LIBRARY...: what Debian's library of fmt has for programs that see it as compiled, ours have too, but
# for what is about files, wide characters and Windows. See lifecycle/spdlog.cpp.
set -euo pipefail
nm=$1
# names OPTION... FILE...: of functions and tables of fmt that are defined there.
names()
{
    "$nm" -C --defined-only "$@" | sed -nE 's/^[0-9a-f]+ [A-Za-z] (.*\bfmt::.*)$/\1/p' | sort -u
}
if [[ ! -e $2 ]]; then
    echo "whole_fmt: skipped: no $2"
    exit 77
fi
wanted=$(names -D "$2" | grep -vE 'wchar_t|fmt::v[0-9]+::(buffered_file|file|ostream|file_access|detail::(file_buffer|utf8_to_utf16|utf16_to_utf8))\b')
lacking=$(comm -23 <(printf '%s\n' "$wanted") <(names "${@:3}"))
if [[ -z $wanted || -n $lacking ]]; then
    printf 'whole_fmt: lacking: %s\n' "$lacking"
    exit 1
fi
echo "whole_fmt: all $(wc -l <<<"$wanted") are there"
