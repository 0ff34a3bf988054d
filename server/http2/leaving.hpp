#pragma once

#include <cstdint>

#include "server/http2/allowance.hpp"
#include "server/http2/answering.hpp"

namespace server::http2 {

/// How a connection ends: the client is told to go, it has gone too far, or nothing can be written any more.
class leaving : public answering {
public:
    using answering::answering;

    /// It is to end when it is idle: the client is told which stream was the last.
    void go(ending_letters why, const moment& at);
    /// Nothing can be written any more. `why`: none where its client has gone, by itself or as it was told to.
    void lost(const moment& at, ending_letters why = {});

protected:
    /// The next of the two steps, if it is due. False: there is nothing to be said now.
    bool say_goodbye();
    void end_hostile(std::uint32_t code);
    /// It has ended by a GOAWAY that nghttp2 has made, or that was made without it.
    void be_ended();
    /// True: and it has been ended for that.
    bool too_many(allowance& of);

    allowances may_;
};

}  // namespace server::http2
