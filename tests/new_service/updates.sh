#!/usr/bin/env bash
# scripts/update on a copy of a small skeleton: fixes arrive, what the copy has done survives. Builds nothing.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@example.com GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@example.com
faults=0
fault()
{
    echo "updates: $*"
    faults=$((faults + 1))
}
# expect CODE TEXT COMMAND...: the command ends with that code and says the text.
expect()
{
    local wanted=$1 text=$2 code=0
    shift 2
    "$@" >"$place/said" 2>&1 || code=$?
    [[ $code == "$wanted" ]] || fault "$*: code $code, not $wanted: $(tail -n 3 "$place/said")"
    grep -qF -- "$text" "$place/said" || fault "$*: does not say \"$text\": $(tail -n 3 "$place/said")"
}

# The tree as it is, without most of what is only copied, so that a rendering takes a moment.
skeleton=$place/skeleton
mkdir "$skeleton"
(cd "$root" && { git ls-files -z -co --exclude-standard -- .ci .clang-format .gitignore CMakeLists.txt CHANGELOG.md README.md cmd configs \
    docs/limits.md docs/updates.md scripts server/cpus.cpp tests/lint/size.sh 2>/dev/null |
    while IFS= read -rd '' file; do if [[ -e $file ]]; then printf '%s\0' "$file"; fi; done; } |
    tar -c --null -T - | tar -x -C "$skeleton")
cd "$skeleton"
git init -q -b main
git add -A -f
git commit -q -m "base"
base=$(git rev-parse HEAD)

scripts/new-service orders "$place/copy" --fork --with trace >"$place/said" || fault "$(<"$place/said")"
cd "$place/copy"
[[ $(sed -n 's/^revision = //p' skeleton.lock) == "$base" ]] || fault "the lock does not name the revision"
[[ $(sed -n 's/^modules = //p' skeleton.lock) == trace ]] || fault "the lock does not name the modules"
grep -qE '^hash = sha256:[0-9a-f]{64}$' skeleton.lock || fault "the lock has no hash"
expect 0 '"behind":0,"fixes":[]}' scripts/update --check
expect 0 "nothing to do" scripts/update --no-tests

# What a service does of its own: edits, deletes, renames, adds.
sed -i 's/^namespace http = server::http;$/&\n\/\/ our own line/' cmd/orders/routes.cpp
git rm -q docs/limits.md
git mv server/cpus.cpp server/processors.cpp
echo ours >ours.txt
git add -A
git commit -q -m "Our own"

cd "$skeleton"
echo '// mended' | tee -a cmd/service/routes.cpp docs/limits.md server/cpus.cpp >/dev/null
perl -i -pe "s/^## Unreleased.*\n/\$&\n### Fixed\n- $(date +%F): mended today\n- 2001-02-03: in other words\n- A \"quoted\" thing\n  is mended\n/" CHANGELOG.md
echo new >docs/new.md
git add -A
git commit -q -m "Mended"
mended=$(git rev-parse HEAD)

cd "$place/copy"
expect 2 '"behind":1,"fixes":["'"$(date +%F)"': mended today","A \"quoted\" thing is mended"]}' scripts/update --check
[[ -z $(git status --porcelain) ]] || fault "--check has changed something"
expect 0 "${mended:0:12} is merged" scripts/update --no-tests
grep -q 'our own line' cmd/orders/routes.cpp || fault "the edit is gone"
for file in cmd/orders/routes.cpp server/processors.cpp; do [[ $(tail -n 1 $file) == "// mended" ]] || fault "$file is not mended"; done
[[ ! -e docs/limits.md && ! -e server/cpus.cpp ]] || fault "what was deleted or renamed is back"
[[ -e docs/new.md && -e ours.txt ]] || fault "a new file is not there"
[[ -z $(git status --porcelain) && $(sed -n 's/^revision = //p' skeleton.lock) == "$mended" ]] || fault "not committed whole"
[[ $(git rev-list --count HEAD) == 4 ]] || fault "other commits than four"
expect 0 '"behind":0' scripts/update --check
expect 0 "nothing to do" scripts/update --no-tests

# Both touch one line: a conflict that names the file, taken back or resolved. By a bundle, without the checkout.
sed -i 's/our own line/our own words/; s/^namespace http = server::http;$/namespace http = ::server::http;/' cmd/orders/routes.cpp
git commit -qam "Our words"
cd "$skeleton"
sed -i 's/^namespace http = server::http;$/namespace http = server::http;  \/\/ theirs/' cmd/service/routes.cpp
git commit -qam "Theirs"
theirs=$(git rev-parse HEAD)
git bundle create -q "$place/all.bundle" main
mv "$skeleton" "$skeleton.away"
cd "$place/copy"
expect 1 "cannot read $skeleton" scripts/update --no-tests
before=$(git rev-parse HEAD)
expect 1 "--continue; or scripts/update --abort" scripts/update --no-tests --from "$place/all.bundle"
[[ $(<"$place/said") == "update: conflicts in cmd/orders/routes.cpp: "* && $(wc -l <"$place/said") == 1 ]] || fault "other conflicts: $(<"$place/said")"
expect 1 "an update is under way" scripts/update --no-tests
expect 1 "not resolved yet: cmd/orders/routes.cpp" scripts/update --continue --no-tests
expect 0 "taken back" scripts/update --abort
[[ -z $(git status --porcelain) && $(git rev-parse HEAD) == "$before" ]] || fault "not taken back"
# What git has done meanwhile is seen: a merge that it has taken back is not merged, one that it has committed not taken back.
expect 1 "conflicts in cmd/orders/routes.cpp" scripts/update --no-tests --from "$place/all.bundle"
git merge --abort
expect 1 "git has taken the merge back already" scripts/update --continue --no-tests
expect 1 "conflicts in cmd/orders/routes.cpp" scripts/update --no-tests --from "$place/all.bundle"
git checkout -q --theirs cmd/orders/routes.cpp
git commit -qam "Merged by hand"
expect 1 "is committed already" scripts/update --abort
git reset -q --hard "$before"
expect 0 "taken back" scripts/update --abort
cd cmd
expect 1 "conflicts in cmd/orders/routes.cpp" ../scripts/update --no-tests --from ../../all.bundle
cd ..
git add cmd/orders/routes.cpp
expect 1 "has the marks of a conflict: cmd/orders/routes.cpp" scripts/update --continue --no-tests
git checkout -q --merge cmd/orders/routes.cpp
git checkout -q --theirs cmd/orders/routes.cpp
git add cmd/orders/routes.cpp
expect 0 "${theirs:0:12} is merged" scripts/update --continue --no-tests
[[ -z $(git status --porcelain) ]] || fault "not committed after a conflict"
expect 1 "no update is under way" scripts/update --continue
mv "$skeleton.away" "$skeleton"

# An older skeleton than what the service is made of is nothing to merge for --check.
expect 0 '"behind":0' scripts/update "$base" --check

# One that was made before there was a lock.
"$skeleton/scripts/new-service" orders "$place/older" --fork --with trace >/dev/null
rm -rf "$place/older/.git" "$place/older/skeleton.lock"
cd "$place/older"
git init -q -b main && git add -A && git commit -q -m "orders, long ago"
echo ours >>cmd/orders/routes.hpp && git commit -qam "Our own"
expect 1 "there is no skeleton.lock" scripts/update --no-tests
expect 1 "needs --name and --from" scripts/update --graft "$theirs"
expect 0 "grafted" scripts/update --graft "$theirs" --name orders --with trace --from "$skeleton"
[[ $(tail -n 1 cmd/orders/routes.hpp) == ours && -z $(git status --porcelain) ]] || fault "a graft has changed something"
cd "$skeleton"
echo '// later' >>cmd/service/routes.cpp && git commit -qam "Later"
cd "$place/older"
expect 0 "is merged" scripts/update --no-tests
[[ $(tail -n 1 cmd/orders/routes.cpp) == "// later" && $(tail -n 1 cmd/orders/routes.hpp) == ours ]] || fault "grafted, not merged"

# A history that has lost what was made: amended with edits of one's own, which a merge would undo; or squashed. A graft mends it, and
# asks for nothing that the lock knows. All in one second: commits are told apart by what they are, not by when they were made.
export GIT_AUTHOR_DATE="2026-01-01T00:00:00Z" GIT_COMMITTER_DATE="2026-01-01T00:00:00Z"
for lost in amended squashed; do
    "$skeleton/scripts/new-service" orders "$place/$lost" --fork --with trace >/dev/null
    cd "$place/$lost"
    made=$(sed -n 's/^revision = //p' skeleton.lock)
    expect 1 "nothing to graft" scripts/update --graft "$made"
    echo ours >>cmd/orders/routes.hpp
    if [[ $lost == amended ]]; then
        git commit -qa --amend --no-edit
    else
        git commit -qam "Our own"
        git reset -q --soft "$(git commit-tree "HEAD^{tree}" -m "All in one")"
    fi
    (cd "$skeleton" && echo "// $lost" >>cmd/service/routes.cpp && git commit -qam "After $lost")
    expect 2 '"behind":1' scripts/update --check
    expect 1 "scripts/update --graft ${made:0:12}" scripts/update --no-tests
    expect 0 "grafted" scripts/update --graft "$made"
    expect 0 "is merged" scripts/update --no-tests
    [[ $(tail -n 1 cmd/orders/routes.cpp) == "// $lost" && $(tail -n 1 cmd/orders/routes.hpp) == ours ]] || fault "$lost: not merged"
done

# A thin copy: what is its own is merged, the folder of the libraries is another one; an installed library is named.
cd "$skeleton"
for kind in vendored installed; do
    scripts/new-service orders "$place/$kind" --$kind --with trace --unformatted >"$place/said" || fault "$kind: $(<"$place/said")"
    grep -qx 'format = none' "$place/$kind/skeleton.lock" || fault "$kind: the lock does not say that it is not formatted"
    sed -i 's/^namespace http = server::http;$/&\n\/\/ our own line/' "$place/$kind/cmd/orders/routes.cpp"
    git -C "$place/$kind" rm -q deploy/kubernetes.yaml
    git -C "$place/$kind" commit -qam "Our own"
done
echo '// mended' | tee -a scripts/template/cmd/service/routes.cpp scripts/template/deploy/kubernetes.yaml server/cpus.cpp cmd/service/main.cpp >/dev/null
echo '// new' >server/new.hpp
git add -A && git commit -qm "Mended again"
mended=$(git rev-parse HEAD)
for kind in vendored installed; do
    cd "$place/$kind"
    expect 2 '"behind":1' scripts/update --check
    expect 0 "${mended:0:12} is merged" scripts/update --no-tests
    grep -q 'our own line' cmd/orders/routes.cpp || fault "$kind: the edit is gone"
    for file in cmd/orders/routes.cpp cmd/orders/main.cpp; do
        [[ $(tail -n 1 $file) == "// mended" ]] || fault "$kind: $file is not mended"
    done
    [[ ! -e deploy/kubernetes.yaml ]] || fault "$kind: what was deleted is back"
    [[ -z $(git status --porcelain) && $(sed -n 's/^revision = //p' skeleton.lock) == "$mended" ]] || fault "$kind: not committed whole"
done
grep -qF "needs curfew 0.1.0 of $(sed -n 's/^date = //p' skeleton.lock)" "$place/said" || fault "no word about the library: $(<"$place/said")"
[[ ! -e $place/installed/curfew ]] || fault "installed: a folder of the libraries"
for kind in vendored installed; do grep -qx 'format = none' "$place/$kind/skeleton.lock" || fault "$kind: formatted by an update"; done
cmp -s "$skeleton/server/cpus.cpp" "$place/vendored/curfew/server/cpus.cpp" || fault "vendored: the folder is an older one"
[[ -e $place/vendored/curfew/server/new.hpp ]] || fault "vendored: a new file is not there"
cd "$place/vendored"
expect 0 '"libraries":"as made",' scripts/update --check
echo '// ours' >>curfew/server/cpus.cpp && git commit -qam "In the folder of the libraries"
expect 0 '"libraries":"edited",' scripts/update --check
# A module more is a word in the lock; what it takes elsewhere comes with the update.
sed -i 's/^modules = .*/modules = trace,tls/' skeleton.lock && git commit -qam "TLS"
expect 0 "${mended:0:12} is merged" scripts/update --no-tests
grep -qE '^set\(modules .*\btls\b' CMakeLists.txt || fault "the module of the lock is not built"
# Somebody who has deleted the lock file is told how to get it back; and a graft finds out by itself what kind of a copy it is.
for kind in vendored installed; do
    cd "$place/$kind"
    rm skeleton.lock
    expect 1 "git checkout HEAD -- skeleton.lock brings it back" scripts/update --no-tests
    git commit -qam "Without a lock"
    expect 1 "there is no skeleton.lock: git checkout $(git rev-parse --short HEAD)^ -- skeleton.lock brings it back" scripts/update --no-tests
    expect 0 "grafted" scripts/update --graft "$mended" --name orders --with trace --from "$skeleton"
    grep -qx "kind = $kind" skeleton.lock || fault "$kind: grafted as another kind: $(<skeleton.lock)"
done
cd "$skeleton"
git checkout -q -b old
echo '#!/bin/sh' >scripts/new-service
git commit -qam "As of before thin copies"
git checkout -q main
cd "$place/vendored"
expect 1 "is older than thin copies" scripts/update --no-tests old
cd "$place/older"

# One line each, nothing half done. Git says why in the first of its lines, not in the last.
expect 1 "has no no-such-thing" scripts/update no-such-thing --no-tests
expect 1 "cannot read $place/said.not: fatal: " scripts/update --no-tests --from "$place/said.not"
expect 1 "cannot read $place/said: fatal: " scripts/update --no-tests --from "$place/said"
for key in revision name source; do  # emptied, or torn by an editor
    sed -i "/^$key = /d" skeleton.lock && git commit -qam "Without its $key"
    for how in --no-tests --check; do
        expect 1 "update: skeleton.lock has no $key: git checkout " scripts/update $how
        [[ $(wc -l <"$place/said") == 1 ]] || fault "no $key, $how: $(<"$place/said")"
    done
    git reset -q --hard HEAD~1
done
expect 1 "unknown: --wrong" scripts/update --wrong
expect 1 "one REVISION" scripts/update main main
expect 1 "git does not know who you are" env -u GIT_AUTHOR_NAME -u GIT_AUTHOR_EMAIL -u GIT_COMMITTER_NAME -u GIT_COMMITTER_EMAIL HOME="$place" \
    GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=user.useConfigOnly GIT_CONFIG_VALUE_0=true scripts/update --no-tests
echo dirty >>ours.txt
expect 1 "the work tree is not clean" scripts/update --no-tests
[[ -z $(git stash list) && $(git rev-parse -q --verify MERGE_HEAD) == "" ]] || fault "something is left"

((faults == 0)) && echo "updates: fixes arrive, what a copy has done survives"
exit $((faults > 0))
