// Streams of events whose clients do not read.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "tests/integration/service.hpp"

namespace integration {

/// Reads on until that is there.
inline bool says(client& client, std::string_view text) {
    while (client.rest().find(text) == std::string::npos) {
        const auto before = client.rest().size();
        client.receive_some(before + 1);
        if (client.rest().size() == before) return false;
    }
    return true;
}

/// Of a service with one loop and `small_sockets`, which has had streams with an event of some 60 bytes every 10 ms
/// before: more than twice as many bytes are due to their clients as the kernel keeps. A stream beside them that is
/// read, and that ends with the stop, has had as many events since.
inline client stream_behind_unread_ones(const service& service) {
    auto reader = service.connect();
    reader.send(get("/ticks?ms=10"));
    if (!says(reader, "id: 500\n")) throw std::runtime_error("a stream ends");
    return reader;
}
constexpr const char* small_sockets = "--app.send_buffer_bytes=4KiB";
constexpr int small_receive_buffer = 4096;

}  // namespace integration
