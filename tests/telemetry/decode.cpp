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
            field field;
            const auto key = varint();
            field.number = static_cast<unsigned>(key >> 3);
            field.type = key & 7;
            require(field.number > 0, "field 0");
            require(seen_.insert(field.number).second || many_.contains(field.number),
                    fmt::format("field {} twice", field.number));
            if (field.type == 0)
                field.value = varint();
            else if (field.type == 1)
                field.value = fixed(8);
            else if (field.type == 5)
                field.value = fixed(4);
            else if (field.type == 2)
                field.bytes = take(varint());
            else
                require(false, "a wire type");
            see(field);
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

void expect(const field& field, unsigned type) {
    require(field.type == type, fmt::format("field {} as wire type {}", field.number, field.type));
}
std::string text(const field& field) {
    expect(field, 2);
    require(tracker::is_utf8(field.bytes), "a text that is no UTF-8");
    return std::string(field.bytes);
}
std::string id(const field& field, std::size_t size) {
    expect(field, 2);
    require(field.bytes.size() == size, "an id of the wrong size");
    require(std::ranges::any_of(field.bytes, [](char c) { return c != 0; }), "an id that is all 0");
    std::string made;
    for (const char c : field.bytes) made += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return made;
}
std::uint64_t number(const field& field, unsigned type) {
    expect(field, type);
    return field.value;
}
[[noreturn]] void unknown(const field& field, std::string_view of) {
    throw std::runtime_error(fmt::format("no OTLP: {} has no field {}", of, field.number));
}

std::string any_value(std::string_view bytes) {
    std::string made;
    int values = 0;
    message(bytes, {}).for_each([&](const field& inner) {
        ++values;
        switch (inner.number) {
            case 1: made = text(inner); break;
            case 2: made = number(inner, 0) != 0 ? "true" : "false"; break;
            case 3: made = std::to_string(static_cast<std::int64_t>(number(inner, 0))); break;
            case 4: made = fmt::format("{}", std::bit_cast<double>(number(inner, 1))); break;
            default: unknown(inner, "AnyValue");
        }
    });
    require(values == 1, "a value that is none, or two");
    return made;
}

void add_attribute(attributes& to, const field& from) {
    expect(from, 2);
    std::string key, value;
    bool has_value = false;
    message(from.bytes, {}).for_each([&](const field& part) {
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
    message(bytes, {9}).for_each([&](const field& inner) {
        switch (inner.number) {
            case 1: made.trace = id(inner, 16); break;
            case 2: made.id = id(inner, 8); break;
            case 3: made.state = text(inner); break;
            case 4: made.parent = id(inner, 8); break;
            case 5: made.name = text(inner); break;
            case 6: made.kind = number(inner, 0); break;
            case 7: made.start = number(inner, 1); break;
            case 8: made.end = number(inner, 1); break;
            case 9: add_attribute(made.values, inner); break;
            case 15:
                expect(inner, 2);
                message(inner.bytes, {}).for_each([&](const field& part) {
                    if (part.number == 2)
                        made.message = text(part);
                    else if (part.number == 3)
                        made.status = number(part, 0);
                    else
                        unknown(part, "Status");
                });
                break;
            case 16: made.flags = number(inner, 5); break;
            default: unknown(inner, "Span");
        }
    });
    require(!made.trace.empty() && !made.id.empty() && !made.name.empty(), "a span without ids or name");
    require(made.kind >= 1 && made.kind <= 5 && made.status <= 2, "an enum");
    require(made.start <= made.end && made.start > 1'000'000'000'000'000'000, "times that are no nanoseconds of today");
    return made;
}

log_record read_log(std::string_view bytes) {
    log_record made;
    message(bytes, {6}).for_each([&](const field& field) {
        switch (field.number) {
            case 1: made.time = number(field, 1); break;
            case 2: made.severity = number(field, 0); break;
            case 3: made.severity_text = text(field); break;
            case 5:
                expect(field, 2);
                made.body = any_value(field.bytes);
                break;
            case 6: add_attribute(made.values, field); break;
            case 9: made.trace = id(field, 16); break;
            case 10: made.span = id(field, 8); break;
            case 11: number(field, 1); break;
            case 12: made.event = text(field); break;
            default: unknown(field, "LogRecord");
        }
    });
    require(made.severity >= 1 && made.severity <= 24, "a severity");
    return made;
}

template <class Number>
std::vector<Number> packed(const field& field) {
    expect(field, 2);
    require(field.bytes.size() % sizeof(Number) == 0, "a packed field");
    std::vector<Number> made(field.bytes.size() / sizeof(Number));
    if (!made.empty()) std::memcpy(made.data(), field.bytes.data(), field.bytes.size());
    return made;
}

point read_point(std::string_view bytes, bool histogram) {
    point made;
    message(bytes, {histogram ? 9U : 7U}).for_each([&](const field& field) {
        if (field.number == (histogram ? 9U : 7U)) return add_attribute(made.values, field);
        switch (field.number) {
            case 2: made.start = number(field, 1); return;
            case 3: made.time = number(field, 1); return;
            case 4:
                if (histogram)
                    made.count = number(field, 1);
                else
                    made.value = std::bit_cast<double>(number(field, 1));
                return;
            case 5:
                require(histogram, "a sum");
                made.sum = std::bit_cast<double>(number(field, 1));
                return;
            case 6:
                if (histogram) {
                    made.counts = packed<std::uint64_t>(field);
                } else {
                    made.whole = static_cast<std::int64_t>(number(field, 1));
                    made.value = static_cast<double>(made.whole);
                }
                return;
            case 7: made.bounds = packed<double>(field); return;
            default: unknown(field, "a data point");
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
    message(bytes, {}).for_each([&](const field& inner) {
        switch (inner.number) {
            case 1: made.name = text(inner); return;
            case 2: made.description = text(inner); return;
            case 3: made.unit = text(inner); return;
            case 5: made.type = "gauge"; break;
            case 7: made.type = "sum"; break;
            case 9: made.type = "histogram"; break;
            default: unknown(inner, "Metric");
        }
        expect(inner, 2);
        message(inner.bytes, {1}).for_each([&](const field& part) {
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
                message(part.bytes, {1}).for_each([&](const field& field) { add_attribute(made.resource, field); });
            } else if (part.number == 2) {
                message(part.bytes, {2}).for_each([&](const field& inner) {
                    expect(inner, 2);
                    if (inner.number == 1)
                        message(inner.bytes, {}).for_each([&](const field& of) { made.scope += text(of); });
                    else if (inner.number == 2)
                        record(made, inner.bytes);
                    else
                        unknown(inner, "a scope");
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
    return read(bytes, [](request& to, std::string_view text) { to.spans.push_back(read_span(text)); });
}
request read_metrics(std::string_view bytes) {
    return read(bytes, [](request& to, std::string_view text) { to.metrics.push_back(read_metric(text)); });
}
request read_logs(std::string_view bytes) {
    return read(bytes, [](request& to, std::string_view text) { to.logs.push_back(read_log(text)); });
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
