#include "lifecycle/misuse.hpp"

#ifdef ABORT_ON_MISUSE  // a debug build, see CMakeLists.txt
#include <cstdio>
#include <cstdlib>
#endif

namespace lifecycle {

void misuse([[maybe_unused]] const char* what) noexcept {
#ifdef ABORT_ON_MISUSE
    std::fprintf(stderr, "lifecycle: %s\n", what);
    std::abort();
#endif
}

}  // namespace lifecycle
