#include "cmd/service/telemetry/pipeline.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "cmd/service/telemetry/metric_records.hpp"
#include "lifecycle/lines.hpp"

namespace telemetry {
namespace {

using lifecycle::clock;
using std::chrono::milliseconds;

constexpr std::array<std::string_view, 3> names{"traces", "metrics", "logs"};
constexpr int share_of_the_dead = 10;  ///< a tenth

std::uint64_t now_on_the_wall() noexcept {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(std::chrono::nanoseconds(now).count());
}

tracker::descriptor make_event() {
    tracker::descriptor made(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!made) throw std::system_error(errno, std::system_category(), "telemetry: eventfd");
    return made;
}

}  // namespace

pipeline::pipeline(plan settings, const configs::telemetry_options& options, lifecycle::part part, spdlog::logger& log,
                   const make_post& make)
    : plan_(std::move(settings)),
      options_(options),
      part_(std::move(part)),
      log_(log),
      envelope_(plan_.resource),
      event_(make_event()),
      others_(std::make_shared<other_spans>(plan_.sampling, plan_.traces ? options.queue_capacity : 0)),
      logs_(std::make_shared<log_records>(plan_.logs ? spdlog::level::from_str(options.log_level) : spdlog::level::off,
                                          options.queue_capacity)),
      started_(now_on_the_wall()),
      until_(clock::time_point::max()),
      flush_left_(options.flush) {
    span_settings_ = std::make_shared<const span_settings>(span_settings{.sampling = plan_.sampling,
                                                                         .records = plan_.traces.has_value(),
                                                                         .measures = plan_.metrics.has_value(),
                                                                         .wake_after = most_in_request,
                                                                         .wake = [this] { wake(); }});
    const auto deadline = [this] { return std::min(until_.load(std::memory_order_relaxed), part_.deadline()); };
    const auto open = [&](signal which, const std::optional<destination>& to) {
        if (!to) return;
        auto& line = lines_[which];
        line.out.emplace(std::string(names[which]), to->url.substr(0, to->url.find('?')), make(*to, deadline),
                         line.account, log_);
    };
    open(of_traces, plan_.traces);
    open(of_metrics, plan_.metrics);
    open(of_logs, plan_.logs);
}

pipeline::~pipeline() = default;

std::unique_ptr<server::request_observer> pipeline::observer() {
    auto records = std::make_shared<loop_records>(plan_.traces ? options_.queue_capacity : 1);
    {
        const std::scoped_lock lock(mutex_);
        loops_.push_back(records);
    }
    return std::make_unique<loop_spans>(std::move(records), span_settings_);
}

std::vector<std::shared_ptr<loop_records>> pipeline::loops() const {
    const std::scoped_lock lock(mutex_);
    return loops_;
}

void pipeline::wake() const noexcept {
    const std::uint64_t increment = 1;
    [[maybe_unused]] const auto written = ::write(event_.get(), &increment, sizeof increment);  // full: it is awake
}

void pipeline::wait(std::stop_token& token) {
    auto until = std::min(next_send_, next_metrics_);
    for (const auto& line : lines_)
        if (line.out) until = std::min(until, std::max(line.out->next_try(), clock::now() + milliseconds(10)));
    const auto left = std::chrono::ceil<milliseconds>(until - clock::now());
    pollfd waits{.fd = event_.get(), .events = POLLIN, .revents = 0};
    if (token.stop_requested() || left.count() <= 0) return;
    ::poll(&waits, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
    std::uint64_t times = 0;
    if (::read(event_.get(), &times, sizeof times) > 0) next_send_ = {};  // a batch is whole
}

void pipeline::run(std::stop_token token) {
    const std::stop_callback ends(token, [this] {
        until_.store(clock::now() + options_.flush, std::memory_order_relaxed);
        wake();
    });
    next_send_ = clock::now() + options_.interval;
    next_metrics_ = clock::now() + options_.metrics_interval;
    while (!token.stop_requested()) {
        wait(token);
        if (!token.stop_requested()) turn(clock::now());
    }
    const auto began = clock::now();
    const auto most = std::min(until_.load(), part_.deadline());
    flush(fails() ? std::min(most, began + options_.flush / share_of_the_dead) : most);
    flush_left_ -= std::min<clock::duration>(flush_left_, clock::now() - began);
    ended_.store(true, std::memory_order_release);
}

void pipeline::turn(clock::time_point now) {
    if (now >= next_metrics_) {
        next_metrics_ = now + options_.metrics_interval;
        add_metrics();
        send_all(of_metrics, now);
    }
    if (now >= next_send_) {
        next_send_ = now + options_.interval;
        send_all(of_traces, now);
        send_all(of_logs, now);
    }
    for (auto& line : lines_)
        if (line.out && now >= line.out->next_try()) line.out->work(envelope_, now);
}

/// As long as what there is goes out at once.
void pipeline::send_all(signal which, clock::time_point now) {
    auto& out = lines_[which].out;
    while (out && out->work(envelope_, now) && fill(which)) {
        if (until_.load(std::memory_order_relaxed) != clock::time_point::max()) return;  // the stop sees to the rest
    }
}

/// False: there is nothing. Its sender is free.
bool pipeline::fill(signal which) {
    auto next = lines_[which].out->spare();
    const auto take = [&](record_ring& from) {
        if (next.size() < most_in_request)
            from.take(next.bytes, next.ends, most_in_request - next.size(), batch::largest);
    };
    if (which == of_traces) {
        for (const auto& loop : loops()) take(loop->spans);
        take(others_->ring());
    } else if (which == of_logs) {
        take(logs_->ring());
    }
    const bool any = !next.empty();
    lines_[which].out->take(std::move(next));
    return any;
}

/// All of them, as they are now: what has not been sent is out of date.
void pipeline::add_metrics() {
    auto& line = lines_[of_metrics];
    if (!line.out || !line.out->is_free()) return;
    auto next = line.out->spare();
    const span_of_time when{.start = started_, .now = now_on_the_wall()};
    const auto all = loops();
    std::vector<const request_series*> series;
    for (const auto& loop : all) series.push_back(&loop->series);
    append_request_durations(next, series, when);
    if (metrics_) append_metrics(next, metrics_(), when);
    line.out->take(std::move(next));
}

bool pipeline::fails() const noexcept {
    return std::ranges::any_of(lines_, [](const auto& line) { return line.out && line.out->fails(); });
}

void pipeline::flush(clock::time_point until) {
    until_.store(until, std::memory_order_relaxed);
    flush(of_traces, until);
    flush(of_logs, until);
    add_metrics();
    flush(of_metrics, until);
}

void pipeline::flush(signal which, clock::time_point until) {
    auto& line = lines_[which];
    if (!line.out) return;
    while (clock::now() < until && line.out->finish(envelope_, clock::now(), until) && fill(which)) {}
}

void pipeline::finish(std::string_view report, bool failed, clock::time_point until) {
    const auto now = clock::now();
    if (plan_.logs) logs_->add_report(report, failed);
    if (ended_.load(std::memory_order_acquire) && !fails()) flush(std::min(until, now + flush_left_));
    say_what_is_left();
}

void pipeline::say_what_is_left() {
    const auto spans = waiting(of_traces), records = waiting(of_logs);
    if (spans + records == 0) return;
    std::string why;
    if (ended_.load(std::memory_order_acquire))
        for (const auto& line : lines_)
            if (line.out && why.empty()) why = line.out->last_error();
    lifecycle::lines(log_).warn("telemetry: {spans} spans and {records} log records are left: {error}", spans, records,
                                why.empty() ? "no time was left" : why);
}

std::uint64_t pipeline::waiting(signal which) const {
    std::uint64_t all = 0;
    if (which == of_traces) {
        for (const auto& loop : loops()) all += loop->spans.waiting();
        all += others_->ring().waiting();
    } else if (which == of_logs) {
        all += logs_->ring().waiting();
    }
    return all + lines_[which].account.waiting.get();  // last, since records go that way
}

std::uint64_t pipeline::dropped(signal which) const {
    std::uint64_t all = 0;
    if (which == of_traces) {
        for (const auto& loop : loops()) all += loop->spans.dropped();
        all += others_->ring().dropped();
    } else if (which == of_logs) {
        all += logs_->ring().dropped();
    }
    return all;
}

void pipeline::write_metrics(server::metrics_text& out) const {
    const auto number = [](std::uint64_t n) { return static_cast<double>(n); };
    const auto each = [&](const auto& see) {
        for (const auto which : {of_traces, of_metrics, of_logs})
            if (lines_[which].out) see(which, server::label("signal", names[which]));
    };
    out.family("telemetry_records_sent_total", "counter", "Spans, metrics and log records that a receiver has taken.");
    each([&](signal which, const std::string& label) { out.sample(label, number(lines_[which].account.sent.get())); });
    out.family("telemetry_records_rejected_total", "counter", "Those that a receiver will not take.");
    each([&](signal which, const std::string& label) {
        out.sample(label, number(lines_[which].account.rejected.get()));
    });
    out.family("telemetry_records_dropped_total", "counter", "Those that have found no room in the queue.");
    each([&](signal which, const std::string& label) { out.sample(label, number(dropped(which))); });
    out.family("telemetry_records_waiting", "gauge", "Those that are to be sent.");
    each([&](signal which, const std::string& label) { out.sample(label, number(waiting(which))); });
}

}  // namespace telemetry
