#pragma once

#include <string>
#include <string_view>

#include "cmd/service/telemetry/request_body.hpp"

namespace telemetry {

/// A body as it arrives.
inline std::string joined(const body_pieces& body) {
    std::string all;
    for (const auto piece : body) all += piece;
    return all;
}

inline std::string joined(const envelope& around, std::string_view records) {
    std::string head;
    return joined(around.around(records, head));
}

}  // namespace telemetry
