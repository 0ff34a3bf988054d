#include "cmd/service/telemetry/log_records.hpp"

#include <spdlog/details/log_msg.h>

#include <charconv>
#include <chrono>

#include "cmd/service/telemetry/wire.hpp"
#include "lifecycle/lines.hpp"

namespace telemetry {
namespace {

constexpr std::size_t longest_body = 8UL * 1024;

/// logs/data-model.md, "Field: SeverityNumber".
unsigned severity_of(spdlog::level::level_enum level) noexcept {
    switch (level) {
        case spdlog::level::trace: return 1;
        case spdlog::level::debug: return 5;
        case spdlog::level::info: return 9;
        case spdlog::level::warn: return 13;
        case spdlog::level::err: return 17;
        default: return 21;
    }
}

/// As `severity_of` has it.
std::string_view name_of(spdlog::level::level_enum level) noexcept {
    const auto name = spdlog::level::to_string_view(level);
    return {name.data(), name.size()};
}

std::uint64_t nanoseconds(std::chrono::system_clock::time_point when) noexcept {
    return static_cast<std::uint64_t>(std::chrono::nanoseconds(when.time_since_epoch()).count());
}

void write_body(wire_writer& to, std::string_view text) noexcept {
    const auto body = to.open(5);
    to.bytes(1, text);
    to.close(body);
}

/// Ids are not attributes. False: it is not an id.
bool write_id(wire_writer& to, const lifecycle::log_fact& fact) noexcept {
    if (fact.what != lifecycle::log_fact::kind::text) return false;
    std::array<std::uint64_t, 2> halves{};
    const auto read = [&](std::size_t count) {
        for (std::size_t nth = 0; nth < count; ++nth) {
            const auto digits = fact.text.substr(16 * nth, 16);
            std::from_chars(digits.data(), digits.data() + digits.size(), halves[nth], 16);
        }
    };
    if (fact.name == "trace_id" && fact.text.size() == 32) {
        read(2);
        to.id(9, halves[0], halves[1]);
        return true;
    }
    if (fact.name == "span_id" && fact.text.size() == 16) {
        read(1);
        to.id(10, halves[0]);
        return true;
    }
    return false;
}

void write_fact(wire_writer& to, const lifecycle::log_fact& fact, std::string& room) {
    using enum lifecycle::log_fact::kind;
    if (!fact.is_field() || write_id(to, fact)) return;
    const attributes all(to, 6);
    switch (fact.what) {
        case text:
        case json: all.text(fact.name, sound_text(fact.text, room)); break;
        case integer: all.number(fact.name, fact.integer); break;
        case count: all.number(fact.name, static_cast<std::int64_t>(fact.count)); break;
        case real: all.real(fact.name, fact.real); break;
        case truth: all.truth(fact.name, fact.integer != 0); break;
        case microseconds: all.real(fact.name, static_cast<double>(fact.count) / 1e3); break;
    }
}

}  // namespace

void log_records::log(const spdlog::details::log_msg& message) {
    if (!should_log(message.level)) return;
    lines_.add([&](char* at) -> std::size_t {
        try {
            std::string room;
            wire_writer to(at, at + record_ring::longest_record);
            const auto record = to.open(2);
            to.fixed64(1, nanoseconds(message.time));
            to.number(2, severity_of(message.level));
            to.bytes(3, name_of(message.level));
            write_body(to, sound_text({message.payload.data(), message.payload.size()}, room, longest_body));
            const auto facts = lifecycle::facts_of_this_line();
            for (const auto& fact : facts.of_request) write_fact(to, fact, room);
            for (const auto& fact : facts.own) write_fact(to, fact, room);
            to.fixed64(11, nanoseconds(message.time));
            to.close(record);
            return to.fits() ? to.size() : 0;
        } catch (...) {  // no memory
            return 0;
        }
    });
}

void log_records::add_report(std::string_view json, bool failed) noexcept {
    lines_.add([&](char* at) -> std::size_t {
        const auto now = nanoseconds(std::chrono::system_clock::now());
        wire_writer to(at, at + record_ring::longest_record);
        const auto record = to.open(2);
        to.fixed64(1, now);
        to.number(2, failed ? 17 : 9);
        to.bytes(3, failed ? "error" : "info");
        write_body(to, json);
        to.fixed64(11, now);
        to.bytes(12, "shutdown.report");
        to.close(record);
        return to.fits() ? to.size() : 0;
    });
}

}  // namespace telemetry
