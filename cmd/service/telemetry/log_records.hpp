#pragma once

#include <spdlog/sinks/sink.h>

#include <memory>
#include <string>
#include <string_view>

#include "cmd/service/telemetry/record_ring.hpp"

namespace telemetry {

/// Takes the lines of a log as log records, with their facts as attributes: those of a level and above. Any thread;
/// never blocks except for other writers, which copy no more than a line.
class log_records final : public spdlog::sinks::sink {
public:
    log_records(spdlog::level::level_enum least, std::size_t capacity) : lines_(capacity) { set_level(least); }

    void log(const spdlog::details::log_msg& message) override;
    void flush() override {}
    void set_pattern(const std::string&) override {}
    void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

    /// The report of a stop, a JSON object, as the body of an event of that name.
    void add_report(std::string_view json, bool failed) noexcept;

    record_ring& ring() noexcept { return lines_.ring(); }
    const record_ring& ring() const noexcept { return lines_.ring(); }

private:
    shared_ring lines_;
};

}  // namespace telemetry
