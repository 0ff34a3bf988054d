#pragma once

#include <string>
#include <vector>

#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"

namespace support {

/// A NOTIFY_SOCKET (sd_notify(3)) of the test's own. Only on one thread, which must keep listening: few
/// messages fit into the kernel's queue.
class notify_listener {
public:
    struct message {
        std::string text;
        clock::time_point at;
    };

    notify_listener();
    ~notify_listener();
    notify_listener(const notify_listener&) = delete;
    notify_listener& operator=(const notify_listener&) = delete;

    std::string variable() const { return "NOTIFY_SOCKET=" + path_; }

    /// Listens until a message begins with this; false when none has come within `limit`.
    bool hears(const std::string& beginning, milliseconds limit = milliseconds(10'000));
    /// Takes what has come, waits for nothing.
    void listen();

    /// Leaves no room for another message as long as nobody listens.
    void fill();

    /// All that came, in its order.
    const std::vector<message>& heard() const noexcept { return heard_; }
    std::vector<clock::time_point> times_of(const std::string& beginning) const;
    bool has(const std::string& beginning) const { return !times_of(beginning).empty(); }

private:
    bool receive(int timeout);

    temporary_directory root_;
    std::string path_;
    int socket_ = -1;
    std::vector<message> heard_;
};

}  // namespace support
