#include "cmd/service/announce.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "cmd/service/build_info.hpp"
#include "configs/program.hpp"
#include "lifecycle/lines.hpp"

void log_ready(const configs::config& config, const std::string& app, const std::string& debug, spdlog::logger& log) {
    lifecycle::lines(log).info("{program} {version} ready: app on {app}, debug on {debug}, events to {sinks}",
                               configs::this_program().name, build_info::version(), app, debug,
                               fmt::format("{}", fmt::join(config.tracker.sinks, ", ")));
}

announcement::announcement(const configs::config& config, spdlog::logger& log, bool keep_what_is_there)
    : config_(config), log_(log) {
    if (!keep_what_is_there) lifecycle::note_file::remove_old(config_.ready_file);
}

void announcement::write(const std::string& app, const std::string& debug) {
    const boost::json::object ready{{"pid", ::getpid()}, {"app", app}, {"debug", debug}};
    auto why = file_.open(config_.ready_file);
    // A loss of power takes the process too: nothing is gained by a file that survives it.
    if (why.empty()) why = file_.write(boost::json::serialize(ready), lifecycle::note_file::durability::none);
    if (!why.empty()) lifecycle::lines(log_).error("ready_file: {error}", why);
}
