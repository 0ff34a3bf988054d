#include "server/loop/date_field.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <iterator>

namespace server {

void date_field::update(std::time_t now) {
    if (now == second_) return;
    second_ = now;
    text_.clear();  // and keeps its memory
    fmt::format_to(std::back_inserter(text_), "{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(now));  // RFC 9110, 5.6.7
}

}  // namespace server
