// The life of the process, from its first signal mask to its exit code. Read docs/ARCHITECTURE.md beside it.

#include <fmt/core.h>
#include <signal.h>
#include <spdlog/logger.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "cmd/service/announce.hpp"
#include "cmd/service/build_info.hpp"
#include "cmd/service/debug_modules.hpp"
#include "cmd/service/http2_port.hpp"
#include "cmd/service/http_client.hpp"
#include "cmd/service/inspection.hpp"
#include "cmd/service/last_run.hpp"
#include "cmd/service/log.hpp"
#include "cmd/service/probe.hpp"
#include "cmd/service/reload.hpp"
#include "cmd/service/routes.hpp"
#include "cmd/service/secure_port.hpp"
#include "cmd/service/sinks.hpp"
#include "cmd/service/supervisor.hpp"
#include "cmd/service/trace.hpp"
#include "cmd/service/upgrade.hpp"
#include "configs/command_line.hpp"
#include "configs/load.hpp"
#include "lifecycle/done_collector.hpp"
#include "lifecycle/standard_descriptors.hpp"
#include "server/http_server.hpp"
#include "tracker/event_tracker.hpp"
#include "tracker/spool.hpp"

namespace {

using server::http_server;

int serve(const configs::loaded& settings, const configs::command& line, lifecycle::signals& signals,
          process_log& log) {
    const auto& config = settings.values;
    auto& logger = *log.logger;
    announcement announced(config, logger);  // ready_file: of this run, or not there
    if (!in_place_upgrade::follows_another()) announced.clear();
    const supervisor outside;                       // systemd, where that module is built
    const tracing trace;                            // what happens when, where that module is built
    log.start();                                    // from here on no line makes anybody wait
    lifecycle::workers workers;                     // counts every thread from here on
    lifecycle::stop_channel stop(config.shutdown);  // SIGTERM, SIGINT, POST /debug/shutdown; owns lame duck

    // The parts. A constructor takes what it needs, throws if it cannot have it, and waits for nothing.
    const auto flush_deadline = stop.deadline_of("tracker");
    tracker::event_tracker events(
        config.tracker, make_sinks(config.tracker, logger, flush_deadline, trace.around(known_sinks(log.output))),
        workers, logger, flush_deadline);
    server::http_client upstreams(config.client, stop, workers, logger);  // whom handlers call, where it is built
    http_server app("app", outside.inherit("app", config.app),
                    trace.around(with_grpc_health(upstreams.routes(app_routes(events, stop)), stop)),
                    http_server::at_stop::drain, stop, workers, logger);
    app.log_access_to(log.access);
    secure_port secure(settings, logger);  // TLS, where there are certificates and that module is built
    app.speak_through(secure.layers());
    app.speak_http2(http2_port(settings));        // where that module is built
    run_marker marker(config.tracker.directory);  // how the run before ended, and how far this one has come
    settings_in_force in_force(settings, line,
                               {app, events, stop, workers, logger, [&] { secure.reload(); },
                                [&](auto& out) { secure.write_metrics(out); }});  // SIGHUP, POST; else: as now
    const auto debug_view = inspection({app, events, stop, workers, log, in_force, marker.previous_kind()});
    http_server debug("debug", outside.inherit("debug", config.debug),
                      trace.around(debug_routes_of_modules(debug_view), debug_view), http_server::at_stop::close, stop,
                      workers, logger);
    in_place_upgrade upgrade(app, debug, stop, config.upgrade_timeout, logger);  // SIGUSR2, where that module is built
    stop.count_turns_with([&] { return app.turns(); });

    // Their run. The first to end, well or badly, ends the others, in the reverse order of this list.
    lifecycle::done_collector done(stop, signals, workers, logger);
    const auto run_debug = [&](std::stop_token token) {  // answers to the very end
        [[maybe_unused]] const auto watch = outside.watch(app, debug, events, stop, workers, logger);
        [[maybe_unused]] const auto certificates = secure.watch(workers);
        debug.run(token);
        in_force.finish();
    };
    const auto run_events = [&](std::stop_token token) { events.run(token); };  // outlives the last request
    done.start("debug", run_debug, lifecycle::last_share(config.shutdown));
    done.start("tracker", run_events, config.shutdown.flush);
    upstreams.start(done);
    done.start("app", [&](std::stop_token token) { app.run(token, [&] { stop.ready(); }); });  // drains, is cut off

    if (!marker.previous_story().empty()) logger.warn(marker.previous_story());
    return done.wait({
        // main's thread: a part ended | signal | second signal | deadline
        .ready = [&] { log_ready(config, app.address(), debug.address(), logger); },
        .account = [&](lifecycle::shutdown_report& report) { fill_in(report, app, events); },
        .reload =
            [&] {
                [[maybe_unused]] const auto note = outside.reloading();
                in_force.reload();
            },
        .upgrade = [&] { upgrade.run(); },
        .stacks = [&] { log_stacks(workers, logger); },
        .where = stack_line,
        .announce =
            [&](bool answers) {
                if (!answers) return announced.remove();
                announced.write(app.address(), debug.address());
                upgrade.ready();  // from here on the process before this one goes
            },
        .progress = [&](const auto& status) { marker.phase(status, events.account()); },
        .ended = [&](const auto& report) { marker.ended(report); },
    });
}

/// Until parts run a stop is a hard one should something hang: all of the budget, and as much more as it has then.
void guard_start(lifecycle::signals& signals, const configs::config& config) {
    signals.guard_start(config.shutdown.budget + lifecycle::report_share);
}

/// A pipe that nobody reads any more ends it, and so do SIGINT and SIGTERM.
void as_other_programs() {
    ::signal(SIGPIPE, SIG_DFL);
    const sigset_t none = {};
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

int show(const configs::command& line, const configs::loaded& settings, spdlog::logger& log) {
    switch (line.what) {
        case configs::command::action::help: std::fputs(line.text.c_str(), stdout); break;
        case configs::command::action::version:
            fmt::print("{} {} ({})\n", configs::program_name, build_info::version(), build_info::revision());
            break;
        case configs::command::action::check:
            check_sinks(settings.values.tracker, log);  // as the start does
            secure_port::check(settings);
            http2_port(settings);
            std::fputs(configs::to_toml(settings).c_str(), stdout);
            break;
        case configs::command::action::probe: return probe(settings.values.debug, line.argument) ? 0 : 1;
        case configs::command::action::spool_dump:
            as_other_programs();
            return tracker::dump_spool(line.argument, stdout, stderr) ? lifecycle::clean : lifecycle::could_not_start;
        case configs::command::action::run: break;
    }
    return lifecycle::clean;
}

}  // namespace

int main(int count, char** arguments) try {
    lifecycle::hold_standard_descriptors();  // first: what is opened must not become stderr
    lifecycle::signals signals;              // every thread inherits the blocked mask
    const auto line = configs::read_command_line({arguments + 1, arguments + count});
    if (line.what == configs::command::action::run) guard_start(signals, configs::config());  // a file may hang
    const auto settings = configs::load(line, configs::environment_of(environ));
    for (const auto& fault : settings.faults) std::fprintf(stderr, "%s\n", fault.c_str());
    if (!settings.faults.empty()) return lifecycle::could_not_start;
    auto log = make_log(settings.values);
    for (const auto& warning : settings.warnings) log.logger->warn(warning);
    try {
        if (line.what != configs::command::action::run) return show(line, settings, *log.logger);
        guard_start(signals, settings.values);
        return serve(settings, line, signals, log);
    } catch (const std::exception& e) {
        log.logger->error("cannot start: {}", e.what());
        return lifecycle::could_not_start;
    }
} catch (const std::exception& e) {  // there is not even a log
    std::fprintf(stderr, "cannot start: %s\n", e.what());
    return lifecycle::could_not_start;
}
