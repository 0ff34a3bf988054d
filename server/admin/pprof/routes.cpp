#include "server/admin/pprof/routes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/admin/pprof/cpu_profile.hpp"
#include "server/admin/pprof/live.hpp"
#include "server/admin/pprof/tasks.hpp"
#include "server/symbols.hpp"

namespace server::pprof {

using lifecycle::context;
using answer = lifecycle::awaitable<response>;

const std::string_view index_lines =
    "/debug/requests      what handlers work on: route, target, age, deadline, client, trace; ?format=json\n"
    "/debug/connections   how many in which state, and each; ?format=json\n"
    "/debug/loops         turns, lag, connections; what one that stands still does; ?format=json\n"
    "/debug/pprof/        profiles for `go tool pprof`, threads and tasks\n"
    "/debug/pprof/profile what computes, ?seconds=N\n";

namespace {

constexpr std::string_view own_index =
    "/debug/pprof/profile?seconds=N   where CPU time goes, for `go tool pprof`; &format=collapsed for flame graphs\n"
    "/debug/pprof/goroutine           the tasks, for `go tool pprof`; ?debug=1 counted, ?debug=2 one by one\n"
    "/debug/pprof/threads             state, what it waits in, CPU time and stack of each; ?format=json\n"
    "/debug/pprof/heap                what holds memory; POST ?rate=BYTES: one sample in BYTES; 0: none (module heap)\n"
    "/debug/pprof/allocs              the same, with all allocations since the start first (module heap)\n"
    "/debug/trace?seconds=N           requests, deliveries, a stop for ui.perfetto.dev (module trace)\n"
    "/debug/pprof/cmdline             the command line without secrets, arguments separated by NUL\n"
    "/debug/pprof/symbol              POST 0xADDRESS+0xADDRESS...: names of functions\n"
    "\n"
    "go tool pprof -top 'http://HOST:PORT/debug/pprof/profile?seconds=5'\n"
    "go tool pprof -tagfocus 'route=GET /slow' ...     one route; thread=app-1: one thread\n"
    "A program without symbol table: keep the one with it and its build-id, and name it before the address.\n";

response command_line(const debug_sources& from) {
    std::ifstream file("/proc/self/cmdline", std::ios::binary);
    std::vector<std::string> arguments;
    for (std::string text; std::getline(file, text, '\0');) arguments.push_back(std::move(text));
    if (from.shown_arguments)
        arguments = from.shown_arguments(std::move(arguments));
    else if (!arguments.empty())
        arguments.resize(1);
    return response(http::status::ok, fmt::format("{}", fmt::join(arguments, std::string_view("\0", 1))));
}

/// What Go's symbol handler speaks: addresses with a plus between them, in the query or the body; a line for each that
/// has a name. The first line only says that there are names.
response symbol(const request& request) {
    std::string text = "num_symbols: 1\n";
    const symbols names;
    auto left = request.method == http::verb::post ? request.body : request.query;
    for (int most = 10'000; !left.empty() && most > 0; --most) {
        const auto word = left.substr(0, left.find('+'));
        left.remove_prefix(std::min(left.size(), word.size() + 1));
        const auto digits = word.starts_with("0x") ? word.substr(2) : word;
        std::uint64_t address = 0;
        std::from_chars(digits.data(), digits.data() + digits.size(), address, 16);
        const auto name = names.function(reinterpret_cast<const void*>(address));
        if (!name.empty()) text += fmt::format("{:#x} {}\n", address, name);
    }
    return response(http::status::ok, std::move(text));
}

}  // namespace

void add_routes(router& routes, const debug_sources& from) {
    const auto sources = std::make_shared<const debug_sources>(from);
    routes.get("/debug/pprof/",
               plain([](const request&) { return response(http::status::ok, std::string(own_index)); }));
    routes.get("/debug/pprof/profile", cpu_profile(sources));
    routes.get("/debug/pprof/goroutine", goroutine(sources));
    add_live_routes(routes, sources);
    routes.get("/debug/pprof/cmdline", plain([sources](const request&) { return command_line(*sources); }));
    routes.get("/debug/pprof/symbol", plain(symbol));
    routes.post("/debug/pprof/symbol", plain(symbol));
}

}  // namespace server::pprof
