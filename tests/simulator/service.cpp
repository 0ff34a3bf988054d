#include "tests/simulator/service.hpp"

#include <malloc.h>

#include <cstdlib>
#include <exception>
#include <limits>
#include <string>
#include <utility>

#include "cmd/service/process.hpp"
#include "configs/load.hpp"
#include "configs/program.hpp"
#include "lifecycle/done_collector.hpp"
#include "lifecycle/lines.hpp"
#include "tests/simulator/calls.hpp"
#include "tests/simulator/secured_way.hpp"
#include "tracker/nats/nats_sink.hpp"

int service_main(int count, char** arguments);  // main of cmd/service/main.cpp, by that name

namespace {

using simulator::service;

const configs::loaded& defaults() {
    static const auto made = configs::load(configs::command(), configs::environment());
    return made;
}

const configs::command& no_line() {
    static const configs::command made;
    return made;
}

class scripted_sink final : public tracker::sink {
public:
    void deliver(std::span<const tracker::event> batch) override {
        const simulator::inside the_world;
        service::current->deliver(batch);
    }
    std::string_view name() const noexcept override { return "nats"; }
};

}  // namespace

/// In place of that of cmd/service/process.cpp: without a command line, a file and an environment.
int run_process(configs::program, int, char**,
                const std::function<int(settings_in_force&, lifecycle::signals&, process_log&)>& serve) {
    lifecycle::signals signals;
    auto settings = defaults();
    settings.values = service::current->settings;
    auto log = make_log(settings.values);
    try {
        signals.guard_start({.budget = settings.values.shutdown.budget,
                             .say =
                                 [&log](const char* what) {
                                     lifecycle::lines(*log.logger).error("asked to stop, and waiting for {what}", what);
                                     log.logger->flush();
                                 }},
                            lifecycle::report_share);
        settings_in_force in_force(std::move(settings), no_line());
        return serve(in_force, signals, log);
    } catch (const std::exception& e) {
        lifecycle::lines(*log.logger).error("cannot start: {error}", e.what());
        return lifecycle::could_not_start;
    }
}

/// In place of the module's.
std::unique_ptr<tracker::sink> tracker::make_nats_sink(const options&, spdlog::logger&, deadline_function) {
    return std::make_unique<scripted_sink>();
}

namespace simulator {

service* service::current = nullptr;

int service::run() {
    current = this;
    static char name[] = "service";
    char* arguments[] = {name, nullptr};
    return service_main(1, arguments);
}

void prepare_service() {
    // Memory that a life has given back is the next one's, and not the real machine's.
    ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
    ::mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
    ::mallopt(M_TOP_PAD, 4 << 20);
    // What is set where it runs would be read at each start, and be part of what a seed decides.
    ::clearenv();
    const std::pair<const char*, std::string> given[] = {{"LISTEN_PID", std::to_string(successor_number)},
                                                         {"LISTEN_FDS", "2"},
                                                         {"LISTEN_FDNAMES", "app:debug"},
                                                         {"UPGRADE_READY_FD", "5"},
                                                         {"UPGRADE_PATHS", "app,debug"}};
    for (const auto& [name, value] : given) ::setenv(name, value.c_str(), 1);
    seed_openssl();
    configs::describe({});
    defaults();
}

}  // namespace simulator
