#include "cmd/service/process_hooks.hpp"

#include <memory>

lifecycle::done_collector::hooks process_hooks(const inspected& parts, const server::http_server& debug,
                                               modules& extras, announcement& announced) {
    auto& app = parts.app;
    auto& log = *parts.log.logger;
    return {
        .ready = [&, settings =
                         parts.settings.now()] { log_ready(settings->values, app.address(), debug.address(), log); },
        .account = [&parts](auto& report) { fill_in(report, parts); },
        .reload =
            [&extras, &settings = parts.settings] {
                const auto note = extras.reloading();
                settings.reload();
            },
        .upgrade = [&extras] { extras.upgrade(); },
        .stacks = [&log, &workers = parts.workers] { log_stacks(workers, log); },
        .where = stack_line,
        .announce =
            [&](bool answers) {
                if (!answers) return announced.remove();
                if (extras.handed_over()) return;  // the stop that was withdrawn is followed by that of the upgrade
                announced.write(app.address(), debug.address());
                extras.ready();
            },
        .progress = [&extras](const auto& status) { extras.progress(status); },
        .ended = [&extras](const auto& report) { extras.ended(report); },
    };
}
