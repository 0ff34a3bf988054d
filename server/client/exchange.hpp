#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/system/error_code.hpp>
#include <cstdint>

#include "server/client/connection_pool.hpp"
#include "server/client/http_client.hpp"

namespace server {

/// A request as it goes over the wire.
using wire_request = http::request<http::string_body>;

/// Throws std::invalid_argument for a field that would end early. It lacks what only the moment of sending knows.
wire_request to_wire(client_request&& from);

/// How far one request on one connection has come.
struct exchanged {
    boost::system::error_code error;
    bool begun = false;     ///< a byte has come
    bool reusable = false;  ///< another request may follow on this connection
    client_response response;
};

/// Sends, and receives one answer; by the stream's deadline. Interim answers (1xx) are skipped. With an error the
/// connection is of no further use.
lifecycle::awaitable<exchanged> exchange(upstream_stream& on, const wire_request& message, std::uint64_t max_body);

}  // namespace server
