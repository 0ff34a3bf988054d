#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "cmd/service/trace/recorder.hpp"

namespace trace {

/// The one trace that may be taken at a time, and how the end of the tracker waits for it: after that nobody can be
/// asked.
class session {
public:
    /// Records until it is destroyed; `took` is false when there is another one. On the debug loop.
    class taking {
    public:
        taking(session& of, const std::vector<pid_t>& threads);
        ~taking();
        taking(const taking&) = delete;
        taking& operator=(const taking&) = delete;

        bool took() const noexcept { return took_; }
        /// Somebody waits for its end.
        bool awaited() const;

    private:
        session& of_;
        const bool took_;
    };

    recorder events;

    /// Asks for the end of what is being taken and blocks until it has come, or `until`. Any thread but the debug
    /// loop's.
    void finish(lifecycle::clock::time_point until);

private:
    mutable std::mutex mutex_;
    std::condition_variable ended_;
    bool under_way_ = false, awaited_ = false;
};

}  // namespace trace
