#include "tracker/sink.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <ranges>
#include <stdexcept>
#include <utility>

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

sink_makers own_sinks(std::shared_ptr<lifecycle::line_writer> output) {
    const auto file = [](const options& from, spdlog::logger& log, const auto&) {
        return std::make_unique<file_sink>(from, log);
    };
    const auto standard = [output = std::move(output)](const auto&, const auto&, const auto& deadline) {
        auto to = output ? output : std::make_shared<lifecycle::line_writer>(STDOUT_FILENO);
        return std::make_unique<stdout_sink>(std::move(to), std::chrono::milliseconds(250), deadline);
    };
    const auto none = [](const auto&, const auto&, const auto&) { return std::make_unique<none_sink>(); };
    return {{"file", file}, {"stdout", standard}, {"none", none}};
}

void require_known(const options& options, const sink_makers& known) {
    for (const auto& name : options.sinks)
        if (!known.contains(name))
            throw std::runtime_error(fmt::format("tracker.sink: this program has no sink '{}'; it has {}", name,
                                                 fmt::join(std::views::keys(known), ", ")));
}

sinks make_sinks(const options& options, spdlog::logger& log, const deadline_function& deadline,
                 const sink_makers& known) {
    require_known(options, known);
    sinks made;
    made.reserve(options.sinks.size());
    for (const auto& name : options.sinks) made.push_back(known.find(name)->second(options, log, deadline));
    return made;
}

}  // namespace tracker
