#pragma once

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>

#include "tests/support/process.hpp"

namespace integration {

/// The ids in a file of events, every line of which must be whole.
inline std::set<std::string> ids_in(const std::filesystem::path& file) {
    std::set<std::string> all;
    std::istringstream lines(support::read_file(file));
    for (std::string line; std::getline(lines, line);) {
        boost::system::error_code error;
        const auto event = boost::json::parse(line, error);
        EXPECT_FALSE(error) << "garbled: " << line;
        if (!error) all.emplace(event.at("id").as_string());
    }
    return all;
}

}  // namespace integration
