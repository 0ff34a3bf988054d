// What clients were promised, and whether a stream has it.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <set>
#include <string>

#include "tests/integration/service.hpp"
#include "tests/support/load.hpp"

namespace brokers {

/// 201s, as they are given to a load of many connections.
class promises {
public:
    support::load::options load_of(std::size_t connections) {
        return {
            .connections = connections,
            .request =
                [this](std::uint64_t) { return integration::post(fmt::format("e{}", sent_++), std::string(200, 'x')); },
            .answered =
                [this](const std::string& asked, const support::response& answer) {
                    if (answer.status != 201) return;
                    const auto from = asked.find("Idempotency-Key: ") + 17;
                    given.insert(asked.substr(from, asked.find('\r', from) - from));
                }};
    }
    std::set<std::string> given;

private:
    std::uint64_t sent_ = 0;
};

inline void expect_each_once(const std::map<std::string, int>& stream, const std::set<std::string>& promised) {
    const auto missing = std::ranges::count_if(promised, [&](const auto& id) { return !stream.contains(id); });
    const auto twins = std::ranges::count_if(stream, [](const auto& each) { return each.second != 1; });
    EXPECT_EQ(missing, 0) << "of " << promised.size();
    EXPECT_EQ(twins, 0) << "of " << stream.size();
    std::printf("%zu answers 201, %zu messages in the stream, %td missing, %td twins\n", promised.size(), stream.size(),
                missing, twins);
}

}  // namespace brokers
