#include "server/problem.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace {

namespace http = server::http;
using server::problem;
using server::problem_details;

TEST(Problem, OfAStatusSaysNothingButItsReason) {
    const auto answer = problem(http::status::not_found);
    EXPECT_EQ(answer.status, http::status::not_found);
    EXPECT_EQ(answer.content_type, "application/problem+json");
    EXPECT_EQ(answer.body, "{\"title\":\"Not Found\",\"status\":404}\n");
}

TEST(Problem, WithAStatusAloneIsTheSameEitherWay) {
    for (unsigned code = 400; code < 600; ++code) {
        const auto status = static_cast<http::status>(code);
        EXPECT_EQ(problem(status).body, problem({.status = status}).body);
        EXPECT_EQ(problem(status).content_type, problem({.status = status}).content_type);
        EXPECT_NO_THROW(boost::json::parse(problem(status).body)) << code;
    }
}

TEST(Problem, SaysWhatItIsGivenUnderTheNamesOfTheStandard) {
    const auto answer = problem({.status = http::status::conflict,
                                 .type = "https://example.com/probs/sold-out",
                                 .title = "Sold out",
                                 .detail = "3 were asked for, \"2\" are left",
                                 .instance = "/orders/7"});
    EXPECT_EQ(answer.status, http::status::conflict);
    EXPECT_EQ(answer.body, R"({"type":"https://example.com/probs/sold-out","title":"Sold out","status":409,)"
                           R"("detail":"3 were asked for, \"2\" are left","instance":"/orders/7"})"
                           "\n");
}

TEST(Problem, NamesTheFaultsByTheirPlaceInTheBody) {
    const auto answer = problem({.status = http::status::unprocessable_entity,
                                 .errors = {{"/lines/0/quantity", "a whole number"}, {"", "an object"}}});
    EXPECT_EQ(answer.body,
              R"({"title":"Unprocessable Entity","status":422,"errors":[)"
              R"({"pointer":"/lines/0/quantity","detail":"a whole number"},{"pointer":"","detail":"an object"}]})"
              "\n");
}

TEST(Problem, DoesNotGrowWithTheFaultsOfABody) {
    problem_details details;
    details.errors.resize(100'000);
    EXPECT_EQ(boost::json::parse(problem(details).body).at("errors").as_array().size(), problem_details::most_errors);
}

}  // namespace
