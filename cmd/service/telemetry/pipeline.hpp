#pragma once

#include <spdlog/logger.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/service/telemetry/log_records.hpp"
#include "cmd/service/telemetry/loop_spans.hpp"
#include "cmd/service/telemetry/other_spans.hpp"
#include "cmd/service/telemetry/plan.hpp"
#include "cmd/service/telemetry/request_body.hpp"
#include "cmd/service/telemetry/sender.hpp"
#include "lifecycle/stop_channel.hpp"
#include "tracker/descriptor.hpp"

namespace telemetry {

/// Queues of spans and log records, and the one thread that sends them, and metrics, on their way.
///
/// A part: construct (connects to nothing), `run` on a thread of its own until it is asked to stop. It is asked when
/// the app has ended, and then has `telemetry.flush` for what is left, a tenth of that for a receiver that the last
/// try has found dead or silent. `finish` is for what comes after it: the last deliveries, and the report.
/// Everything but `run` and `finish` is safe from any thread.
class pipeline {
public:
    static constexpr std::size_t most_in_request = 512;

    /// Makes what posts to a destination: `receiver`, but in tests.
    using make_post = std::function<post_function(const destination&, tracker::deadline_function)>;
    /// All metrics of the process in the Prometheus text format; any thread.
    using metrics_source = std::function<std::string()>;

    pipeline(plan settings, const configs::telemetry_options& options, lifecycle::part part, spdlog::logger& log,
             const make_post& make);
    ~pipeline();

    /// For the observer of a loop.
    std::unique_ptr<server::request_observer> observer();
    const std::shared_ptr<other_spans>& others() const noexcept { return others_; }
    const std::shared_ptr<log_records>& logs() const noexcept { return logs_; }
    void measure_by(metrics_source source) { metrics_ = std::move(source); }

    void run(std::stop_token token);
    /// After `run`: sends the report of the stop and what has come meanwhile, in what is left of the flush and not
    /// beyond `until`; says in one line what stays behind.
    void finish(std::string_view report, bool failed, lifecycle::clock::time_point until);

    void write_metrics(server::metrics_text& out) const;

private:
    enum signal : std::size_t { of_traces, of_metrics, of_logs, signals };

    struct line {
        signal_account account;
        std::optional<sender> out;
    };

    void wake() const noexcept;
    void wait(std::stop_token& token);
    void turn(lifecycle::clock::time_point now);
    void send_all(signal which, lifecycle::clock::time_point now);
    bool fill(signal which);
    void add_metrics();
    void flush(lifecycle::clock::time_point until);
    void flush(signal which, lifecycle::clock::time_point until);
    bool fails() const noexcept;
    void say_what_is_left();
    std::uint64_t waiting(signal which) const;
    std::uint64_t dropped(signal which) const;
    std::vector<std::shared_ptr<loop_records>> loops() const;

    const plan plan_;
    const configs::telemetry_options options_;
    const lifecycle::part part_;
    spdlog::logger& log_;
    const envelope envelope_;
    const tracker::descriptor event_;  ///< readable: there is something to do
    const std::shared_ptr<other_spans> others_;
    const std::shared_ptr<log_records> logs_;
    std::shared_ptr<const span_settings> span_settings_;
    metrics_source metrics_;
    const std::uint64_t started_;  ///< nanoseconds since 1970
    mutable std::mutex mutex_;
    std::vector<std::shared_ptr<loop_records>> loops_;  ///< guarded by mutex_
    std::array<line, signals> lines_;
    std::atomic<lifecycle::clock::time_point> until_;  ///< of what is being sent
    lifecycle::clock::time_point next_send_{}, next_metrics_{};
    lifecycle::clock::duration flush_left_;
    std::atomic<bool> ended_{false};
};

}  // namespace telemetry
