#pragma once

#include <cstdint>
#include <exception>
#include <memory>

#include "server/http2/stream.hpp"
#include "server/session.hpp"

namespace server::http2 {

/// What a machine has done for it: its driver does that for its connection. All are about one request.
class duties {
public:
    /// Its request says who asks.
    virtual void introduce(stream& of) = 0;
    /// True: what has been asked has returned. Else stream::returned is called when it has.
    virtual bool ask(asked what, stream& of) = 0;
    /// Its handler has returned.
    virtual void left(stream& of, const moment& at) = 0;
    virtual void note(stream& of, const answer_row& row) = 0;
    virtual void answered(stream& of, http::status status) = 0;
    virtual void log_failure(stream& of, const std::exception_ptr& thrown) = 0;
    virtual void straggles(stream& of) = 0;
    virtual void returned_late(stream& of) = 0;
    /// What its route makes of it, with `through` for a socket.
    virtual std::unique_ptr<server::session> becomes(stream& of, tunnel& through) = 0;
    /// A handler has returned while the machine was told of nothing else: it is to be driven.
    virtual void proceed() noexcept = 0;
    virtual moment now() = 0;

protected:
    ~duties() = default;
};

}  // namespace server::http2
