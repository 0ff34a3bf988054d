#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

/// A strict reader of OTLP requests, by the .proto files of OTLP 1.x and not by our encoder: what they do not have, a
/// field twice, a length that is not the shortest, a text that is no UTF-8, an id of the wrong size or all 0, an
/// attribute twice, and a histogram whose numbers do not fit each other throw std::runtime_error.
namespace otlp {

using attributes = std::map<std::string, std::string>;  ///< values as text: "text", "42", "true", "0.5"

struct span {
    std::string trace, id, parent, state, name, message;  ///< ids in hexadecimal digits
    std::uint64_t kind = 0, start = 0, end = 0, status = 0, flags = 0;
    attributes values;
};

struct log_record {
    std::string severity_text, body, trace, span, event;
    std::uint64_t time = 0, severity = 0;
    attributes values;
};

struct point {
    attributes values;
    std::uint64_t start = 0, time = 0, count = 0;
    double value = 0, sum = 0;
    std::int64_t whole = 0;  ///< `value`, where it came as an integer
    std::vector<std::uint64_t> counts;
    std::vector<double> bounds;
};

struct metric {
    std::string name, description, unit, type;  ///< "gauge", "sum", "histogram"
    std::uint64_t temporality = 0;
    bool monotonic = false;
    std::vector<point> points;
};

struct request {
    attributes resource;
    std::string scope;
    std::vector<otlp::span> spans;
    std::vector<otlp::metric> metrics;
    std::vector<otlp::log_record> logs;
};

request read_traces(std::string_view bytes);
request read_metrics(std::string_view bytes);
request read_logs(std::string_view bytes);

/// Of a body with Content-Encoding gzip.
std::string gunzipped(std::string_view bytes);

}  // namespace otlp
