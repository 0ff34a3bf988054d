#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>

#include "lifecycle/lines.hpp"

/// How a line of the log looks. Safe from any thread.
class log_format {
public:
    struct style {
        bool json = false;
        /// The reader is the journal of systemd: a line begins with its priority, `<4>` (sd-daemon(3)), and has no
        /// time, since the journal has both.
        bool journal = false;
    };
    explicit log_format(style how) : how_(how) {}

    bool json() const noexcept { return how_.json; }

    /// Appends a line and its end. What `text` and the facts have of control characters and broken UTF-8 is escaped: it
    /// came from outside and must not look like a line of ours, nor move a terminal's cursor. As JSON each fact is a
    /// field; as text they are in the sentence already. Allocates for `out` alone.
    void append(std::string& out, std::chrono::system_clock::time_point time, std::string_view level,
                std::string_view text, lifecycle::log_facts facts = {}) const;

private:
    style how_;
};

/// Whether `descriptor` is a stream that systemd has connected to the journal: JOURNAL_STREAM is "device:inode" of it
/// (systemd.exec(5)). It is inherited by programs whose descriptors lead elsewhere, so both must fit.
bool leads_to_journal(int descriptor, const char* journal_stream) noexcept;
