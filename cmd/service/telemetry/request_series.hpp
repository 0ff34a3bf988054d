#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/exchange.hpp"
#include "server/metrics.hpp"

namespace telemetry {

/// Of what requests are alike: all that is in the name of a server span and in attributes of few values. Texts live
/// for ever, or as long as the router.
struct request_kind {
    const server::route* to = nullptr;  ///< nullptr: no route
    server::http::verb method{};
    unsigned status = 0;
    unsigned version = 11;
    bool secure = false;
    /// Low cardinality; empty: none but a status of 5xx.
    enum class fault : std::uint8_t { none, client_gone, shutdown } failed = fault::none;

    static request_kind of(const server::answer_row& row) noexcept;
    bool operator==(const request_kind&) const = default;

    std::string_view route() const noexcept;        ///< "/users/{id}"; empty: none
    std::string_view method_name() const noexcept;  ///< "GET"; "_OTHER" when it is not known
    std::string_view protocol_version() const noexcept;
    std::string_view scheme() const noexcept { return secure ? "https" : "http"; }
    std::string_view error_type(std::array<char, 3>& room) const noexcept;  ///< empty: none
};

/// What is the same in each span of a kind: name, kind, attributes, status. How many bytes; 0: they find no room.
std::size_t write_alike(const request_kind& kind, char* begin, std::size_t size) noexcept;

/// How long the requests of one loop took, by kind: http.server.request.duration. The first kinds that come have a
/// series, the others share one, as the specification has it for what overflows (metrics/sdk.md, "Overflow attribute").
///
/// The loop observes, any thread reads. What is made of a kind when it comes first stays for its spans: no allocation
/// then.
class request_series {
public:
    static constexpr std::size_t most = 512;
    /// Those of the stable conventions, and no others.
    static constexpr std::array<double, 14> bounds{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25,
                                                   0.5,   0.75, 1,     2.5,  5,     7.5, 10};
    static constexpr std::size_t largest_template = 640;

    struct values {
        std::array<std::uint64_t, bounds.size() + 1> counts{};
        double sum = 0;
    };
    struct series {
        request_kind kind;  ///< as it is from the first
        bool overflow = false;
        std::array<server::counter, bounds.size() + 1> counts;
        server::counter nanoseconds;
        std::array<char, largest_template> alike;  ///< of its spans: name, kind, attributes, status
        std::size_t alike_size = 0;

        void observe(std::chrono::nanoseconds took) noexcept;
        void add_to(values& all) const noexcept;
    };

    request_series();
    /// Only on the loop's thread.
    series& of(const request_kind& kind) noexcept;

    /// Any thread.
    template <class See>
    void for_each(const See& see) const {
        for (std::size_t nth = 0, end = used_.load(std::memory_order_acquire); nth < end; ++nth) see(all_[nth]);
    }

private:
    static std::size_t hash(const request_kind& kind) noexcept;

    std::array<std::uint16_t, 2 * most> slots_{};  ///< 1 + the place in `all_`; 0: free
    std::unique_ptr<series[]> all_;                ///< of which the last is for what overflows
    std::atomic<std::size_t> used_{0};
};

}  // namespace telemetry
