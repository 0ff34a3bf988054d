#!/usr/bin/env bash
# Each rule is broken once in a small tree and must be noticed; the tree without faults must pass.
set -euo pipefail
rules=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0

fresh()
{
    rm -rf "${tree:?}"/*
    mkdir -p "$tree"/{cmd/service,lifecycle,server,tracker,configs,tests/{server,all},docs}
    printf '#pragma once\n#include "lifecycle/context.hpp"\nint f();  // std::thread, detached, "a.stop()"\n' \
        >"$tree/server/good.hpp"
    printf '#include "server/good.hpp"\nvoid g() { auto text = "std::thread? co_await"; x.stop(); }  // lint: why\n' \
        >"$tree/server/good.cpp"
}

# breaks RULE FILE TEXT: RULE fails once FILE has TEXT.
breaks()
{
    fresh
    mkdir -p "$(dirname "$tree/$2")"
    printf '%b\n' "$3" >"$tree/$2"
    if bash "$rules/$1.sh" "$tree" >/dev/null; then
        echo "self_test: $1 does not notice in $2: $3"
        failures=$((failures + 1))
    fi
}

# passes RULE FILE TEXT: RULE has nothing to say about it.
passes()
{
    fresh
    printf '%b\n' "$3" >"$tree/$2"
    if ! bash "$rules/$1.sh" "$tree"; then
        echo "self_test: $1 complains in $2: $3"
        failures=$((failures + 1))
    fi
}

for rule in layering size classes prose banned snippets log_lines; do passes $rule server/one.cpp 'int one();' >/dev/null; done

breaks layering server/bad.hpp '#include "tracker/event_tracker.hpp"'
breaks layering tracker/bad.hpp '#include "server/http_server.hpp"'
breaks layering tracker/bad.cpp '#  include <boost/beast/http.hpp>'
breaks layering lifecycle/bad.cpp '#include "configs/config.hpp"'
breaks layering lifecycle/bad.cpp '#include <server/options.hpp>'
breaks layering configs/bad.cpp '#include "server/http_server.hpp"'
breaks layering server/bad.cpp '#include "good.hpp"'
breaks layering server/bad.cpp '#include "../tracker/intake.hpp"'
passes layering configs/good.cpp '#include "server/options.hpp"\n#include <CLI/CLI.hpp>'
passes layering cmd/service/main.cpp '#include "tracker/event_tracker.hpp"\n#include "server/http_server.hpp"'

breaks size server/long.cpp "$(yes 'int x;' | head -n 401)"
breaks prose docs/page.md 'The call returns when all are home.'
breaks prose server/bad.cpp '// Without it the setting takes a new start.'
breaks prose server/bad.hpp 'int most = 1;  ///< waits for so long'
passes prose docs/page.md 'It is at home, so many people say.'
many() { for ((nth = 1; nth <= $1; ++nth)); do echo "${2//%d/$nth}"; done; }
breaks classes server/large.hpp "class large {\npublic:\n$(many 31 'int f%d() const { return 1; }')\n};"
breaks classes server/large.hpp "struct large {\n$(many 13 'int a%d = 0, b{1};')\n};"
breaks classes server/large.hpp "class large {\n$(many 26 'std::function<void(int)> f%d_;')\n};"
breaks classes server/long.cpp "int long_one(int of) {\n$(many 49 'of += %d;')\n}"
passes classes server/fits.hpp "class fits {\npublic:\n$(many 29 'int f%d();')\nfits(const fits&) = delete;\n$(many 25 'int a%d_ = 0;')\n};"
passes classes cmd/service/routes.cpp "int long_one(int of) {\n$(many 60 'of += %d;')\n}"
# shellcheck disable=SC2016  # these are Markdown
{
    breaks snippets docs/from-go.md '<!-- docs/from-go.md [x] -->\n```cpp\nint x;\n```\n// [x]\nint y;\n// [/x]'
    breaks snippets docs/from-go.md '```cpp\nint x;\n```'
    breaks snippets docs/http2.md '```proto\nmessage one {}\n```'
    breaks snippets docs/make-it-yours.md '<!-- docs/make-it-yours.md [x] -->\n```cpp\nint x;\n```\n// [x]\nint y;\n// [/x]'
    passes snippets docs/from-go.md '<!-- docs/from-go.md [x] -->\n```cpp\nint x;\n```\n  // [x]\n  int x;\n  // [/x]'
}
# shellcheck disable=SC2016  # Markdown
{
    breaks log_lines docs/operations.md '| info | `no source has … this` | |'
    fresh
    fresh
    printf 'void f() { log.warn("{} are gone", 1); }\n' >"$tree/server/log.cpp"
    printf '| warning | `… are gone` | |\n' >"$tree/docs/operations.md"
    if bash "$rules/log_lines.sh" "$tree" >/dev/null; then echo "self_test: no names" && failures=$((failures + 1)); fi
    printf 'void f() { lines(log).warn(\n"{lost} of {all} "\n"are gone", 1, 2); }\n' >"$tree/server/log.cpp"
    printf '| info | `… of … are gone` | |\n' >"$tree/docs/operations.md"
    if bash "$rules/log_lines.sh" "$tree" >/dev/null; then echo "self_test: a level" && failures=$((failures + 1)); fi
    printf '| warning | `… of … are gone` | |\n' >"$tree/docs/operations.md"
    bash "$rules/log_lines.sh" "$tree" >/dev/null || { echo "self_test: a line in two" && failures=$((failures + 1)); }
    printf '"properties": {\n    "lost": {},\n    "all": {}\n}\n' >"$tree/docs/log.schema.json"
    if bash "$rules/log_lines.sh" "$tree" >/dev/null; then echo "self_test: a field" && failures=$((failures + 1)); fi
    printf '| `lost` | integer | | | |\n| `all` | integer | | | |\n' >>"$tree/docs/operations.md"
    bash "$rules/log_lines.sh" "$tree" || { echo "self_test: both fields" && failures=$((failures + 1)); }
    printf '| `all` | string | | | |\n' >>"$tree/docs/operations.md"
    if bash "$rules/log_lines.sh" "$tree" >/dev/null; then echo "self_test: a field twice" && failures=$((failures + 1)); fi
    sed -i '$d' "$tree/docs/operations.md"
    printf '"properties": {\n    "lost": {},\n    "all": {},\n    "all": {}\n}\n' >"$tree/docs/log.schema.json"
    if bash "$rules/log_lines.sh" "$tree" >/dev/null; then echo "self_test: in the schema twice" && failures=$((failures + 1)); fi
    sed -i /all/d "$tree/docs/log.schema.json"
    if bash "$rules/log_lines.sh" "$tree" >/dev/null; then echo "self_test: a name" && failures=$((failures + 1)); fi
}
breaks banned tests/all/program 'for one in sockets:'
breaks banned server/admin/page/page.html '  const one = {'
breaks banned docs/spec/model.pml '    byte one = 0;'
passes banned tests/all/program 'print("one of them")'
breaks banned tests/all/program 'curl -s localhost | grep -iq "^text"'
passes banned tests/all/program 'true || grep -q text file'
breaks prose docs/page.md 'Whoever asks gets an answer.'
breaks prose server/bad.hpp '/// Goes to who has waited.'
breaks prose docs/page.md 'The report is written: who waits is answered.'
breaks prose server/bad.hpp '/// Who is reset before it has been looked at was let in first.'
passes prose docs/page.md 'It names the user, who has been asked before; it says who waits for whom.'
breaks prose docs/page.md 'The counter begins anew.'
passes prose docs/page.md 'A client that asks gets an answer, and people who wait get it too.'
breaks banned server/bad.cpp 'void f() { std::thread t; }'
breaks banned server/bad.cpp 'void f() { std::jthread t([] {}); }'
passes banned server/good2.cpp 'struct s { std::jthread mine; };'
breaks banned server/bad.cpp 'co_spawn(io, f(), detached);'
breaks banned server/bad.cpp 'io_.stop();'
breaks banned cmd/service/bad.cpp 'spdlog::info("hello");'
breaks banned tracker/bad.cpp 'auto x = c ? co_await f() : g();'
breaks banned tracker/bad.cpp 'auto x = c\n    ? y\n    : co_await f();'
breaks banned tracker/bad.cpp 'co_await f(a,\n    [this](int x) { return x; });'
breaks banned tracker/bad.cpp 'auto x = std::array{co_await f(), co_await g()};'
passes banned tracker/good.cpp 'for (auto x : list) { co_await f(x[1], [](int y) { return y; }); }\nswitch (x) { case 1: co_await f(); }'
breaks banned server/bad.cpp 'void f() { text_ = std::string(); }'
breaks banned server/bad.cpp 'for (const auto& one : all) f();'
breaks banned tests/server/bad_test.cpp 'std::this_thread::sleep_for(1s);'
breaks banned tests/server/bad_test.cpp 'sleep(1);'
breaks banned tests/server/bad_test.cpp 'process go({.program = "/usr/bin/go"});'
breaks banned server/bad.cpp '// TO''DO: later'
breaks banned server/bad.hpp 'int no_guard();'
breaks banned server/bad.hpp '#pragma once\nusing namespace std;'
passes banned tests/server/good.hpp '#pragma once\nusing namespace std;'
breaks banned server/connection_manager.cpp 'int x;'

((failures == 0)) && echo "self_test: every rule notices, none complains without cause"
exit $((failures > 0))
