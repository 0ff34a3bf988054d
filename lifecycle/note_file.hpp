#pragma once

#include <sys/types.h>

#include <string>

namespace lifecycle {

/// A small file that others read: the shutdown report, `ready_file`. Whole or not at all: it is written beside its
/// name and renamed. What is no file is never replaced but written into: a device, a pipe, a link to one of them, and
/// /dev/stdout whatever that is. A pipe that nobody reads is a reason, not a wait.
///
/// On one thread at a time. Blocks on the disk: not for main's thread. Errors are values: why it could not, in one
/// line, or empty.
class note_file {
public:
    note_file() = default;
    ~note_file();
    note_file(const note_file&) = delete;
    note_file& operator=(const note_file&) = delete;

    /// Opens what will be written to, so that a full disk or a lack of descriptors is known while there is time to say
    /// so. An empty path is no file, here and in `write`; opening again is nothing new.
    std::string open(const std::string& path);

    /// What a loss of power leaves of it: anything, or (`synced`) either the last note or this one, once it has
    /// returned.
    enum class durability { none, synced };
    /// Writes `text` and a line end. Nothing when `open` has said why it cannot be.
    std::string write(const std::string& text, durability how);

    /// Takes away what `write` has put there, unless it has been replaced since: by the generation that follows.
    void remove() noexcept;

    /// Takes away what another run has left under that name; not what would be written into.
    static void remove_old(const std::string& path) noexcept;

private:
    std::string rename(durability how);
    std::string write_into(const std::string& text);

    std::string path_, temporary_;
    int descriptor_ = -1;
    bool into_ = false;  ///< no file: there is nothing to rename or to take away
    bool placed_ = false;
    dev_t device_ = 0;  ///< of what has been placed
    ino_t inode_ = 0;
};

}  // namespace lifecycle
