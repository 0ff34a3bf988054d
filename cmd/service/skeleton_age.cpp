#include <fmt/format.h>

#include <charconv>
#include <chrono>

#include "cmd/service/build_info.hpp"

namespace skeleton_info {
namespace {

int number(std::string_view digits) {
    int value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
}

}  // namespace

int age_in_days() {
    using namespace std::chrono;
    const auto text = date();
    if (text.size() < std::string_view("2026-11-29").size()) return -1;
    const year_month_day day(year(number(text.substr(0, 4))), month(static_cast<unsigned>(number(text.substr(5, 2)))),
                             std::chrono::day(static_cast<unsigned>(number(text.substr(8, 2)))));
    if (!day.ok()) return -1;
    const auto since = floor<days>(system_clock::now()) - sys_days(day);
    return std::max(static_cast<int>(since.count()), 0);
}

std::string in_words() {
    const int days = age_in_days();
    if (days < 0) return fmt::format("skeleton {} ({})", version(), revision());
    return fmt::format("skeleton {} ({}) of {}, {} day{} old", version(), revision(), date(), days,
                       days == 1 ? "" : "s");
}

}  // namespace skeleton_info
