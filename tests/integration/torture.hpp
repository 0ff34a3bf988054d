#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/client.hpp"
#include "tests/support/process.hpp"

namespace integration {

/// Everything at once through a SIGTERM, against any server that has `/`, `/slow?ms=`, `/big?bytes=` and
/// `/echo`: so the same load measures this service and its peers. Knows nothing of the server but its address.
struct torture {
    std::size_t keep_alive =
        100;               ///< closed loops of short, slow and uploading requests, every eighth on a new connection
    std::size_t each = 5;  ///< of each of: slow, half a head fresh and reused, half an upload, pipelining, unused
    std::size_t slow_readers = 3;         ///< of 16 MiB, read through the stop
    support::milliseconds limit{20'000};  ///< of the stop
};

/// What the clients have seen of one stop. The first three are losses.
struct toll {
    std::uint64_t lost = 0;       ///< a request went out and not one byte of an answer came back
    std::uint64_t cut = 0;        ///< an answer began and the connection was reset
    std::uint64_t truncated = 0;  ///< an answer began and ended before its promised end
    std::uint64_t errors = 0;     ///< whole answers with a status from 400
    std::uint64_t answered = 0;
    std::uint64_t unused_reset = 0;  ///< connections that never sent anything and were reset, not closed
    support::milliseconds stop{-1};  ///< from the signal to the exit; -1: never ended
    int code = -1;
    std::vector<std::string> what;  ///< of each loss, in words

    std::uint64_t losses() const { return lost + cut + truncated; }
    std::string in_words() const;
    toll& operator+=(const toll& other);  ///< adds up; the longest stop, the worst code
};

/// Sends SIGTERM in the middle of it and waits for the end. Blocks for about two seconds, `how.limit` at most.
toll stop_under_torture(const support::endpoint& app, support::process& process, const torture& how = {});

/// As many processes as there are cores, which do nothing but spin: for a minute at most, and never longer
/// than this object or its process.
class busy_cores {
public:
    busy_cores();
    ~busy_cores();
    busy_cores(const busy_cores&) = delete;
    busy_cores& operator=(const busy_cores&) = delete;

private:
    std::vector<pid_t> spinning_;
};

}  // namespace integration
