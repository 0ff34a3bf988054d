#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "server/response.hpp"

namespace server {

/// What a client is told of a fault, and a program can act on (RFC 9457): `problem({.status = …, .detail = …})`. It is
/// sent as it is, so it must not reveal internals. `problem(status)` is the same with a status alone.
struct problem_details {
    /// One fault in what the client has sent.
    struct error {
        std::string pointer;  ///< where in its body: a JSON pointer (RFC 6901); empty: all of it
        std::string detail;   ///< what is allowed there
    };
    static constexpr std::size_t most_errors = 16;  ///< enough to correct the request; more are not sent

    http::status status = http::status::bad_request;
    std::string type = {};      ///< a URI of this kind of problem; empty: "about:blank", where the status says it all
    std::string title = {};     ///< the same for each problem of its type; empty: the reason of the status
    std::string detail = {};    ///< what went wrong this time, and what to do about it
    std::string instance = {};  ///< a URI of this one occurrence
    std::vector<error> errors = {};
};

response problem(const problem_details& details);

}  // namespace server
