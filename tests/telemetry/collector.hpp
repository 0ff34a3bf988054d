#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/scripted_upstream.hpp"
#include "tests/telemetry/decode.hpp"

/// A receiver of OTLP that says 200 to nothing that it has not stored, and stores nothing that is not right: what a
/// real Collector takes for good and loses is a fault here. On a thread of its own until destroyed.
class collector {
public:
    /// What it answers instead of storing a request; none: it stores it. Asked with its path and how many records it
    /// has. On the collector's thread.
    using refusal = std::function<std::optional<support::scripted_upstream::reply>(
        const std::string& path, const otlp::request& asked, std::size_t nth)>;

    explicit collector(refusal refuses = {});

    std::string url() const { return server_.origin(); }
    std::vector<otlp::span> spans() const;
    std::vector<otlp::log_record> logs() const;
    /// As they came last.
    std::vector<otlp::metric> metrics() const;
    otlp::attributes resource() const;
    std::vector<std::string> faults() const;  ///< of encoder and sender, in words
    std::size_t requests() const;
    support::scripted_upstream& server() noexcept { return server_; }
    std::vector<support::scripted_upstream::request> heads() const { return server_.requests(); }

private:
    support::scripted_upstream::reply answer(const support::scripted_upstream::request& asked);

    const refusal refuses_;
    mutable std::mutex mutex_;
    std::vector<otlp::request> stored_;
    std::vector<std::string> faults_;
    std::size_t requests_ = 0;
    support::scripted_upstream server_;  // last: its thread uses the rest
};

support::scripted_upstream::reply answer_of(unsigned status, const std::string& fields = {},
                                            const std::string& body = {});
