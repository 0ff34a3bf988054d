#pragma once

namespace lifecycle {

/// Opens /dev/null where one of the descriptors 0 to 2 is closed. Otherwise the next file that is opened gets that
/// number, and what is written to stderr goes into it: a lock, a segment of the spool, a client's socket.
///
/// First in main, before anything else is opened. Allocates nothing, cannot fail.
void hold_standard_descriptors() noexcept;

}  // namespace lifecycle
