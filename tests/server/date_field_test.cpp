// The value of the field `Date`, second by second.
#include "server/loop/date_field.hpp"

#include <gtest/gtest.h>

namespace {

TEST(DateField, SaysTheSecondAsHttpHasIt) {
    std::string text;
    server::date_field date(text);
    date.update(784'111'777);
    EXPECT_EQ(text, "Sun, 06 Nov 1994 08:49:37 GMT");  // the example of RFC 9110, 5.6.7
    date.update(784'111'778);
    EXPECT_EQ(text, "Sun, 06 Nov 1994 08:49:38 GMT");
    date.update(784'111'777);
    EXPECT_EQ(text, "Sun, 06 Nov 1994 08:49:37 GMT") << "a clock may be set back";
}

TEST(DateField, LeavesTheTextAloneWithinASecond) {
    std::string text;
    server::date_field date(text);
    date.update(784'111'777);
    text = "as it was";
    date.update(784'111'777);
    EXPECT_EQ(text, "as it was");
}

}  // namespace
