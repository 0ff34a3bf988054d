#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/service/telemetry/plan.hpp"

namespace telemetry {

/// Encoded records, each preceded by its key and length, one after the other: spans, metrics or log records.
struct batch {
    static constexpr std::size_t largest = 3'500'000;  ///< bytes, below the 4 MiB that some receivers allow

    std::string bytes = {};
    std::vector<std::size_t> ends = {};  ///< of each, in `bytes`

    std::size_t size() const noexcept { return ends.size(); }
    bool empty() const noexcept { return ends.empty(); }
    /// The second half goes; of one record nothing does.
    batch split();
};

/// A body in the order in which its pieces are sent, from where they are: records are copied into no request.
using body_pieces = std::array<std::string_view, 3>;

/// What stands around the records of each request of this process: the resource, the scope and the schema. The three
/// signals have the same shape: ResourceSpans, ScopeSpans, Span and their like.
class envelope {
public:
    explicit envelope(const fields& resource);
    /// A whole ExportTraceServiceRequest, or one of the two others, which lives as long as the records, this object and
    /// `head`: that is where its first piece is written.
    body_pieces around(std::string_view records, std::string& head) const;

private:
    std::string resource_, scope_, tail_;
};

/// The same in the format gzip (RFC 1952), at the fastest level. Throws std::bad_alloc.
std::string gzipped(const body_pieces& body);

/// What a receiver says that it has not taken (ExportTraceServiceResponse and the two others are alike).
struct partial_success {
    std::uint64_t rejected = 0;
    std::string message = {};
};
/// Nothing when the bytes are not such a message: a server that answers 200 with a page has still said 200.
partial_success read_partial_success(std::string_view bytes);

}  // namespace telemetry
