// The parts of the process, and the order of their start and end. Read docs/ARCHITECTURE.md beside it.

#include "cmd/service/announce.hpp"
#include "cmd/service/inspection.hpp"
#include "cmd/service/modules.hpp"
#include "cmd/service/process.hpp"
#include "cmd/service/process_hooks.hpp"
#include "cmd/service/routes.hpp"
#include "lifecycle/done_collector.hpp"
#include "server/http_server.hpp"
#include "tracker/event_tracker.hpp"

namespace {

using server::http_server;

int serve(settings_in_force& settings, lifecycle::signals& signals, process_log& log) {
    const auto at_start = settings.now();
    const auto& config = at_start->values;
    auto& logger = *log.logger;
    signals.starting("ready_file");
    announcement announced(config, logger, modules::follows_another());  // ready_file: of this run, or not there
    log.start();                                                         // from here on no line makes anybody wait
    lifecycle::workers workers;                                          // counts every thread from here on
    lifecycle::stop_channel stop(config.shutdown);                       // SIGTERM, SIGINT, POST /debug/shutdown

    signals.starting("tracker.directory");
    // The parts, in the order of their start; they stop in reverse, and each leaves the later ones their share.
    const auto debug_part = stop.add_part("debug", lifecycle::last_share, lifecycle::until_up);
    const auto tracker_part = stop.add_part("tracker", config.shutdown.flush);
    modules extras({*at_start, stop, workers, log});  // what is built of them, with parts of their own
    const auto app_part = stop.add_part("app", lifecycle::serves_clients);

    // A constructor takes what it needs, throws if it cannot have it, and waits for nothing.
    tracker::event_tracker events(config.tracker, extras.sinks(tracker_part), workers, logger, tracker_part);
    signals.starting("the files of the servers");
    http_server app(extras.inherit("app", config.app), extras.around(app_routes(events, stop)), app_part, workers,
                    logger);
    app.log_access_to(log.access);
    extras.equip("app", app);
    const inspected parts{app, events, stop, workers, log, settings, [&](auto& out) { extras.write_metrics(out); }};
    http_server debug(extras.inherit("debug", config.debug), extras.debug_routes(inspection(parts)), debug_part,
                      workers, logger);
    extras.equip("debug", debug);
    settings.connect({app, events, stop, workers, logger, [&] { extras.reload(); }});  // SIGHUP, POST
    extras.made({app, debug, events});

    // Their run. The first to end, well or badly, ends the others.
    lifecycle::done_collector done(stop, signals, workers, logger);
    done.run(debug_part, [&](std::stop_token token) {  // answers to the very end
        const auto watching = extras.watch();
        debug.run(std::move(token));
        settings.finish();
    });
    done.run(tracker_part, [&](std::stop_token token) { events.run(std::move(token)); });  // outlives the last request
    extras.run_parts(done);
    done.run(app_part, [&](std::stop_token token) { app.run(std::move(token)); });
    return done.wait(process_hooks(parts, debug, extras, announced));
}

}  // namespace

int main(int count, char** arguments) { return run_process({}, count, arguments, serve); }
