#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/service/telemetry/record_ring.hpp"
#include "cmd/service/telemetry/request_series.hpp"
#include "cmd/service/telemetry/sampler.hpp"
#include "cmd/service/telemetry/wire.hpp"
#include "lifecycle/context.hpp"
#include "server/net/socket_address.hpp"
#include "server/request_observer.hpp"

namespace telemetry {

/// Ids for traces and spans, at random (xoshiro256++, seeded by the kernel): never 0. On one thread.
class random_ids {
public:
    random_ids();
    std::uint64_t next() noexcept;

private:
    std::array<std::uint64_t, 4> state_;
};

/// What a loop and the worker that sends have in common; as long as the longer of both.
struct loop_records {
    explicit loop_records(std::size_t capacity) : spans(capacity) {}
    record_ring spans;
    request_series series;
};

/// What the loops are told.
struct span_settings {
    sampler sampling = {};
    bool records = true;  ///< false: spans go nowhere, and traces are only handed on
    bool measures = true;
    std::uint64_t wake_after = 512;   ///< spans
    std::function<void()> wake = {};  ///< the worker; any thread, does not block
};

/// A query without the signatures that object stores put into URLs, which are as good as a password: those that
/// http/http-spans.md names. `query` itself where there are none, else in `room`.
std::string_view redacted(std::string_view query, std::string& room);

/// The requests of one loop as spans and in http.server.request.duration. On its thread; allocates nothing.
class loop_spans final : public server::request_observer {
public:
    loop_spans(std::shared_ptr<loop_records> to, std::shared_ptr<const span_settings> settings);

    void begin(server::request& asked, bool traced) noexcept override;
    void end(const server::answer_row& row) noexcept override;

private:
    void record(const server::answer_row& row, const request_series::series& alike) noexcept;
    /// The attributes of a Host field, and of the other end of a connection: mostly those of the request before.
    std::string_view of_host(std::string_view host) noexcept;
    std::string_view of_peer(const server::socket_address& peer) noexcept;
    std::uint64_t on_the_wall(lifecycle::clock::time_point when) noexcept;

    const std::shared_ptr<loop_records> to_;
    const std::shared_ptr<const span_settings> settings_;
    random_ids ids_;
    std::uint64_t since_wake_ = 0;
    lifecycle::clock::time_point look_again_{};  ///< at the difference of the clocks
    std::chrono::nanoseconds difference_{};
    std::string room_;  ///< for texts that are no UTF-8
    std::string host_;  ///< that `host_bytes_` are of
    std::array<char, longest_text + 96> host_bytes_{};
    std::size_t host_size_ = 0;
    struct known_peer {
        server::socket_address peer;
        std::array<char, 192> bytes;
        std::size_t size = 0;
    };
    static constexpr std::size_t most_peers = 256;
    std::vector<known_peer> peers_ = std::vector<known_peer>(most_peers);  ///< by the last bits of the port
};

}  // namespace telemetry
