#pragma once

namespace lifecycle {

/// OpenSSL makes all algorithms of a kind when the first of them is used, and never again: what it found no memory for
/// in that moment is missing as long as the process lives, and no handshake succeeds any more. So they are made before
/// anybody calls, and before we call anybody. Throws std::bad_alloc. Any thread; costs little where they are.
void make_algorithms();

}  // namespace lifecycle
