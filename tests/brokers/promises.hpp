// What clients were promised, and whether a stream has it.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/integration/service.hpp"
#include "tests/support/eventually.hpp"
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
    /// Clients go on until `enough()`, but get no more than 5,000 promises meanwhile: while three brokers elect for
    /// some seconds they would else be given hundreds of thousands, which take minutes to deliver. False: it has not
    /// come about in time.
    bool wait_for(support::load& load, const std::function<bool()>& enough) const {
        const auto most = given.size() + 5'000;
        return load.run([&] { return given.size() >= most || enough(); }, support::milliseconds(60'000)) &&
               support::eventually(enough, support::milliseconds(60'000));
    }
    std::set<std::string> given;

private:
    std::uint64_t sent_ = 0;
};

inline void expect_each_once(const std::map<std::string, int>& stream, const std::set<std::string>& promised) {
    std::vector<std::string> missing, twins;
    for (const auto& id : promised)
        if (!stream.contains(id)) missing.push_back(id);
    for (const auto& [id, times] : stream)
        if (times != 1) twins.push_back(fmt::format("{} ({} times)", id, times));
    EXPECT_EQ(missing.size(), 0U) << "of " << promised.size() << ": " << fmt::format("{}", fmt::join(missing, ", "));
    EXPECT_EQ(twins.size(), 0U) << "of " << stream.size() << ": " << fmt::format("{}", fmt::join(twins, ", "));
    std::printf("%zu answers 201, %zu messages in the stream, %zu missing, %zu twins\n", promised.size(), stream.size(),
                missing.size(), twins.size());
}

}  // namespace brokers
