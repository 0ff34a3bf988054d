// W3C Trace Context, https://www.w3.org/TR/trace-context/: what is continued, and what is as if it had not come.

#include "server/traceparent.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/server/serving.hpp"

namespace serving {
namespace {

using server::trace_context;
using testing::HasSubstr;

constexpr auto trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr auto our_span = "b7ad6b7169203331";
const std::string their_parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

using lines = std::vector<std::pair<std::string, std::string>>;

trace_context continued(const lines& fields) {
    request asked;
    for (const auto& [name, value] : fields) asked.fields.push_back({http::field::unknown, name, value});
    return server::continue_trace(asked, our_span);
}

trace_context with_state(const std::vector<std::string>& states) {
    lines fields = {{"traceparent", their_parent}};
    for (const auto& state : states) fields.emplace_back("tracestate", state);
    return continued(fields);
}

std::string join(std::string text, const std::string& part, int times) {
    for (int nth = 0; nth < times; ++nth) text += part;
    return text;
}

struct parent_case {
    const char* section;
    std::string value;
    const char* continued_as;  ///< flags of what goes out; nullptr: no trace
};

// 55 bytes: VV-TTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTT-PPPPPPPPPPPPPPPP-FF
const std::vector<parent_case> parents = {
    {"3.2", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "01"},
    {"3.2.2.5.1", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", "00"},
    {"3.2.2.5.2", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff", "03"},
    {"3.2.2.5.2", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-fe", "02"},
    {"3.2.2.5.2", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03", "03"},
    {"3.2.2.5.2", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02", "02"},
    {"3.2.2.5.2", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-fc", "00"},
    {"3.2.2.1", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", nullptr},
    {"3.2.2.1", "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", nullptr},
    {"3.2.2.1", "0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", nullptr},
    {"3.2.2.1", "0A-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", nullptr},
    {"3.2.2.2", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-", nullptr},
    {"3.2.2.2", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what", nullptr},
    {"3.2.2.2", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-010", nullptr},
    {"3.2.2.2", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1", nullptr},
    {"3.2.2.2", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-", nullptr},
    {"3.2.2.2", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", nullptr},
    {"3.2.2.2", "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", nullptr},
    {"3.2.2.2", "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01", nullptr},
    {"3.2.2.2", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01", nullptr},
    {"3.2.2.2", "", nullptr},
    {"3.2.2.3", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", nullptr},
    {"3.2.2.3", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", nullptr},
    {"3.2.2.3", "00-4bf92f3577b34da6a3ce929d0e0e473.-00f067aa0ba902b7-01", nullptr},
    {"3.2.2.3", "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-001", nullptr},
    {"3.2.2.4", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", nullptr},
    {"3.2.2.4", "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01", nullptr},
    {"3.2.2.4", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902bz-01", nullptr},
    {"3.2.2.5", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x", nullptr},
    {"3.2.2.5", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0F", nullptr},
    {"4.3.1", "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "01"},
    {"4.3.1", "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", "00"},
    {"4.3.1", "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-brings", "01"},
    {"4.3.1", "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-", "01"},
    {"4.3.1", "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what", nullptr},
    {"4.3.1", "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", nullptr},
    {"4.3.1", "cc-00000000000000000000000000000000-00f067aa0ba902b7-01", nullptr},
};

TEST(Traceparent, IsContinuedToTheLetterOfTheRecommendation) {
    for (const auto& [section, value, flags] : parents) {
        const auto trace = continued({{"traceparent", value}, {"tracestate", "a=1"}});
        const auto expected =
            flags == nullptr ? std::string() : "00-" + std::string(trace_id) + '-' + our_span + '-' + flags;
        EXPECT_EQ(trace.parent, expected) << section << ' ' << value;
        EXPECT_EQ(trace.state, flags == nullptr ? "" : "a=1") << "the state of no trace is dropped: " << value;
        EXPECT_EQ(trace.id(), flags == nullptr ? "" : trace_id) << value;
        EXPECT_EQ(trace.span(), flags == nullptr ? "" : our_span) << value;
        EXPECT_EQ(trace.sampled(), (expected.ends_with("-01") || expected.ends_with("-03"))) << value;
    }
}

TEST(Traceparent, IsOneLineWhoseNameHasNoCase) {
    EXPECT_TRUE(continued({{"TraceParent", their_parent}}));
    EXPECT_FALSE(continued({{"trace-parent", their_parent}}));
    EXPECT_FALSE(continued({{"traceparent", their_parent}, {"traceparent", their_parent}}));
    EXPECT_FALSE(continued({{"tracestate", "a=1"}}));
    EXPECT_EQ(continued({{"TRACESTATE", "a=1"}, {"TRACEPARENT", their_parent}}).state, "a=1");
}

struct state_case {
    const char* section;
    std::vector<std::string> sent;
    std::string continued_as;
};

const std::vector<state_case> states = {
    {"3.3.1", {"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"}, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"},
    {"3.3", {"a=1", "b=2,c=3", "d=4"}, "a=1,b=2,c=3,d=4"},
    {"3.3.1.1", {"a=1 , b=2\t,\tc=3 "}, "a=1,b=2,c=3"},
    {"3.3.1.2", {"", "a=1,,b=2,", " , ", ","}, "a=1,b=2"},
    {"3.3.1.1", {join("a=1", ",a=1", 31)}, join("a=1", ",a=1", 31)},
    {"3.3.1.1", {join("a=1", ",a=1", 32)}, ""},
    {"3.3.1.1", {join("a=1", ",a=1", 31), "b=2"}, ""},
    {"3.3.1.3.1", {"a-b_c*d/e9=1"}, "a-b_c*d/e9=1"},
    {"3.3.1.3.1", {"9x@y=1"}, "9x@y=1"},
    {"3.3.1.3.1", {"9x=1"}, ""},
    {"3.3.1.3.1", {"a@9=1"}, ""},
    {"3.3.1.3.1", {"A=1"}, ""},
    {"3.3.1.3.1", {"a.b=1"}, ""},
    {"3.3.1.3.1", {"a b=1"}, ""},
    {"3.3.1.3.1", {"a =1"}, ""},
    {"3.3.1.3.1", {"a@=1"}, ""},
    {"3.3.1.3.1", {"@a=1"}, ""},
    {"3.3.1.3.1", {"a@b@c=1"}, ""},
    {"3.3.1.3.1", {"=1"}, ""},
    {"3.3.1.3.1", {"a"}, ""},
    {"3.3.1.3.1", {"a=1,b"}, ""},
    {"3.3.1.3.1", {join("", "k", 256) + "=1"}, join("", "k", 256) + "=1"},
    {"3.3.1.3.1", {join("", "k", 257) + "=1"}, ""},
    {"3.3.1.3.1",
     {join("", "k", 241) + '@' + join("", "v", 14) + "=1"},
     join("", "k", 241) + '@' + join("", "v", 14) + "=1"},
    {"3.3.1.3.1", {join("", "k", 242) + "@v=1"}, ""},
    {"3.3.1.3.1", {"k@" + join("", "v", 15) + "=1"}, ""},
    {"3.3.1.3.2", {"a=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~ x"}, "a=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~ x"},
    {"3.3.1.3.2", {"a=  1"}, "a=  1"},
    {"3.3.1.3.2", {"a="}, ""},
    {"3.3.1.3.2", {"a= "}, ""},
    {"3.3.1.3.2", {"a=b=c"}, ""},
    {"3.3.1.3.2", {"a=b\tc"}, ""},
    {"3.3.1.3.2", {"a=\xc3\xa4"}, ""},
    {"3.3.1.3.2", {"a=" + join("", "v", 256)}, "a=" + join("", "v", 256)},
    {"3.3.1.3.2", {"a=" + join("", "v", 257)}, ""},
    {"3.3.1.5", {"a=1,a=2"}, "a=1,a=2"},
};

TEST(Tracestate, IsHandedOnAsOneListOrNotAtAll) {
    for (const auto& [section, sent, expected] : states) {
        const auto trace = with_state(sent);
        EXPECT_TRUE(trace) << "a bad state does not end the trace: " << section;
        EXPECT_EQ(trace.state, expected) << section << ' ' << testing::PrintToString(sent);
    }
}

TEST(HttpServerTrace, AHandlerHasWhatItHandsOnAndTheLogHasTheId) {
    auto options = one_loop();
    options.access_log = true;
    const auto tells = [](lifecycle::context, const request& asked) -> reply {
        if (asked.path == "/fails") throw std::runtime_error("on purpose");
        co_return response(http::status::ok, asked.trace.parent + '|' + asked.trace.state);
    };
    running app(router().get("/", tells).get("/fails", tells), options);
    const auto fields = "traceparent: " + their_parent + "\r\ntracestate: a=1\r\ntracestate: b=2\r\n";
    auto client = app.connect();
    const auto first = ask_on(client, get("/", fields)).body;
    const auto second = ask_on(client, get("/", fields)).body;
    EXPECT_THAT(first, testing::MatchesRegex("00-" + std::string(trace_id) + "-[0-9a-f]{16}-01\\|a=1,b=2"));
    EXPECT_NE(first, second) << "each request is a span of its own";
    EXPECT_THAT(first, testing::Not(HasSubstr("00f067aa0ba902b7")));
    EXPECT_EQ(ask_on(client, get("/")).body, "|") << "nothing is left of the request before, and no trace is begun";
    EXPECT_EQ(ask_on(client, get("/fails", fields)).status, 500);
    app.stop();
    EXPECT_THAT(app.log(), HasSubstr(" -- trace " + std::string(trace_id)));
    EXPECT_THAT(app.log(), HasSubstr(", trace " + std::string(trace_id) + ")"));
}

}  // namespace
}  // namespace serving
