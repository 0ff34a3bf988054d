#pragma once

#include <spdlog/logger.h>

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "lifecycle/conclusion.hpp"
#include "lifecycle/stop_channel.hpp"
#include "lifecycle/workers.hpp"

namespace lifecycle {

/// The parts of a process, each a blocking function on a thread of its own, which returns when its token asks it to.
/// The first to end, well or badly, begins the stop; every error is kept and a line in the log.
///
/// Only on main's thread. What it is given outlives it. Destroying it asks every part and waits for it.
class part_threads {
public:
    part_threads(stop_channel& stop, workers& workers, spdlog::logger& log);
    ~part_threads();
    part_threads(const part_threads&) = delete;
    part_threads& operator=(const part_threads&) = delete;

    /// If no thread can be started the part has failed. A part that runs already is a bug: a debug build ends here,
    /// another one stops with a line and exit code 1.
    void run(const part& part, std::function<void(std::stop_token)> body);

    /// Every part that has been added runs; one that does not is a bug, as above.
    void require_all();

    /// A line for each part that was added too late to run, which is why the process stops; not for those that had one.
    void name_late();

    void ask(std::size_t part);
    const std::string& name(std::size_t part) const;

    /// The worker of that name belongs to a part that has been asked: "app", "app-1".
    bool asked(std::string_view worker) const;

    std::vector<part_end> ends() const;

    /// Blocks until each has returned.
    void join();

private:
    struct running;

    void body_of(running& running, const std::function<void(std::stop_token)>& body, std::stop_token stop);
    void misused(const std::string& name, const char* what);

    stop_channel& stop_;
    workers& workers_;
    spdlog::logger& log_;
    std::vector<std::unique_ptr<running>> parts_;  ///< by the index of the part; none for one that has not been run
};

}  // namespace lifecycle
