#include "lifecycle/standard_descriptors.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace lifecycle {

void hold_standard_descriptors() noexcept {
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
        if (::fcntl(descriptor, F_GETFD) >= 0) continue;
        // The lowest number that is free: this one. Not O_CLOEXEC, since it is a process's to hand on. Where there is
        // no /dev/null the root directory holds the place: to read from it or to write to it is an error.
        if (::open("/dev/null", O_RDWR) < 0) ::open("/", O_RDONLY | O_DIRECTORY);
    }
}

}  // namespace lifecycle
