#pragma once

#include <memory>
#include <set>
#include <string>

#include "tracker/sink.hpp"

namespace tracker {

/// Batches by POST to `tracker.http_url`, as NDJSON, on one connection that is kept.
///
/// 2xx: delivered. 408, 429, 5xx and everything else that another try may change, the answers about the
/// address or the right to it (401, 403, 404, 405, 407) among them: tried again, not before `Retry-After`. Any
/// other 4xx is about an event: then they go one by one, and what is refused alone becomes a dead letter.
/// `Idempotency-Key` is the same for the same batch; `id` in the lines tells twins apart in any case.
///
/// An exchange, connecting included, takes `tracker.http_timeout` at most and never longer than the flush
/// deadline. A name is looked up by the C library, in the time that resolv.conf(5) gives it.
class http_sink final : public sink {
public:
    /// Throws std::runtime_error with one line when the address is none, or its certificates cannot be read.
    http_sink(const options& options, deadline_function deadline);
    ~http_sink() override;

    void deliver(std::span<const event> batch) override;
    void finish() noexcept override;
    std::string_view name() const noexcept override { return "http"; }

private:
    class connection;
    bool post(std::span<const event> batch);

    const std::unique_ptr<connection> connection_;
    lifecycle::clock::time_point not_before_{};  ///< Retry-After
    bool one_by_one_ = false;
    std::set<std::string, std::less<>> taken_;  ///< ids of a batch that goes one by one
};

/// For the list of sinks that main knows.
std::unique_ptr<sink> make_http_sink(const options& options, spdlog::logger& log, deadline_function deadline);

}  // namespace tracker
