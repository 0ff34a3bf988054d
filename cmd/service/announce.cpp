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

void reload(const configs::loaded& current, const configs::command& line, tracker::event_tracker& events,
            spdlog::logger& log) {
    events.reopen();
    const auto fresh = configs::load(line, configs::environment_of(environ));
    for (const auto& fault : fresh.faults) log.error("reload: {}", fault);
    if (!fresh.faults.empty()) {
        log.error("reload: the settings stay as they are; event files are opened again");
        return;
    }
    const auto level = spdlog::level::from_str(fresh.values.log.level);
    if (level != log.level()) log.info("reload: log.level is {}", fresh.values.log.level);
    log.set_level(level);
    for (const auto& change : configs::changes(current.values, fresh.values))
        if (change.key != "log.level")
            log.warn("reload: {} stays {}: {} takes a new start", change.key, change.before, change.after);
    log.info("reloaded");
}
