#pragma once

#include <sys/types.h>

#include "tracker/disk.hpp"

namespace tracker {

/// How a file of JSON objects, one a line, ended when it was looked at, and how it ends now.
struct last_line {
    off_t size = 0;  ///< of the file now
    off_t cut = 0;   ///< bytes that were no whole line, now gone
    bool lacks_end =
        false;  ///< the last object is whole and only its line end is missing: the next line begins with one
};

/// Cuts what follows the last whole line of a file that is open for reading and writing: half a line, of a write that
/// was torn or of something that has cut the file, or zeros, where a machine that lost its power had made the file
/// longer and not yet written. Reads the end of the file only. A file that is not a regular one has no last line.
///
/// Throws std::system_error, whose text begins with the name of the call.
last_line mend_last_line(int file, disk& on);

/// Cuts the file, and waits until the disk knows: else a machine that loses its power could leave the end of what was
/// cut after the beginning of what is written in its place, and both together might look like a line. False: errno says
/// why.
bool cut_back(int file, off_t size, disk& on);

}  // namespace tracker
