#include "tracker/nats/stream_info.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <stdexcept>

namespace tracker {
namespace {

namespace json = boost::json;

const json::object* object_of(const json::object& in, std::string_view name) {
    const auto* const found = in.if_contains(name);
    return found != nullptr ? found->if_object() : nullptr;
}

/// 0 where there is none.
std::int64_t number_of(const json::object& in, std::string_view name) {
    const auto* const found = in.if_contains(name);
    return found != nullptr && found->is_int64() ? found->get_int64() : 0;
}

std::string_view text_of(const json::object& in, std::string_view name) {
    const auto* const found = in.if_contains(name);
    return found != nullptr && found->is_string() ? std::string_view(found->get_string()) : std::string_view();
}

bool truth_of(const json::object& in, std::string_view name) {
    const auto* const found = in.if_contains(name);
    return found != nullptr && found->is_bool() && found->get_bool();
}

/// False where there is none.
template <class Answer>
bool read_error(const json::object& in, Answer& into) {
    const auto* const error = object_of(in, "error");
    if (error == nullptr) return false;
    into.error = std::max(1, static_cast<int>(number_of(*error, "err_code")));
    into.why = text_of(*error, "description");
    return true;
}

}  // namespace

stream_info read_stream_info(std::string_view text) {
    boost::system::error_code fault;
    const auto answer = json::parse(text, fault);
    const auto* const all = fault ? nullptr : answer.if_object();
    const auto* const config = all != nullptr ? object_of(*all, "config") : nullptr;
    stream_info made;
    if (all != nullptr && read_error(*all, made)) return made;
    if (config == nullptr) throw std::runtime_error("what the broker says of it is not understood");
    made.no_ack = truth_of(*config, "no_ack");
    made.async = text_of(*config, "persist_mode") == "async";
    made.allow_atomic = truth_of(*config, "allow_atomic");
    made.in_memory = text_of(*config, "storage") == "memory";
    made.replicas = static_cast<std::uint32_t>(std::clamp<std::int64_t>(number_of(*config, "num_replicas"), 1, 99));
    made.max_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(number_of(*config, "max_bytes"), 0));
    made.duplicate_window = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::nanoseconds(number_of(*config, "duplicate_window")));
    return made;
}

message_answer read_message_answer(std::string_view text) {
    // As nats-server writes them, since there is one for each message: {"stream":"EVENTS", "seq":1}
    if (text.starts_with(R"({"stream":")") && text.ends_with('}') && text.find(R"("seq":)") != text.npos &&
        text.find(R"("error")") == text.npos)
        return {};
    boost::system::error_code fault;
    const auto answer = json::parse(text, fault);
    const auto* const all = fault ? nullptr : answer.if_object();
    message_answer made;
    if (all != nullptr && read_error(*all, made)) return made;
    if (all == nullptr || text_of(*all, "stream").empty() || !all->contains("seq"))
        throw std::runtime_error("what the broker says of a message is not understood");
    return made;
}

batch_answer read_batch_answer(std::string_view text) {
    boost::system::error_code fault;
    const auto answer = json::parse(text, fault);
    const auto* const all = fault ? nullptr : answer.if_object();
    if (all == nullptr) throw std::runtime_error("what the broker says of a batch is not understood");
    batch_answer made;
    if (read_error(*all, made)) return made;
    made.batch = text_of(*all, "batch");
    made.count = static_cast<std::uint64_t>(std::max<std::int64_t>(number_of(*all, "count"), 0));
    return made;
}

}  // namespace tracker
