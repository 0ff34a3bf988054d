// conformance_exam NAME 127.0.0.1:PORT: the same exam for any server. Prints a row of a Markdown table, and to
// stderr what was not passed.

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include "tests/conformance/examiner.hpp"

using namespace conformance;

namespace {

constexpr std::array weights{grade::must, grade::should, grade::safe};
constexpr std::array names{"MUST", "SHOULD", "safe"};

struct score {
    std::array<int, 3> asked{}, passed{};
    int silent = 0;  ///< not one answer, although one was due
};

/// A name may have in it the very bytes that are asked about. What is printed is text.
std::string as_text(std::string_view from) {
    std::string text;
    for (const char byte : from) {
        if (byte < ' ' || byte > '~')
            text += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
        else
            text += byte;
    }
    return text;
}

void count(score& all, const std::vector<verdict>& verdicts, const char* how) {
    for (const auto& [asked, fault, answered] : verdicts) {
        const auto weight = static_cast<std::size_t>(asked->weight);
        ++all.asked[weight];
        if (fault.empty()) {
            ++all.passed[weight];
            continue;
        }
        all.silent += fault.starts_with("no answer");
        fmt::print(stderr, "{}\t{}\t{}\t{}\t{}\t{}\t{}\n", names[weight], asked->section, as_text(asked->name), how,
                   asked->expect, as_text(answered), as_text(fault));
    }
}

}  // namespace

int main(int count_of_arguments, char** arguments) try {
    if (count_of_arguments != 3) {
        fmt::print(stderr, "usage: conformance_exam NAME 127.0.0.1:PORT\n");
        return 2;
    }
    const support::endpoint server(arguments[2]);
    const auto all = all_questions();
    score result;
    count(result, examine(server, all, pieces::whole), "whole");
    count(result, examine(server, all, pieces::bytes), "bytes");
    fmt::print("| {} ", arguments[1]);
    int asked = 0, passed = 0;
    for (const auto weight : weights) {
        const auto nth = static_cast<std::size_t>(weight);
        asked += result.asked[nth];
        passed += result.passed[nth];
        fmt::print("| {} of {} ", result.passed[nth], result.asked[nth]);
    }
    fmt::print("| {} of {} ({:.1f} %) | {} |\n", passed, asked, 100.0 * passed / asked, result.silent);
    return passed == asked ? 0 : 1;
} catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 2;
}
