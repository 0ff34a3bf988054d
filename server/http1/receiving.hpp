#pragma once

#include <cstddef>
#include <span>

#include "server/http1/sending.hpp"

namespace server {

/// The body of a request whose handler takes it as it arrives: nothing is read but what that waits for, into its own
/// memory. Its client has `body_timeout` for each stretch of the wait, and more of it as long as it sends at the least
/// rate; the time in which the handler works is not the client's.
class http1_receiving : public http1_sending {
public:
    using http1_sending::http1_sending;

    /// The handler waits for more.
    void wants_body(const moment& at);

protected:
    /// What has come with the head is for the handler.
    void begin_body(const moment& at);
    std::span<char> body_room() noexcept;
    void body_came(std::size_t count, const moment& at);
    void body_is_late(const moment& at);
    /// The rest does not come; a reader that waits for it is told. `rule::none`: the client has gone.
    void fail_body(rule by, const moment& at) noexcept;
    /// The handler has returned. True: its body was not over, so the client may still be sending.
    bool leave_body() noexcept;

private:
    void go_on(const moment& at) noexcept;
    bool comes_fast_enough() const noexcept;
};

}  // namespace server
