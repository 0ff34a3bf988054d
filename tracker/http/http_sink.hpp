#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tracker/http_connection/http_connection.hpp"
#include "tracker/sink.hpp"

namespace tracker {

/// By the C library.
std::vector<std::string> look_up(const std::string& host);

/// Batches by POST to `tracker.http_url`, as NDJSON, on one connection that is kept.
///
/// 2xx: delivered. 413 and 422 speak of the events: what hears one of them alone is a dead letter at once. 401 to 405,
/// 407 to 411, 415, 421, 423, 425, 426, 428, 429, 431, 451, all that is no 4xx, and whatever comes with `Retry-After`
/// speak of the address, the right to it or the moment: tried again, not before `Retry-After`. Any other 4xx (400) may
/// be either: what others of the batch hear decides (`sieve`).
/// With `tracker.cloudevents` each event is a request of its own, its data the body and its headers those of
/// CloudEvents 1.0 in binary mode; what has been taken of a batch that failed is not sent again by this process.
/// `Idempotency-Key` is the same for the same events, and then the id; in any case the `id` tells duplicates.
///
/// `Authorization` may change while it runs; each request has the newest one.
///
/// An exchange, connecting included, takes `tracker.http_timeout` at most and never longer than the flush
/// deadline. A name is looked up by the C library, which gives each server of names 1 s and 2 s.
class http_sink final : public sink {
public:
    /// Throws std::runtime_error with one line when the address is not valid, or its certificates cannot be read.
    http_sink(const options& options, deadline_function deadline, name_lookup names = look_up);
    ~http_sink() override;

    void deliver(std::span<const event> batch) override;
    void finish() noexcept override;
    std::string_view name() const noexcept override { return "http"; }
    void apply(const options& fresh) override;

private:
    void take_authorization();
    void post(std::string_view body, const http_connection::fields& fields);
    void post_alone(std::span<const event> batch);

    const cloud_event_options cloud_events_;
    std::set<std::string, std::less<>> taken_;  ///< ids, of what has not been delivered whole
    http_connection connection_;
    lifecycle::clock::time_point not_before_{};  ///< Retry-After
    std::mutex applying_;
    std::optional<std::string> authorization_;  ///< a new one that no request has had
};

/// For the list of sinks that main knows.
std::unique_ptr<sink> make_http_sink(const options& options, spdlog::logger& log, deadline_function deadline);

}  // namespace tracker
