#include "tests/telemetry/decode.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <set>
#include <stdexcept>

#include "tracker/utf8.hpp"

namespace otlp {
namespace {

void require(bool holds, std::string_view what) {
    if (!holds) throw std::runtime_error("no OTLP: " + std::string(what));
}

struct field {
    unsigned number = 0, type = 0;
    std::uint64_t value = 0;
    std::string_view bytes;
};

class message {
public:
    /// `many`: fields that may come more than once.
    message(std::string_view bytes, std::set<unsigned> many) : left_(bytes), many_(std::move(many)) {}

    void for_each(const std::function<void(const field&)>& see) {
        while (!left_.empty()) {
            field one;
            const auto key = varint();
            one.number = static_cast<unsigned>(key >> 3);
            one.type = key & 7;
            require(one.number > 0, "field 0");
            require(seen_.insert(one.number).second || many_.contains(one.number),
                    fmt::format("field {} twice", one.number));
            if (one.type == 0)
                one.value = varint();
            else if (one.type == 1)
                one.value = fixed(8);
            else if (one.type == 5)
                one.value = fixed(4);
            else if (one.type == 2)
                one.bytes = take(varint());
            else
                require(false, "a wire type");
            see(one);
        }
    }

private:
    std::string_view take(std::uint64_t size) {
        require(size <= left_.size(), "a length beyond the end");
        const auto made = left_.substr(0, size);
        left_.remove_prefix(size);
        return made;
    }
    std::uint64_t fixed(std::size_t size) {
        std::uint64_t value = 0;
        std::memcpy(&value, take(size).data(), size);
        return value;
    }
    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0;; shift += 7) {
            require(shift < 64, "a varint of more than 64 bits");
            const auto byte = static_cast<unsigned char>(take(1).front());
            value |= std::uint64_t{byte & 0x7FU} << shift;
            require(byte != 0 || shift == 0, "a varint that is not the shortest");
            if (byte < 0x80) return value;
        }
    }

    std::string_view left_;
    std::set<unsigned> many_, seen_;
};

void expect(const field& one, unsigned type) {
    require(one.type == type, fmt::format("field {} as wire type {}", one.number, one.type));
}
std::string text(const field& one) {
    expect(one, 2);
    require(tracker::is_utf8(one.bytes), "a text that is no UTF-8");
    return std::string(one.bytes);
}
std::string id(const field& one, std::size_t size) {
    expect(one, 2);
    require(one.bytes.size() == size, "an id of the wrong size");
    require(std::ranges::any_of(one.bytes, [](char c) { return c != 0; }), "an id that is all 0");
    std::string made;
    for (const char c : one.bytes) made += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return made;
}
std::uint64_t number(const field& one, unsigned type) {
    expect(one, type);
    return one.value;
}
[[noreturn]] void unknown(const field& one, std::string_view of) {
    throw std::runtime_error(fmt::format("no OTLP: {} has no field {}", of, one.number));
}

std::string any_value(std::string_view bytes) {
    std::string made;
    int values = 0;
    message(bytes, {}).for_each([&](const field& one) {
        ++values;
        switch (one.number) {
            case 1: made = text(one); break;
            case 2: made = number(one, 0) != 0 ? "true" : "false"; break;
            case 3: made = std::to_string(static_cast<std::int64_t>(number(one, 0))); break;
            case 4: made = fmt::format("{}", std::bit_cast<double>(number(one, 1))); break;
            default: unknown(one, "AnyValue");
        }
    });
    require(values == 1, "a value that is none, or two");
    return made;
}

void add_attribute(attributes& to, const field& one) {
    expect(one, 2);
    std::string key, value;
    bool has_value = false;
    message(one.bytes, {}).for_each([&](const field& part) {
        if (part.number == 1) {
            key = text(part);
        } else if (part.number == 2) {
            expect(part, 2);
            value = any_value(part.bytes);
            has_value = true;
        } else {
            unknown(part, "KeyValue");
        }
    });
    require(!key.empty() && has_value, "an attribute without name or value");
    require(to.emplace(key, value).second, "attribute " + key + " twice");
}

span read_span(std::string_view bytes) {
    span made;
    message(bytes, {9}).for_each([&](const field& one) {
        switch (one.number) {
            case 1: made.trace = id(one, 16); break;
            case 2: made.id = id(one, 8); break;
            case 3: made.state = text(one); break;
            case 4: made.parent = id(one, 8); break;
            case 5: made.name = text(one); break;
            case 6: made.kind = number(one, 0); break;
            case 7: made.start = number(one, 1); break;
            case 8: made.end = number(one, 1); break;
            case 9: add_attribute(made.values, one); break;
            case 15:
                expect(one, 2);
                message(one.bytes, {}).for_each([&](const field& part) {
                    if (part.number == 2)
                        made.message = text(part);
                    else if (part.number == 3)
                        made.status = number(part, 0);
                    else
                        unknown(part, "Status");
                });
                break;
            case 16: made.flags = number(one, 5); break;
            default: unknown(one, "Span");
        }
    });
    require(!made.trace.empty() && !made.id.empty() && !made.name.empty(), "a span without ids or name");
    require(made.kind >= 1 && made.kind <= 5 && made.status <= 2, "an enum");
    require(made.start <= made.end && made.start > 1'000'000'000'000'000'000, "times that are no nanoseconds of today");
    return made;
}

log_record read_log(std::string_view bytes) {
    log_record made;
    message(bytes, {6}).for_each([&](const field& one) {
        switch (one.number) {
            case 1: made.time = number(one, 1); break;
            case 2: made.severity = number(one, 0); break;
            case 3: made.severity_text = text(one); break;
            case 5:
                expect(one, 2);
                made.body = any_value(one.bytes);
                break;
            case 6: add_attribute(made.values, one); break;
            case 9: made.trace = id(one, 16); break;
            case 10: made.span = id(one, 8); break;
            case 11: number(one, 1); break;
            case 12: made.event = text(one); break;
            default: unknown(one, "LogRecord");
        }
    });
    require(made.severity >= 1 && made.severity <= 24, "a severity");
    return made;
}

template <class Number>
std::vector<Number> packed(const field& one) {
    expect(one, 2);
    require(one.bytes.size() % sizeof(Number) == 0, "a packed field");
    std::vector<Number> made(one.bytes.size() / sizeof(Number));
    if (!made.empty()) std::memcpy(made.data(), one.bytes.data(), one.bytes.size());
    return made;
}

point read_point(std::string_view bytes, bool histogram) {
    point made;
    message(bytes, {histogram ? 9U : 7U}).for_each([&](const field& one) {
        if (one.number == (histogram ? 9U : 7U)) return add_attribute(made.values, one);
        switch (one.number) {
            case 2: made.start = number(one, 1); return;
            case 3: made.time = number(one, 1); return;
            case 4:
                if (histogram)
                    made.count = number(one, 1);
                else
                    made.value = std::bit_cast<double>(number(one, 1));
                return;
            case 5:
                require(histogram, "a sum");
                made.sum = std::bit_cast<double>(number(one, 1));
                return;
            case 6:
                if (histogram)
                    made.counts = packed<std::uint64_t>(one);
                else
                    made.value = static_cast<double>(static_cast<std::int64_t>(number(one, 1)));
                return;
            case 7: made.bounds = packed<double>(one); return;
            default: unknown(one, "a data point");
        }
    });
    if (!histogram) return made;
    std::uint64_t sum = 0;
    for (const auto count : made.counts) sum += count;
    require(sum == made.count, "counts of a histogram that do not add up");
    require(made.counts.size() == made.bounds.size() + 1, "buckets of a histogram");
    require(std::ranges::is_sorted(made.bounds), "bounds that do not rise");
    return made;
}

metric read_metric(std::string_view bytes) {
    metric made;
    message(bytes, {}).for_each([&](const field& one) {
        switch (one.number) {
            case 1: made.name = text(one); return;
            case 2: made.description = text(one); return;
            case 3: made.unit = text(one); return;
            case 5: made.type = "gauge"; break;
            case 7: made.type = "sum"; break;
            case 9: made.type = "histogram"; break;
            default: unknown(one, "Metric");
        }
        expect(one, 2);
        message(one.bytes, {1}).for_each([&](const field& part) {
            if (part.number == 1) {
                expect(part, 2);
                made.points.push_back(read_point(part.bytes, made.type == "histogram"));
            } else if (part.number == 2 && made.type != "gauge") {
                made.temporality = number(part, 0);
            } else if (part.number == 3 && made.type == "sum") {
                made.monotonic = number(part, 0) != 0;
            } else {
                unknown(part, made.type);
            }
        });
    });
    require(!made.name.empty() && !made.points.empty(), "a metric without name or points");
    return made;
}

/// ResourceSpans and its like: resource 1, scopes 2, schema 3.
request read(std::string_view bytes, const std::function<void(request&, std::string_view)>& record) {
    request made;
    message(bytes, {}).for_each([&](const field& resources) {
        if (resources.number != 1) unknown(resources, "the request");
        expect(resources, 2);
        message(resources.bytes, {}).for_each([&](const field& part) {
            expect(part, 2);
            if (part.number == 1) {
                message(part.bytes, {1}).for_each([&](const field& one) { add_attribute(made.resource, one); });
            } else if (part.number == 2) {
                message(part.bytes, {2}).for_each([&](const field& one) {
                    expect(one, 2);
                    if (one.number == 1)
                        message(one.bytes, {}).for_each([&](const field& of) { made.scope += text(of); });
                    else if (one.number == 2)
                        record(made, one.bytes);
                    else
                        unknown(one, "a scope");
                });
            } else if (part.number == 3) {
                text(part);
            } else {
                unknown(part, "a resource");
            }
        });
    });
    require(!made.resource["service.name"].empty(), "a resource without service.name");
    return made;
}

}  // namespace

request read_traces(std::string_view bytes) {
    return read(bytes, [](request& to, std::string_view one) { to.spans.push_back(read_span(one)); });
}
request read_metrics(std::string_view bytes) {
    return read(bytes, [](request& to, std::string_view one) { to.metrics.push_back(read_metric(one)); });
}
request read_logs(std::string_view bytes) {
    return read(bytes, [](request& to, std::string_view one) { to.logs.push_back(read_log(one)); });
}

std::string gunzipped(std::string_view bytes) {
    z_stream stream{};
    require(::inflateInit2(&stream, 15 + 16) == Z_OK, "gzip");
    std::string made(1'100 * bytes.size() + 4'096, '\0');  // no more comes out of deflate
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(made.data());
    stream.avail_out = static_cast<uInt>(made.size());
    const int result = ::inflate(&stream, Z_FINISH);
    made.resize(stream.total_out);
    const bool whole = result == Z_STREAM_END && stream.avail_in == 0;
    ::inflateEnd(&stream);
    require(whole, "gzip that does not end with the body");
    return made;
}

}  // namespace otlp
