#pragma once

namespace lifecycle {

/// A mistake in the program itself, found while it runs: a debug build ends here by SIGABRT and says `what`. Any other
/// goes on, and the caller makes a failed start of it.
void misuse(const char* what) noexcept;

}  // namespace lifecycle
