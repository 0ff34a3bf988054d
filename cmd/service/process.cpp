#include "cmd/service/process.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <utility>

#include "cmd/service/show.hpp"
#include "configs/command_line.hpp"
#include "configs/load.hpp"
#include "lifecycle/done_collector.hpp"
#include "lifecycle/lines.hpp"
#include "lifecycle/standard_descriptors.hpp"

namespace {

/// Until parts run a stop is a hard one should something hang: all of the budget, and as much more as it has then.
void guard_start(lifecycle::signals& signals, const configs::config& config,
                 const std::shared_ptr<spdlog::logger>& log = nullptr) {
    const auto say = [log, budget_ms = config.shutdown.budget.count()](const char* what) {
        if (log == nullptr) {
            const auto line =
                fmt::format("cannot start: asked to stop {} ms ago, and still waiting for {}\n", budget_ms, what);
            std::fputs(line.c_str(), stderr);
            return;
        }
        lifecycle::lines(*log).error("cannot start: asked to stop {budget_ms} ms ago, and still waiting for {what}",
                                     budget_ms, what);
        log->flush();
    };
    signals.guard_start({.budget = config.shutdown.budget, .say = say}, lifecycle::report_share);
}

}  // namespace

int run_process(configs::program program, int count, char** arguments,
                const std::function<int(settings_in_force&, lifecycle::signals&, process_log&)>& serve) try {
    lifecycle::hold_standard_descriptors();  // first: what is opened must not become stderr
    lifecycle::signals signals;              // every thread inherits the blocked mask
    configs::describe(std::move(program));
    const auto line = configs::read_command_line({arguments + 1, arguments + count});
    if (line.what == configs::command::action::run) guard_start(signals, configs::config());  // a file may hang
    auto settings = configs::load(line, configs::environment_of(environ));
    for (const auto& fault : settings.faults) std::fprintf(stderr, "%s\n", fault.c_str());
    if (!settings.faults.empty()) return lifecycle::could_not_start;
    auto log = make_log(settings.values);
    for (const auto& warning : settings.warnings) log.logger->warn(warning);
    try {
        if (line.what != configs::command::action::run) return show(line, settings, *log.logger);
        guard_start(signals, settings.values, log.logger);
        settings_in_force in_force(std::move(settings), line);
        return serve(in_force, signals, log);
    } catch (const std::exception& e) {
        lifecycle::lines(*log.logger).error("cannot start: {error}", e.what());
        return lifecycle::could_not_start;
    }
} catch (const std::exception& e) {  // there is not even a log
    std::fprintf(stderr, "cannot start: %s\n", e.what());
    return lifecycle::could_not_start;
}
