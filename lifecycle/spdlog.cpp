// spdlog and fmt, compiled into this program instead of loaded: Debian has them as shared libraries only, and each of
// those lengthens the time between exec and main, in which a SIGTERM still kills. Every other file sees them as
// compiled libraries, which costs a seventh of the time; this file sees them as headers alone, and so holds what the
// others only declare. It goes by public names: what is behind those is each version's own affair.
//
// It is compiled twice, see CMakeLists.txt. Once as everything else is, for speed; there the compiler leaves out
// functions that it has put into their callers. The second, with nothing inlined, has those too, and the linker takes
// from it what the first lacks. tests/lifecycle/whole_fmt.sh compares with Debian's library.
#undef SPDLOG_COMPILED_LIB
#define FMT_HEADER_ONLY

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <locale>
#include <mutex>
#include <tuple>

template class spdlog::sinks::base_sink<std::mutex>;

namespace {

template <typename Function>
constexpr Function* function(Function* which) {
    return which;
}

// Functions whose addresses are kept are in the object file, with all that they call.
[[gnu::used]] const std::tuple functions_of_fmt{
    function<std::string(fmt::string_view, fmt::format_args)>(fmt::vformat),
    function<void(fmt::string_view, fmt::format_args)>(fmt::vprint),
    function<void(std::FILE*, fmt::string_view, fmt::format_args)>(fmt::vprint),
    function<std::system_error(int, fmt::string_view, fmt::format_args)>(fmt::vsystem_error),
    &fmt::report_system_error,
};
[[gnu::used]] const std::tuple functions_of_spdlog{
    &spdlog::logger::set_level,
    &spdlog::logger::level,
    &spdlog::logger::name,
    &spdlog::logger::set_formatter,
    &spdlog::logger::set_pattern,
    &spdlog::logger::flush,
    &spdlog::logger::flush_on,
    &spdlog::logger::flush_level,
    &spdlog::logger::set_error_handler,
    &spdlog::logger::clone,
    &spdlog::logger::enable_backtrace,
    &spdlog::logger::disable_backtrace,
    &spdlog::logger::dump_backtrace,
    &spdlog::sinks::sink::set_level,
    &spdlog::sinks::sink::level,
    &spdlog::sinks::sink::should_log,
    &spdlog::level::from_str,
    &spdlog::level::to_string_view,
    &spdlog::level::to_short_c_str,
};

/// What templates in the headers of the two call elsewhere, by way of their front doors. Never called.
[[gnu::used]] void front_doors(spdlog::logger& logger, const std::locale& locale, std::string_view text,
                               double number) {
    fmt::memory_buffer buffer;
    buffer.append(text);
    fmt::format_to(fmt::appender(buffer), "{:?} {:L} {:a} {:L}", text, number, static_cast<float>(number), 1);
    fmt::format_system_error(buffer, 0, "");
    fmt::vformat_to(fmt::appender(buffer), locale, text, fmt::make_format_args(number));
    logger.log(spdlog::level::info, text);
    logger.log(spdlog::source_loc{}, spdlog::level::info, "{}", number);
    logger = spdlog::logger(std::string(text), spdlog::sinks_init_list{});  // its vtable is here then, by clang too
    logger.sinks().clear();
    if (logger.should_backtrace()) throw fmt::format_error("");
}

}  // namespace
