#include "cmd/service/announce.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "cmd/service/build_info.hpp"
#include "lifecycle/shutdown_report.hpp"

void announce_ready(const configs::config& config, const std::string& app, const std::string& debug,
                    spdlog::logger& log) {
    log.info("{} {} ready: app on {}, debug on {}, events to {}", configs::program_name, build_info::version(), app,
             debug, fmt::join(config.tracker.sinks, ", "));
    const boost::json::object ready{{"pid", ::getpid()}, {"app", app}, {"debug", debug}};
    lifecycle::report_file file;
    auto why = file.open(config.ready_file);
    if (why.empty()) why = file.write(boost::json::serialize(ready));
    if (!why.empty()) log.error("ready_file: {}", why);
}
