// A client that always has a request ready takes no place from those that ask now and then.

#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>

#include "tests/server/serving.hpp"

namespace serving {
namespace {

/// Handlers of a pipeline that return one by one, when a test lets them, and hold their loop until then: so it does not
/// matter when the test gets the processor.
class one_by_one {
public:
    /// In the handler, before it returns.
    void stand() {
        if (open_) return;
        stands_.release();
        may_go_.acquire();
    }
    /// One stands, or will within this time.
    bool stands(std::chrono::milliseconds limit = 20s) { return stands_.try_acquire_for(limit); }
    void go() {
        ++gone_;
        may_go_.release();
    }
    int gone() const { return gone_; }
    /// From here on none stands.
    void open() {
        open_ = true;
        may_go_.release();
    }

private:
    std::counting_semaphore<> stands_{0}, may_go_{0};
    std::atomic<bool> open_{false};
    int gone_ = 0;
};

struct opened_at_end {
    one_by_one& gate;
    ~opened_at_end() { gate.open(); }
};

TEST(HttpServerFairness, APipelineAtTheLimitOfRequestsLetsOthersIn) {
    auto options = one_loop();
    options.max_in_flight = 1;
    one_by_one pipeline;
    const auto in_pipeline = [&](lifecycle::context context, const request&) -> reply {
        auto waiting = lifecycle::sleep_until(context, clock::now() + 1ms);  // lint: a handler waits, not the test
        co_await std::move(waiting);
        pipeline.stand();
        co_return response(http::status::ok, "waited");
    };
    const running app(router().get("/piped", in_pipeline).get("/", says("hello")), options);
    auto greedy = app.connect();
    const opened_at_end at_end{pipeline};
    std::string many;
    for (int nth = 0; nth < 2'000; ++nth) many += get("/piped");
    greedy.send(many);
    auto polite = app.connect();
    for (int served = 0; served < 20;) {
        ASSERT_TRUE(pipeline.stands());
        polite.send(get("/"));  // is there before the handler returns
        pipeline.go();
        while (polite.quiet() && pipeline.gone() < 1'500)
            if (pipeline.stands(1ms)) pipeline.go();
        ASSERT_LT(pipeline.gone(), 1'500) << "only the pipeline is served";
        const auto answer = polite.receive();
        ASSERT_TRUE(answer);
        served += answer->status == 200;
    }
}

}  // namespace
}  // namespace serving
