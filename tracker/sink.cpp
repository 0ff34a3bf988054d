#include "tracker/sink.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <stdexcept>

#include "tracker/file_sink.hpp"
#include "tracker/stdout_sink.hpp"

namespace tracker {
namespace {

class none_sink final : public sink {
public:
    void deliver(std::span<const event>) override {}
    std::string_view name() const noexcept override { return "none"; }
};

}  // namespace

std::unique_ptr<sink> make_sink(const options& options, spdlog::logger& log) {
    if (options.sink == "file") return std::make_unique<file_sink>(options.directory, options.durability, log);
    if (options.sink == "stdout") return std::make_unique<stdout_sink>(STDOUT_FILENO);
    if (options.sink == "none") return std::make_unique<none_sink>();
    throw std::runtime_error(
        fmt::format("tracker.sink: there is no sink '{}'; use file, stdout or none", options.sink));
}

}  // namespace tracker
