#pragma once

#include <chrono>
#include <string>

#include "tracker/sink.hpp"

namespace tracker {

/// One JSON object a line to a descriptor that is not ours: a pipe, a terminal, a file.
///
/// The reader of a pipe may be slow, or gone. A try waits a moment for room and then fails; the next
/// try of the same batch goes on at the byte where the last one ended, and any other batch first
/// finishes the line that was begun, so no line is garbled. SIGPIPE must be ignored (main does).
class stdout_sink final : public sink {
public:
    /// `patience` is how long a try waits for a reader that takes nothing; one that takes little by
    /// little gets four times as long, since a stop must not wait for it either.
    explicit stdout_sink(int descriptor, std::chrono::milliseconds patience = std::chrono::milliseconds(250));

    void deliver(std::span<const event> batch) override;
    std::string_view name() const noexcept override { return "stdout"; }

private:
    bool wait_for_room() const;

    const int descriptor_;
    const std::chrono::milliseconds patience_;
    const std::size_t chunk_;  ///< what a write may take without blocking, once poll said that there is room

    std::string batch_;     ///< the batch of the last try, empty when it went out whole
    std::string unsent_;    ///< what goes out now: `batch_`, after the end of a line begun earlier
    std::size_t sent_ = 0;  ///< of `unsent_`
};

}  // namespace tracker
