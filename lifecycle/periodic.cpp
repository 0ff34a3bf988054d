#include "lifecycle/periodic.hpp"

#include <condition_variable>
#include <exception>
#include <mutex>

#include "lifecycle/context.hpp"
#include "lifecycle/lines.hpp"

namespace lifecycle {

void run_periodically(const std::stop_token& stop, std::chrono::milliseconds interval, std::string_view name,
                      spdlog::logger& log, const std::function<void(const std::stop_token&)>& job) {
    std::mutex mutex;
    std::condition_variable_any asked;
    while (!stop.stop_requested()) {
        const auto began = clock::now();
        try {
            job(stop);
        } catch (const std::exception& e) {
            lines(log).error("job {job} failed, the next one is due all the same: {error}", name, e.what());
        } catch (...) {
            lines(log).error("job {job} failed, the next one is due all the same: {error}", name,
                             "not a std::exception");
        }
        const auto due = began + interval;
        if (clock::now() >= due) continue;
        std::unique_lock lock(mutex);
        asked.wait_until(lock, stop, due, [] { return false; });  // the stop cuts it short
    }
}

}  // namespace lifecycle
