#include "server/copy_text.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <string>

namespace {

TEST(CopyText, CopiesAllOfATextOfEachSizeAndNothingElse) {
    std::string all;
    for (std::size_t size = 0; size <= 70; ++size, all += static_cast<char>('!' + size)) {
        std::array<char, 80> to{};
        to.fill('.');
        char* const behind = server::copy_text(to.data() + 4, all);
        ASSERT_EQ(behind, to.data() + 4 + size);
        ASSERT_EQ(std::string_view(to.data() + 4, size), all);
        ASSERT_EQ(std::count(to.data(), to.data() + 4, '.'), 4) << size;
        ASSERT_EQ(std::count(behind, to.data() + to.size(), '.'), 76 - static_cast<std::ptrdiff_t>(size)) << size;
    }
}

TEST(CopyText, CopiesNothingOfNoText) {
    char letter = '.';
    EXPECT_EQ(server::copy_text(&letter, {}), &letter);
    EXPECT_EQ(letter, '.');
}

}  // namespace
