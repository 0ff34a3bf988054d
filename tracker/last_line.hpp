#pragma once

#include <sys/types.h>

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
/// Throws std::system_error.
last_line mend_last_line(int file);

}  // namespace tracker
