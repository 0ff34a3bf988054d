#include "server/event_stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "server/draining.hpp"
#include "server/timed_stream.hpp"

namespace server {

using std::chrono::milliseconds;

namespace {

constexpr std::string_view event_stream_type = "text/event-stream";

bool ends_line(char c) { return c == '\r' || c == '\n'; }

/// `name` and `value` as a line of an event, to where there is room for it. Returns where it ends.
char* put_line(char* at, std::string_view name, std::string_view value) {
    at = std::copy(name.begin(), name.end(), at);
    at = std::copy(value.begin(), value.end(), at);
    *at++ = '\n';
    return at;
}

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

/// The text that is sent next; none: the end. The response, which is asked for it, outlives this.
lifecycle::awaitable<std::string> piece_of(stream& from) {
    if (!std::exchange(from.begun, true)) co_return std::string(event_stream_comment);
    if (from.over) co_return std::string();
    auto asking = from.next(from.until.with_deadline(lifecycle::clock::now() + heart_beat), from.out);
    const bool more = co_await std::move(asking);
    from.over = !more || (from.out.empty() && from.until.done());
    if (from.out.empty() && !from.over) co_return std::string(event_stream_comment);
    co_return from.out.take();
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
    constexpr std::size_t name = 8, number = 20;  // with its line feed, the longest of them
    const auto lines = static_cast<std::size_t>(std::ranges::count_if(data, ends_line)) + 1;
    std::string text(data.size() + lines * name + type.size() + id.size() + 3 * name + number, '\0');
    auto* at = text.data();
    if (!type.empty()) at = put_line(at, "event: ", type);
    if (retry_ > milliseconds(0)) at = put_line(at, "retry: ", std::to_string(retry_.count()));
    for (;;) {
        const auto* const end = std::ranges::find_if(data, ends_line);
        at = put_line(at, "data: ", {data.begin(), end});
        if (end == data.end()) break;
        const bool both = *end == '\r' && end + 1 != data.end() && end[1] == '\n';
        data = {end + (both ? 2 : 1), data.end()};
    }
    if (!id.empty()) at = put_line(at, "id: ", id);
    *at++ = '\n';
    text.resize(static_cast<std::size_t>(at - text.data()));
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
    made.texts = [from] { return piece_of(*from); };
    return as_events(std::move(made));
}

response event_stream(const lifecycle::context& of, lifecycle::clock::time_point first, timed_event_source next,
                      std::source_location where) {
    response made;
    made.texts = timed_texts{std::make_shared<timed_stream>(until_drain(of), first, std::move(next), where)};
    return as_events(std::move(made));
}

response empty_event_stream() {
    auto made = as_events(response(http::status::ok, fmt::format("retry: {}\n\n", time_to_return().count())));
    made.close = true;
    return made;
}

}  // namespace server
