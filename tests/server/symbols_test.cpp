#include "server/symbols.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "server/stacks.hpp"

namespace server {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::StartsWith;

[[gnu::noinline]] std::vector<std::string> not_exported() {
    auto stack = stack_of(::gettid());
    stack.emplace_back("so that the call above is not the last");
    return stack;
}

TEST(Symbols, NameAFunctionThatIsNotExported) {
    EXPECT_THAT(symbols().name(reinterpret_cast<const void*>(&not_exported)),
                StartsWith("server::(anonymous namespace)::not_exported"));
}

TEST(Symbols, ShowAnAddressThatIsNobodys) { EXPECT_EQ(symbols().name(reinterpret_cast<const void*>(0x10)), "0x10"); }

TEST(Stacks, ShowWhereAThreadIs) { EXPECT_THAT(not_exported(), Contains(HasSubstr("not_exported"))); }

}  // namespace
}  // namespace server
