#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace tracker {

/// What a broker says of a stream. Read by ourselves: cnats leaves out what is newer than it.
struct stream_info {
    static constexpr int not_found = 10059;  ///< nats-server's errors.json, JSStreamNotFoundErr

    int error = 0;  ///< 0: there is none
    std::string why;
    bool no_ack = false;
    bool async = false;  ///< persist_mode: what is acknowledged is written later
    bool in_memory = false;
    std::uint32_t replicas = 1;
    bool allow_atomic = false;    ///< batches that are stored whole or not at all
    std::uint64_t max_bytes = 0;  ///< 0: any number
    std::chrono::milliseconds duplicate_window{0};
};

/// The answer to $JS.API.STREAM.INFO and .CREATE. Throws std::runtime_error with one line when it cannot be understood.
stream_info read_stream_info(std::string_view json);

/// What a broker says of a message that was published on its own.
struct message_answer {
    int error = 0;  ///< 0: there is none, it is stored
    std::string why;
};

/// Throws std::runtime_error with one line when it is no answer of a stream.
message_answer read_message_answer(std::string_view json);

/// What a broker says of a batch that was stored whole or not at all.
struct batch_answer {
    int error = 0;  ///< 0: there is none
    std::string why;
    std::string batch;        ///< its id; empty: not acknowledged as a batch
    std::uint64_t count = 0;  ///< of its messages
};

/// The answer to the last message of a batch. Throws std::runtime_error with one line when it is none.
batch_answer read_batch_answer(std::string_view json);

}  // namespace tracker
