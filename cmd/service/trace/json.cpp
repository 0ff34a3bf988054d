#include "cmd/service/trace/json.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <unordered_map>

namespace trace {
namespace {

using nanoseconds = std::chrono::nanoseconds;

std::string as_json(std::string_view text) { return boost::json::serialize(boost::json::value(text)); }

/// Microseconds, without a detour through floating point.
std::string in_microseconds(nanoseconds time) {
    const auto count = std::max<nanoseconds::rep>(0, time.count());
    return fmt::format("{}.{:03}", count / 1'000, count % 1'000);
}

std::string arguments(const std::vector<argument>& all) {
    std::string text = R"("args":{)";
    for (const auto& [key, value] : all)
        text += fmt::format("{}{}:{}", text.ends_with('{') ? "" : ",", as_json(key), as_json(value));
    return text + '}';
}

}  // namespace

void json::event(char phase, std::string_view category, std::string_view name, pid_t thread, time_point when,
                 std::string_view rest) {
    text_ +=
        fmt::format(R"({}{{"ph":"{}","cat":"{}","name":{},"pid":{},"tid":{},"ts":{},{}}})", text_.empty() ? "" : ",\n",
                    phase, category, as_json(name), ::getpid(), thread, in_microseconds(when.time_since_epoch()), rest);
}

void json::name_thread(pid_t id, std::string_view name) {
    event('M', "__metadata", "thread_name", id, {}, arguments({{"name", std::string(name)}}));
}

void json::add(const slice& slice) {
    event('X', slice.category, slice.name, slice.thread, slice.since,
          fmt::format(R"("dur":{},{})", in_microseconds(slice.until - slice.since), arguments(slice.arguments)));
}

void json::add(const moment& moment) {
    event('i', moment.category, moment.name, moment.thread, moment.when, R"("s":"p",)" + arguments(moment.arguments));
}

/// A handler's record comes before that of the answer to the same request. There is none of an answer that was not on
/// its way at the end, or that the tick has written in place of a late handler's.
void json::add(pid_t thread, std::span<const record> records) {
    std::unordered_map<const void*, const record*> handled;  // by connection
    for (const auto& entry : records) {
        if (entry.what == record::kind::batch) {
            add(slice{thread,
                      "tracker",
                      fmt::format("deliver to {}", entry.name.view()),
                      entry.since,
                      entry.until,
                      {{"events", std::to_string(entry.events)},
                       {"outcome", entry.detail.view().empty() ? "delivered" : std::string(entry.detail.view())}}});
            continue;
        }
        auto& before = handled[entry.of];
        if (entry.what == record::kind::request) {
            request(thread, std::exchange(before, nullptr), &entry);
        } else {
            if (before != nullptr) request(thread, before, nullptr);
            before = &entry;
        }
    }
    for (const auto& [of, last] : handled)
        if (last != nullptr) request(thread, last, nullptr);
}

void json::request(pid_t thread, const record* handled, const record* answered) {
    const auto& known = handled != nullptr ? *handled : *answered;
    const auto id = fmt::format(R"("id":"{:#x}",)", ++requests_);
    std::vector<argument> about{{"target", std::string(known.detail.view())}};
    if (!known.context.view().empty()) about.emplace_back("trace_id", std::string(known.context.view()));
    event('b', "request", known.name.view(), thread, known.since, id + arguments(about));
    if (handled != nullptr) {
        event('b', "request", "handler", thread, handled->since, id + arguments({}));
        event('e', "request", "handler", thread, handled->until, id + arguments({}));
    }
    const auto status = answered != nullptr ? std::to_string(answered->status) : "not this handler's";
    event('e', "request", known.name.view(), thread, answered != nullptr ? answered->until : handled->until,
          id + arguments({{"status", status}}));
}

std::string json::take(std::uint64_t lost) {
    return fmt::format(R"({{"displayTimeUnit":"ms","otherData":{{"events_lost":"{}"}},"traceEvents":[)"
                       "\n{}\n]}}\n",
                       lost, std::exchange(text_, {}));
}

}  // namespace trace
