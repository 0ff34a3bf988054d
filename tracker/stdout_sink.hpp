#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "lifecycle/line_writer.hpp"
#include "tracker/sink.hpp"

namespace tracker {

/// One JSON object a line to a descriptor that is not ours: a pipe, a terminal, a socket, a file.
///
/// The reader of a pipe may be slow, or gone. A try waits a moment for room and then fails; the next try of the same
/// batch goes on with the line where the last one ended. Lines stay whole whatever else writes through the same
/// `line_writer`: what it has begun it ends first. An event has been delivered when it is in the kernel, not before.
class stdout_sink final : public sink {
public:
    /// `patience` is how long a try waits for a reader that takes nothing; one that takes little by
    /// little gets four times as long, and neither more than is left until `deadline`, for which a stop waits.
    explicit stdout_sink(std::shared_ptr<lifecycle::line_writer> to,
                         std::chrono::milliseconds patience = std::chrono::milliseconds(250),
                         deadline_function deadline = {});

    void deliver(std::span<const event> batch) override;
    std::string_view name() const noexcept override { return "stdout"; }

private:
    const std::shared_ptr<lifecycle::line_writer> to_;
    const std::chrono::milliseconds patience_;
    const deadline_function deadline_;

    std::string batch_;        ///< of the last try, empty when it went out whole
    std::size_t given_ = 0;    ///< of it, to the writer
    std::uint64_t until_ = 0;  ///< the writer has written that when what was given is out
};

}  // namespace tracker
