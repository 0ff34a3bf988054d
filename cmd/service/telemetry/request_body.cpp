#include "cmd/service/telemetry/request_body.hpp"

#include <zlib.h>

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <new>
#include <optional>

#include "cmd/service/build_info.hpp"
#include "cmd/service/telemetry/wire.hpp"
#include "configs/config.hpp"
#include "configs/program.hpp"

namespace telemetry {
namespace {

constexpr std::string_view schema = "https://opentelemetry.io/schemas/1.44.0";

/// Reads one message, field by field. Anything that is not a field ends it.
class wire_reader {
public:
    explicit wire_reader(std::string_view bytes) : left_(bytes) {}

    struct field {
        std::uint64_t number = 0, value = 0;
        std::string_view bytes = {};
    };
    std::optional<field> next() {
        const auto key = varint();
        if (!key) return std::nullopt;
        field made{.number = *key >> 3, .bytes = {}};
        switch (*key & 7) {
            case 0: {
                const auto value = varint();
                if (!value) return std::nullopt;
                made.value = *value;
                return made;
            }
            case 1: return fixed(made, 8);
            case 2: {
                const auto length = varint();
                if (!length) return std::nullopt;
                return fixed(made, *length);
            }
            case 5: return fixed(made, 4);
            default: return std::nullopt;
        }
    }

private:
    std::optional<field> fixed(field made, std::uint64_t length) {
        if (length > left_.size()) return std::nullopt;
        made.bytes = left_.substr(0, length);
        left_.remove_prefix(length);
        return made;
    }
    std::optional<std::uint64_t> varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64 && !left_.empty(); shift += 7) {
            const auto byte = static_cast<unsigned char>(left_.front());
            left_.remove_prefix(1);
            value |= std::uint64_t{byte & 0x7FU} << shift;
            if (byte < 0x80) return value;
        }
        return std::nullopt;
    }

    std::string_view left_;
};

void put_varint(std::string& to, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) to += static_cast<char>(value | 0x80);
    to += static_cast<char>(value);
}

void put_key(std::string& to, unsigned field, std::size_t length) {
    put_varint(to, field << 3 | 2);
    put_varint(to, length);
}

}  // namespace

batch batch::split() {
    batch other;
    if (size() < 2) return other;
    const auto half = size() / 2;
    const auto from = ends[half - 1];
    other.bytes = bytes.substr(from);
    for (auto nth = half; nth < size(); ++nth) other.ends.push_back(ends[nth] - from);
    bytes.resize(from);
    ends.resize(half);
    return other;
}

envelope::envelope(const fields& resource) {
    std::size_t room = 64;
    for (const auto& [name, value] : resource) room += name.size() + value.size() + 64;
    resource_.resize(room);
    wire_writer to(resource_.data(), resource_.data() + room);
    const auto opened = to.open(1);
    for (const auto& [name, value] : resource) attributes(to, 1).text(name, value);
    to.close(opened);
    resource_.resize(to.size());

    const auto version = build_info::version();
    scope_.resize(configs::this_program().name.size() + version.size() + 64);
    wire_writer scope(scope_.data(), scope_.data() + scope_.size());
    const auto begun = scope.open(1);
    scope.bytes(1, configs::this_program().name);
    scope.bytes(2, version);
    scope.close(begun);
    scope_.resize(scope.size());

    put_key(tail_, 3, schema.size());
    tail_ += schema;
}

body_pieces envelope::around(std::string_view records, std::string& head) const {
    const auto of_scope = scope_.size() + records.size();
    const auto whole = resource_.size() + 1 + wire_writer::size_of_varint(of_scope) + of_scope + tail_.size();
    head.clear();
    put_key(head, 1, whole);
    head += resource_;
    put_key(head, 2, of_scope);
    head += scope_;
    return {head, records, tail_};
}

std::string gzipped(const body_pieces& body) {
    constexpr int gzip_format = 15 + 16;
    constexpr int memory = 8;
    z_stream stream{};
    if (::deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, gzip_format, memory, Z_DEFAULT_STRATEGY) != Z_OK)
        throw std::bad_alloc();
    std::string made;
    try {
        std::size_t size = 0;
        for (const auto piece : body) size += piece.size();
        made.resize(::deflateBound(&stream, size));
    } catch (...) {
        ::deflateEnd(&stream);
        throw;
    }
    stream.next_out = reinterpret_cast<Bytef*>(made.data());
    stream.avail_out = static_cast<uInt>(made.size());
    int said = Z_OK;
    for (const auto& piece : body) {
        stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));  // zlib does not write there
        stream.avail_in = static_cast<uInt>(piece.size());
        said = ::deflate(&stream, &piece == &body.back() ? Z_FINISH : Z_NO_FLUSH);
    }
    assert(said == Z_STREAM_END);  // it has found its room
    made.resize(stream.total_out);
    ::deflateEnd(&stream);
    return made;
}

partial_success read_partial_success(std::string_view bytes) {
    partial_success made;
    wire_reader answer(bytes);
    while (const auto outer = answer.next()) {
        if (outer->number != 1) continue;
        wire_reader partial(outer->bytes);
        while (const auto field = partial.next()) {
            if (field->number == 1) made.rejected = field->value;
            if (field->number == 2) made.message = std::string(field->bytes);
        }
    }
    if (made.rejected > INT64_MAX) made.rejected = 0;  // it is an int64
    return made;
}

}  // namespace telemetry
