#pragma once

#include <nats/nats.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "tracker/nats/message.hpp"

namespace tracker {

/// Where a stream answers to messages that are published each on its own: an inbox, in it a subject for the number of
/// each message. For cnats' own asynchronous calls every message has a random name, by which it is looked up, a timer
/// and a tree of JSON; all that costs more than a message does.
///
/// Lives as long as the connection it is made for. Only on the worker's thread.
class answers {
public:
    /// Throws std::runtime_error.
    explicit answers(natsConnection* broker);
    ~answers();
    answers(const answers&) = delete;
    answers& operator=(const answers&) = delete;

    /// Where the answer to this message goes to; good until the next call.
    const char* subject_of(std::uint64_t number);

    /// How many are here and have not been taken.
    std::size_t arrived() const noexcept;
    /// Takes the first; blocks until there is one, for this long at most. Null: `status` says why not.
    message_ptr next(std::chrono::milliseconds at_most, natsStatus& status);
    /// To which message; more than any, when it is to none.
    std::uint64_t number_of(natsMsg* answer) const noexcept;

private:
    natsSubscription* subscription_ = nullptr;
    std::string subject_;
    std::size_t prefix_ = 0;  ///< of `subject_`
};

}  // namespace tracker
