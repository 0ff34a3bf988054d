#include "cmd/service/telemetry/sender.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

#include "lifecycle/lines.hpp"

namespace telemetry {
namespace {

using lifecycle::clock;

constexpr std::size_t shown = 120;  ///< bytes of an answer

/// The first bytes of an answer, which may be text, protobuf or empty.
std::string printable(std::string_view body) {
    std::string text(body.substr(0, shown));
    for (char& c : text)
        if (c < ' ' || c > '~') c = '.';
    return text;
}

std::string in_words(const reply& answer) {
    if (answer.status == 0) return answer.error;
    return fmt::format("the receiver answered {}{}{}", answer.status, answer.body.empty() ? "" : ": ",
                       printable(answer.body));
}

/// 1, 2, 4 … seconds, a fifth more or less, so that not all that wait come back at once.
std::chrono::milliseconds pause_after(std::uint64_t failures) {
    const auto doubled = std::min<std::uint64_t>(failures - 1, 10);
    const auto pause = std::min(sender::first_pause * (1 << doubled), sender::longest_pause);
    std::random_device random;
    return pause * (80 + random() % 41) / 100;
}

}  // namespace

verdict verdict_on(const reply& answer) noexcept {
    const auto status = answer.status;
    if (status >= 200 && status < 300) return verdict::taken;
    if (status == 0 || status == 429 || status == 502 || status == 503 || status == 504) return verdict::later;
    if (status == 400 || status == 413) return verdict::halve;
    return verdict::never;
}

sender::sender(std::string signal, std::string url, post_function post, signal_account& account, spdlog::logger& log)
    : signal_(std::move(signal)), url_(std::move(url)), post_(std::move(post)), account_(account), log_(log) {}

void sender::take(batch records) {
    if (records.empty()) return keep(std::move(records));
    account_.waiting.add(records.size());
    parts_.push_back(std::move(records));
}

clock::time_point sender::next_try() const noexcept { return parts_.empty() ? clock::time_point::max() : not_before_; }

bool sender::work(const envelope& around, clock::time_point now) {
    if (now < not_before_) return parts_.empty();
    while (!parts_.empty() && attempt(around)) {}
    return parts_.empty();
}

bool sender::finish(const envelope& around, clock::time_point now, clock::time_point until) {
    if (asked_to_wait_ && not_before_ > now && not_before_ >= until) return parts_.empty();
    not_before_ = {};
    return work(around, now);
}

/// False: the rest has to wait.
bool sender::attempt(const envelope& around) {
    auto& part = parts_.front();
    if (part.size() > 1 && part.bytes.size() > batch::largest) return halve(part);
    const auto answer = post_(around.around(part.bytes, head_));
    switch (verdict_on(answer)) {
        case verdict::taken: taken(part, answer); break;
        case verdict::later: put_off(answer); return false;
        case verdict::halve:
            if (part.size() > 1 && refused_alone_ < most_alone) return halve(part);
            ++refused_alone_;
            give_up(part, answer);
            break;
        case verdict::never: give_up(part, answer); break;
    }
    account_.waiting.subtract(part.size());
    keep(std::move(part));
    parts_.pop_front();
    return true;
}

void sender::keep(batch done) noexcept {
    const auto size = done.bytes.capacity();
    if (size <= spare_.bytes.capacity() || size > largest_spare) return;
    spare_ = std::move(done);
    spare_.bytes.clear();
    spare_.ends.clear();
}

/// True: its first half is next.
bool sender::halve(batch& first) {
    auto second = first.split();
    parts_.insert(std::next(parts_.begin()), std::move(second));
    return true;
}

void sender::taken(const batch& part, const reply& answer) {
    const auto partial = read_partial_success(answer.body);
    const auto rejected = std::min<std::uint64_t>(partial.rejected, part.size());
    account_.sent.add(part.size() - rejected);
    account_.rejected.add(rejected);
    if ((rejected > 0 || !partial.message.empty()) && may_say())
        lifecycle::lines(log_).warn("telemetry: of {records} {signal} the receiver has rejected {rejected}: {error}",
                                    part.size(), signal_, rejected, printable(partial.message));
    if (failures_ > 0)
        lifecycle::lines(log_).info("telemetry: {signal} are sent again after {failures} failures", signal_, failures_);
    failures_ = refused_alone_ = 0;
    asked_to_wait_ = false;
    last_error_.clear();
}

void sender::put_off(const reply& answer) {
    last_error_ = in_words(answer);
    asked_to_wait_ = answer.retry_after.count() > 0;
    if (failures_++ == 0)
        lifecycle::lines(log_).warn("telemetry: {signal} cannot be sent to {url}: {error}", signal_, url_, last_error_);
    not_before_ =
        clock::now() + (asked_to_wait_ ? std::chrono::milliseconds(answer.retry_after) : pause_after(failures_));
}

void sender::give_up(const batch& part, const reply& answer) {
    account_.rejected.add(part.size());
    last_error_ = in_words(answer);
    if (may_say())
        lifecycle::lines(log_).warn("telemetry: {records} {signal} will not be taken by {url}: {error}", part.size(),
                                    signal_, url_, last_error_);
}

bool sender::may_say() {
    const auto now = clock::now();
    if (now < next_line_) return false;
    next_line_ = now + between_lines;
    return true;
}

}  // namespace telemetry
