#pragma once

namespace support {

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BUILT_WITH_THREAD_SANITIZER
#elif __has_feature(address_sanitizer)
#define BUILT_WITH_ADDRESS_SANITIZER
#endif
#endif

/// A sanitizer makes everything several times slower: explorations go less far.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || defined(BUILT_WITH_THREAD_SANITIZER) || \
    defined(BUILT_WITH_ADDRESS_SANITIZER)
constexpr bool slow_build = true;
#else
constexpr bool slow_build = false;
#endif

/// ThreadSanitizer keeps a signal until it suits it: what a profiler then sees is ThreadSanitizer.
#if defined(__SANITIZE_THREAD__) || defined(BUILT_WITH_THREAD_SANITIZER)
constexpr bool signals_come_late = true;
#else
constexpr bool signals_come_late = false;
#endif

}  // namespace support
