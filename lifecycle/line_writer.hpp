#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "lifecycle/outlet.hpp"
#include "lifecycle/workers.hpp"

namespace lifecycle {

/// Whole lines, from any thread, to one pipe, terminal, socket or file.
///
/// What has been taken goes out in its order, and a line whose first bytes are out is finished before anything else, so
/// no line is ever inside another one, whichever code gives them. Code that shares a place shares its writer. What is
/// there at once stays in memory, up to `capacity`; what cannot be written (no reader, a full disk) waits there too.
///
/// Where a write need not wait, `take` writes by itself and the bytes are in the kernel when it returns; the thread
/// that `start` begins only brings what had no room. Elsewhere that thread does all of it.
///
/// Lifetime: `start` once, before threads that must not block call `take`. The destructor gives what waits a moment.
/// Safe from any thread, but for `start`.
class line_writer {
public:
    static constexpr std::size_t capacity = 256 * 1024;  ///< bytes; a single line may be longer

    /// SIGPIPE must be ignored (lifecycle::signals does).
    explicit line_writer(int descriptor, outlet::how how = outlet::how::without_waiting);
    ~line_writer();
    line_writer(const line_writer&) = delete;
    line_writer& operator=(const line_writer&) = delete;

    /// Begins the thread, of that name. It stands in no list of `workers` but one of its own: it outlives those whose
    /// last line it writes. Without it `take` may block where the outlet does. Throws std::system_error.
    void start(const std::string& name);

    struct taken {
        std::size_t bytes;    ///< from the front of the lines, and whole lines
        std::uint64_t until;  ///< for `wait`
    };
    /// Takes what there is room for of `lines`, each of which ends in '\n', if then not more than `most` bytes wait.
    /// A line that is longer is taken when nothing waits. Never blocks once there is a thread.
    taken take(std::string_view lines, std::size_t most = capacity);

    enum class progress { written, stalled, failed };
    struct waited {
        progress how;
        int error = 0;  ///< errno, of `failed`
    };
    /// Blocks until all up to `until` is in the kernel, or nothing has moved for `patience`, or `latest` has come
    /// (`stalled` too), or a write has failed. What has not been written stays, and is tried again.
    waited wait(std::uint64_t until, std::chrono::milliseconds patience,
                clock::time_point latest = clock::time_point::max());

    /// Blocks until all that was taken is in the kernel, a write has failed, or `limit` has passed. Says which.
    bool flush(std::chrono::milliseconds limit);

    bool leads_where(int descriptor) const noexcept;
    std::size_t piece() const noexcept;  ///< what goes out in one write

private:
    /// Everything that the thread uses. A thread that hangs in a write(2) for good keeps it when the writer has gone.
    struct state;
    std::shared_ptr<state> state_;
    std::jthread thread_;
};

}  // namespace lifecycle
