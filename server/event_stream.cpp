#include "server/event_stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <random>
#include <stdexcept>
#include <utility>

#include "server/draining.hpp"

namespace server {

using std::chrono::milliseconds;

namespace {

constexpr std::string_view event_stream_type = "text/event-stream";
constexpr std::string_view comment = ":\n";  // an empty line after it would be an empty message to three clients

bool is_one_line(std::string_view text) { return text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos; }

/// A client sends it back in a field, and with any of these it would be answered 400, for good.
bool may_come_back(std::string_view id) {
    return std::ranges::none_of(id, [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

response as_events(response made) {
    made.content_type = event_stream_type;
    made.set("Cache-Control", "no-cache, no-transform");  // proxies that compress hold events back
    made.set("X-Accel-Buffering", "no");                  // nginx
    return made;
}

struct stream {
    lifecycle::context until;  ///< ends with the request, or when the drain begins
    event_source next;
    event_writer out;
    bool begun = false, over = false;
};

/// The text that is sent next; none: the end.
lifecycle::awaitable<std::string> piece_of(std::shared_ptr<stream> from) {
    if (!std::exchange(from->begun, true)) co_return std::string(comment);
    if (from->over) co_return std::string();
    auto asking = from->next(from->until.with_deadline(lifecycle::clock::now() + heart_beat), from->out);
    const bool more = co_await std::move(asking);
    from->over = !more || (from->out.empty() && from->until.done());
    if (from->out.empty() && !from->over) co_return std::string(comment);
    co_return from->out.take();
}

}  // namespace

milliseconds time_to_return() {
    thread_local std::minstd_rand random{std::random_device{}()};
    return milliseconds(std::uniform_int_distribution(1'000, 3'000)(random));
}

void event_writer::event(std::string_view data, std::string_view id, std::string_view type) {
    if (!may_come_back(id)) throw std::invalid_argument("the id of an event holds a control character");
    if (!is_one_line(type)) throw std::invalid_argument("the type of an event holds CR, LF or NUL");
    constexpr const char* too_large = "an event of a stream is larger than 60000 bytes";
    if (data.size() > largest) throw std::length_error(too_large);
    std::string text;
    text.reserve(data.size() + id.size() + type.size() + 48);  // most have a line of data: one allocation
    if (!type.empty()) text.append("event: ").append(type).push_back('\n');
    if (retry_ > milliseconds(0)) fmt::format_to(std::back_inserter(text), "retry: {}\n", retry_.count());
    for (;;) {
        const auto end = data.find_first_of("\r\n");
        text.append("data: ").append(data.substr(0, end)).push_back('\n');
        if (end == data.npos) break;
        data.remove_prefix(data.substr(end, 2) == "\r\n" ? end + 2 : end + 1);
    }
    if (!id.empty()) text.append("id: ").append(id).push_back('\n');
    text.push_back('\n');
    if (text.size() > largest) throw std::length_error(too_large);
    retry_ = milliseconds(0);
    if (text_.empty())
        text_ = std::move(text);
    else
        text_ += text;
}

response event_stream(const lifecycle::context& of, event_source next) {
    const auto from = std::make_shared<stream>(
        stream{.until = until_drain(of), .next = std::move(next), .out = {}, .begun = false, .over = false});
    from->out.retry(time_to_return());
    response made;
    made.texts = [from] { return piece_of(from); };
    return as_events(std::move(made));
}

response empty_event_stream() {
    auto made = as_events(response(http::status::ok, fmt::format("retry: {}\n\n", time_to_return().count())));
    made.close = true;
    return made;
}

}  // namespace server
