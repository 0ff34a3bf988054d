#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "tracker/disk.hpp"
#include "tracker/event.hpp"
#include "tracker/spool/record.hpp"

namespace tracker {

/// Told how far the reading of files is; can end it.
class reading_watch {
public:
    virtual ~reading_watch() = default;
    /// This many bytes are to be read.
    virtual void expects(std::uint64_t bytes) = 0;
    /// This many have been; true: that is enough.
    virtual bool has_read(std::uint64_t bytes) = 0;
};

/// Reads the records of a segment, front to back. On one thread. Nothing in an event can pass for a record: a head
/// counts only if its check is right, which nobody can foresee, and a head that counts says how long its record is,
/// whatever is in it. A segment of the first version has no such check, so nothing is believed there from the first
/// damaged byte on.
class record_reader {
public:
    /// From the byte `from` to the byte `to` of an open file. `key`: null for one of the first version. All must
    /// outlive it.
    record_reader(disk& files, int file, const segment_key* key, std::uint64_t from, std::uint64_t to,
                  reading_watch* watch = nullptr) noexcept
        : disk_(files), file_(file), key_(key), at_(from), end_(to), watch_(watch) {}

    /// The next record; false at the end, or where there is no whole and intact one any more, or when `stopped`.
    /// Throws std::system_error when the file cannot be read; after that another reader begins.
    bool next(event& into);
    /// The same, without returning what is in it.
    bool pass();

    /// After `next` was false: goes on to the next intact record of a higher sequence, after damaged
    /// bytes. False, and nothing has changed, when there is none: then what is left is a torn tail. The work grows
    /// with the bytes, whatever they are.
    bool skip_damage();

    std::uint64_t at() const noexcept { return at_; }              ///< the byte after the last record that was whole
    std::uint64_t sequence() const noexcept { return sequence_; }  ///< of that record
    bool stopped() const noexcept { return stopped_; }             ///< its watch has heard enough

private:
    bool may_have_headers() const noexcept { return key_ != nullptr && key_->of() == segment_key::version::third; }

    struct found {
        std::uint64_t sequence;
        std::string_view payload;
    };
    std::optional<record_head> head_here();
    std::optional<found> record_here();
    std::optional<found> first_version_here();
    void step_over(const found& record) noexcept;
    bool find_record();
    bool find_head();

    bool fill(std::size_t bytes);
    bool read_up_to(std::size_t bytes);
    void skip(std::size_t bytes) noexcept;
    std::string_view rest() const noexcept { return {block_.get() + used_, have_ - used_}; }

    disk& disk_;
    int file_;
    const segment_key* key_;
    std::uint64_t at_, end_;
    reading_watch* watch_;
    std::uint64_t sequence_ = 0;
    bool stopped_ = false;
    std::unique_ptr<char[]> block_;  ///< of the file, from `at_ - used_`
    std::size_t room_ = 0, have_ = 0, used_ = 0;
};

}  // namespace tracker
