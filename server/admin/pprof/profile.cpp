#include "server/admin/pprof/profile.hpp"

namespace server::pprof {
namespace {

// protobuf.dev/programming-guides/encoding: a field is its number and wire type, then a varint or a length and bytes.

void append_varint(std::string& to, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) to += static_cast<char>(value | 0x80);
    to += static_cast<char>(value);
}

void append_number(std::string& to, unsigned field, std::uint64_t value) {
    if (value == 0) return;  // the default is not written
    append_varint(to, field << 3);
    append_varint(to, value);
}

void append_bytes(std::string& to, unsigned field, std::string_view bytes) {
    append_varint(to, field << 3 | 2);
    append_varint(to, bytes.size());
    to += bytes;
}

template <class Numbers>
void append_packed(std::string& to, unsigned field, const Numbers& numbers) {
    std::string packed;
    for (const auto number : numbers) append_varint(packed, static_cast<std::uint64_t>(number));
    append_bytes(to, field, packed);
}

}  // namespace

profile::profile(std::initializer_list<kind> values, kind what, std::int64_t period) {
    text({});  // the first string is the empty one
    for (const auto& value : values) append_bytes(fields_, 1, value_type(value));
    append_bytes(fields_, 11, value_type(what));
    append_number(fields_, 12, static_cast<std::uint64_t>(period));
}

std::uint64_t profile::text(std::string_view of) {
    const auto [at, is_new] = texts_.try_emplace(std::string(of), texts_.size());
    if (is_new) text_order_.push_back(at->first);
    return at->second;
}

std::string profile::value_type(kind kind) {
    std::string message;
    append_number(message, 1, text(kind.type));
    append_number(message, 2, text(kind.unit));
    return message;
}

profile::id profile::add(const mapping& mapping) {
    std::string message;
    append_number(message, 1, ++mappings_);
    append_number(message, 2, mapping.begin);
    append_number(message, 3, mapping.end);
    append_number(message, 4, mapping.offset);
    append_number(message, 5, text(mapping.file));
    append_number(message, 6, text(mapping.build_id));
    append_number(message, 7, mapping.named ? 1 : 0);
    append_bytes(fields_, 3, message);
    return mappings_;
}

profile::id profile::location(id mapping, std::uint64_t address, std::string_view function, std::string_view file,
                              std::uint64_t line) {
    std::string message;
    append_number(message, 1, ++locations_);
    append_number(message, 2, mapping);
    append_number(message, 3, address);
    if (!function.empty()) {
        const auto name = text(function), path = text(file);
        const auto [at, is_new] = functions_.try_emplace({name, path}, functions_.size() + 1);
        if (is_new) {
            std::string described;
            append_number(described, 1, at->second);
            append_number(described, 2, name);
            append_number(described, 3, name);
            append_number(described, 4, path);
            append_bytes(fields_, 5, described);
        }
        std::string at_line;
        append_number(at_line, 1, at->second);
        append_number(at_line, 2, line);
        append_bytes(message, 4, at_line);
    }
    append_bytes(fields_, 4, message);
    return locations_;
}

void profile::sample(std::span<const id> stack, std::initializer_list<std::int64_t> values,
                     std::span<const label> labels) {
    std::string message;
    append_packed(message, 1, stack);
    append_packed(message, 2, values);
    for (const auto& [key, value] : labels) {
        std::string labelled;
        append_number(labelled, 1, text(key));
        append_number(labelled, 2, text(value));
        append_bytes(message, 3, labelled);
    }
    append_bytes(fields_, 2, message);
}

void profile::comment(std::string_view of) {
    append_varint(fields_, 13 << 3);
    append_varint(fields_, text(of));
}

void profile::show_first(std::string_view type) { append_number(fields_, 14, text(type)); }

void profile::lasted(std::chrono::nanoseconds duration) { duration_ = duration; }

std::string profile::encode() const {
    auto all = fields_;
    for (const auto index : text_order_) append_bytes(all, 6, index);
    const auto began = std::chrono::system_clock::now().time_since_epoch() - duration_;
    append_number(all, 9, static_cast<std::uint64_t>(std::chrono::nanoseconds(began).count()));
    append_number(all, 10, static_cast<std::uint64_t>(duration_.count()));
    return all;
}

}  // namespace server::pprof
