#include "lifecycle/part_threads.hpp"

#include <algorithm>
#include <cassert>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>

#include "lifecycle/lines.hpp"
#include "lifecycle/misuse.hpp"

namespace lifecycle {

struct part_threads::running {
    std::size_t index;
    mutable std::mutex mutex;
    part_end end;         ///< guarded by the mutex, but for the name
    std::jthread thread;  // last: it uses the rest
};

part_threads::part_threads(stop_channel& stop, workers& workers, spdlog::logger& log)
    : stop_(stop), workers_(workers), log_(log) {}

part_threads::~part_threads() = default;

void part_threads::misused(const std::string& name, const char* what) {
    if (stop_.has_been_ready())
        lines(log_).error("{part} {error}: the service stops", name, what);
    else
        lines(log_).error("{part} {error}: the service cannot start", name, what);
    misuse(what);
    stop_.misused(name);
}

void part_threads::run(const part& part, std::function<void(std::stop_token)> body) {
    if (part.index_ == stop_channel::no_part) return;  // it ends the process already; see name_late
    // By the number of the part: they may be run in another order than that in which they were added.
    if (parts_.size() <= part.index_) parts_.resize(part.index_ + 1);
    auto& entry = parts_[part.index_];
    if (entry) return misused(part.name(), "is run twice");
    entry.reset(new running{.index = part.index_, .mutex = {}, .end = {.name = part.name()}, .thread = {}});
    auto whole = [this, &made = *entry, body = std::move(body)](std::stop_token stop) {
        body_of(made, body, std::move(stop));
    };
    try {
        entry->thread = workers_.start(part.name(), "part", std::move(whole));
    } catch (const std::exception& e) {  // no thread could be started: the part has failed, the others roll back
        entry->end.ended = entry->end.failed = true;
        entry->end.before_ready = !stop_.has_been_ready();
        lines(log_).error("{part} failed: {error}", part.name(), e.what());
        stop_.part_ended(part.index_);
    }
}

void part_threads::body_of(running& running, const std::function<void(std::stop_token)>& body, std::stop_token stop) {
    std::optional<std::string> error;
    try {
        body(std::move(stop));
    } catch (const std::exception& e) {
        error = e.what();
    } catch (...) {
        error = "an exception that is not a std::exception";
    }
    if (error) lines(log_).error("{part} failed: {error}", running.end.name, *error);
    const bool before_ready = !stop_.has_been_ready();
    {
        const std::scoped_lock lock(running.mutex);
        assert(!running.end.ended && "a part ends once");
        running.end.ended = true;
        running.end.failed = error.has_value();
        running.end.before_ready = before_ready;
        if (!error && !running.end.asked && before_ready)
            lines(log_).error("{part} has ended before the service was ready", running.end.name);
    }
    // Last: main may look at how it ended as soon as it hears of it.
    stop_.part_ended(running.index);
}

void part_threads::require_all() {
    const auto names = stop_.close();
    parts_.resize(std::max(parts_.size(), names.size()));
    for (std::size_t index = 0; index < names.size(); ++index) {
        if (parts_[index]) continue;
        misused(names[index], "is never run");
        stop_.part_ended(index);  // it must not be waited for
    }
}

void part_threads::name_late() {
    const auto names = stop_.close();
    for (auto index = parts_.size(); index < names.size(); ++index) {
        lines(log_).error("{part} was added after the parts run: the service stops", names[index]);
        parts_.emplace_back();  // as one that has not been run
    }
}

void part_threads::ask(std::size_t part) {
    // Before the stop is requested: a part that returns at once must not count as one that ended unasked.
    assert(part < parts_.size() && parts_[part] && "only what runs is asked to end");
    auto& entry = *parts_[part];
    {
        const std::scoped_lock lock(entry.mutex);
        assert(!entry.end.asked && "a part is asked once");
        entry.end.asked = true;
    }
    entry.thread.request_stop();
}

const std::string& part_threads::name(std::size_t part) const { return parts_[part]->end.name; }

bool part_threads::asked(std::string_view worker) const {
    return std::any_of(parts_.begin(), parts_.end(), [worker](const auto& part) {
        if (!part || !part->end.asked) return false;  // written on this thread only
        const std::string_view name = part->end.name;
        // Its workers are called by its name too: app-1, tracker-spool.
        return worker == name || (worker.starts_with(name) && worker.substr(name.size()).starts_with('-'));
    });
}

std::vector<part_end> part_threads::ends() const {
    std::vector<part_end> all;
    for (const auto& part : parts_) {
        if (!part) continue;
        const std::scoped_lock lock(part->mutex);
        all.push_back(part->end);
    }
    return all;
}

void part_threads::join() {
    for (auto& part : parts_)
        if (part && part->thread.joinable()) part->thread.join();
}

}  // namespace lifecycle
