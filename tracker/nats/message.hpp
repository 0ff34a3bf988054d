#pragma once

#include <nats/nats.h>

#include <cstddef>
#include <memory>
#include <string>

#include "tracker/event.hpp"
#include "tracker/options.hpp"

namespace tracker {

struct destroy_message {
    void operator()(natsMsg* message) const noexcept { natsMsg_Destroy(message); }
};
using message_ptr = std::unique_ptr<natsMsg, destroy_message>;

/// Makes the message of an event: its line, or with `tracker.cloudevents` its data and its headers. `Nats-Msg-Id` is
/// the id, and no other stream than `tracker.nats_stream` takes it. On the worker's thread.
class message_maker {
public:
    explicit message_maker(const options& options)
        : subject_(options.nats.subject), stream_(options.nats.stream), cloud_events_(options.cloud_events) {}

    /// Of its text and what its headers add; those that tell the server what to do not among them.
    std::size_t size(const event& event);
    /// `reply` may be null. Null where `status` says why.
    message_ptr make(const event& event, const char* reply, natsStatus& status);

private:
    std::string_view text_of(const event& event);

    const std::string subject_, stream_;
    const cloud_event_options cloud_events_;
    std::string text_;
};

}  // namespace tracker
