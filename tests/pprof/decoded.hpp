#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace server::pprof {

/// A profile as a reader sees it. Throws when the bytes are not of the format.
struct decoded {
    struct sample {
        std::vector<std::string> frames, labels;  ///< "function file:line", "key=value"
        std::vector<std::uint64_t> values;
    };

    explicit decoded(std::string_view bytes) {
        const auto all = fields_of(bytes);
        for (const auto& each : all)
            if (each.number == 6) texts.emplace_back(each.bytes);
        std::map<std::uint64_t, std::string> function_names, function_files, places;
        for (const auto& each : all) {
            if (each.number != 5) continue;
            const auto id = value(each.bytes, 1);
            function_names[id] = text(each.bytes, 2);
            function_files[id] = text(each.bytes, 4);
            ++functions;
        }
        for (const auto& each : all) {
            if (each.number != 4) continue;
            std::string line = fmt::format("{:#x}", value(each.bytes, 3));
            for (const auto& part : fields_of(each.bytes))
                if (part.number == 4)
                    line = fmt::format("{} {}:{}", function_names.at(value(part.bytes, 1)),
                                       function_files.at(value(part.bytes, 1)), value(part.bytes, 2));
            places[value(each.bytes, 1)] = line;
        }
        for (const auto& each : all) {
            if (each.number == 1) types.push_back(type_of(each.bytes));
            if (each.number == 2) samples.push_back(sample_of(each.bytes, places));
            if (each.number == 3)
                mappings.push_back(fmt::format("{}: {:x}-{:x}+{:x} {} {}{}", value(each.bytes, 1), value(each.bytes, 2),
                                               value(each.bytes, 3), value(each.bytes, 4), text(each.bytes, 5),
                                               text(each.bytes, 6), value(each.bytes, 7) == 1 ? " named" : ""));
            if (each.number == 10) duration = each.value;
            if (each.number == 11) period_type = type_of(each.bytes);
            if (each.number == 12) period = each.value;
            if (each.number == 13) comments.push_back(texts.at(each.value));
        }
    }

    std::vector<std::string> texts, types, mappings, comments;
    std::vector<sample> samples;
    std::string period_type;
    std::uint64_t period = 0, duration = 0, functions = 0;

private:
    struct field {
        std::uint64_t number = 0, value = 0;
        std::string_view bytes;
    };

    static std::uint64_t varint(std::string_view& from) {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            if (from.empty()) throw std::runtime_error("a varint is cut off");
            const auto byte = static_cast<unsigned char>(from.front());
            from.remove_prefix(1);
            value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
            if (byte < 0x80) return value;
        }
        throw std::runtime_error("a varint is too long");
    }

    static std::vector<field> fields_of(std::string_view from) {
        std::vector<field> all;
        while (!from.empty()) {
            const auto tag = varint(from);
            field field{tag >> 3, varint(from), {}};
            if ((tag & 7) == 2) {
                if (field.value > from.size()) throw std::runtime_error("a field is cut off");
                field.bytes = from.substr(0, field.value);
                from.remove_prefix(field.value);
            } else if ((tag & 7) != 0) {
                throw std::runtime_error("a wire type that the format does not use");
            }
            all.push_back(field);
        }
        return all;
    }

    static std::uint64_t value(std::string_view of, std::uint64_t number) {
        for (const auto& each : fields_of(of))
            if (each.number == number) return each.value;
        return 0;
    }
    std::string text(std::string_view of, std::uint64_t number) const { return texts.at(value(of, number)); }
    std::string type_of(std::string_view of) const { return text(of, 1) + '/' + text(of, 2); }

    sample sample_of(std::string_view of, const std::map<std::uint64_t, std::string>& places) const {
        sample made;
        for (auto each : fields_of(of)) {
            if (each.number == 3) made.labels.push_back(text(each.bytes, 1) + '=' + text(each.bytes, 2));
            while (each.number == 1 && !each.bytes.empty()) made.frames.push_back(places.at(varint(each.bytes)));
            while (each.number == 2 && !each.bytes.empty()) made.values.push_back(varint(each.bytes));
        }
        return made;
    }
};

}  // namespace server::pprof
