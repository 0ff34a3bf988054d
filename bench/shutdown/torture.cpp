// Puts a server through the stop of tests/integration/torture.hpp and writes one row of a Markdown table.
//
//   shutdown_torture NAME ROUNDS PROGRAM [ARGUMENT…]
//
// The program must write `ready.json` ({"app":"ip:port", …}) to its working directory when it answers. Fewer losses
// than any real server has are not needed: what counts is the same load for all of them.

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/integration/torture.hpp"

namespace {

using support::milliseconds;

struct sum {
    integration::toll all;
    int stops_with_loss = 0;
    int not_clean = 0;
    std::int64_t stop_ms = 0;
};

void one_stop(const std::string& program, const std::vector<std::string>& arguments, sum& sum) {
    const support::temporary_directory root;
    const auto directory = root.path() / "work";
    std::filesystem::create_directory(directory);
    support::process process({program, arguments, {"PATH=/usr/bin:/bin"}, directory});
    std::string ready;
    const auto is_ready = [&] {
        ready = support::read_file(directory / "ready.json");
        return ready.ends_with("}\n") || ready.ends_with('}') || process.ended();
    };
    support::eventually(is_ready, milliseconds(60'000));  // a JVM on a machine with other work
    if (ready.empty()) throw std::runtime_error("not ready: " + process.err());
    const support::endpoint app(std::string(boost::json::parse(ready).at("app").as_string()));
    const auto seen = integration::stop_under_torture(app, process);
    fmt::print(stderr, "{}\n", seen.in_words());
    sum.stops_with_loss += seen.losses() > 0;
    sum.not_clean += seen.code != 0;
    sum.stop_ms += seen.stop.count();
    sum.all += seen;
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 4) {
        fmt::print(stderr, "usage: {} NAME ROUNDS PROGRAM [ARGUMENT...]\n", arguments[0]);
        return 2;
    }
    const int rounds = std::clamp(std::atoi(arguments[2]), 1, 100);
    sum sum;
    try {
        for (int i = 0; i < rounds; ++i) one_stop(arguments[3], {arguments + 4, arguments + count}, sum);
    } catch (const std::exception& e) {
        fmt::print(stderr, "{}: {}\n", arguments[1], e.what());
        return 1;
    }
    fmt::print("| {} | {} | {} | {} | {} | {} | {} of {} | {} | {} | {} |\n", arguments[1], rounds, sum.all.answered,
               sum.all.lost, sum.all.cut, sum.all.truncated, sum.stops_with_loss, rounds, sum.stop_ms / rounds,
               sum.all.stop.count(), rounds - sum.not_clean);
}
