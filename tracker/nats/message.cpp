#include "tracker/nats/message.hpp"

#include "tracker/cloud_event.hpp"

namespace tracker {

std::string_view message_maker::text_of(const event& event) {
    if (cloud_events_.on) return event.data;
    text_.clear();
    append_json(text_, event);
    return text_;
}

std::size_t message_maker::size(const event& event) {
    auto all = text_of(event).size();
    if (!cloud_events_.on) return all;
    for (const auto& [name, value] : cloud_event(event, cloud_events_, binding::nats))
        all += name.size() + value.size() + std::string_view(": \r\n").size();
    return all;
}

message_ptr message_maker::make(const event& event, const char* reply, natsStatus& status) {
    const auto text = text_of(event);
    natsMsg* made = nullptr;
    status = natsMsg_Create(&made, subject_.c_str(), reply, text.data(), static_cast<int>(text.size()));
    message_ptr message(made);
    if (status == NATS_OK) status = natsMsgHeader_Set(made, "Nats-Msg-Id", event.id.c_str());
    if (status == NATS_OK) status = natsMsgHeader_Set(made, "Nats-Expected-Stream", stream_.c_str());
    if (status == NATS_OK && cloud_events_.on)
        for (const auto& [name, value] : cloud_event(event, cloud_events_, binding::nats))
            if (status == NATS_OK) status = natsMsgHeader_Set(made, name.c_str(), value.c_str());
    if (status != NATS_OK) message.reset();
    return message;
}

}  // namespace tracker
