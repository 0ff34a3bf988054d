// In which order the sink nats parts from libnats: its calls are overheard here, in front of the library.

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <nats/nats.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

#include "tests/brokers/fake_nats.hpp"
#include "tracker/nats/nats_sink.hpp"

namespace {

std::mutex mutex;
std::vector<std::string> overheard;

template <class Object>
void pass_on(const char* name, Object* object) {
    {
        const std::scoped_lock lock(mutex);
        overheard.emplace_back(name);
    }
    reinterpret_cast<void (*)(Object*)>(::dlsym(RTLD_NEXT, name))(object);
}

}  // namespace

extern "C" {
void natsConnection_Close(natsConnection* connection) { pass_on("natsConnection_Close", connection); }
void natsConnection_Destroy(natsConnection* connection) { pass_on("natsConnection_Destroy", connection); }
void natsSubscription_Destroy(natsSubscription* subscription) { pass_on("natsSubscription_Destroy", subscription); }
}

namespace {

/// libnats 3.4 crashes when what it has a message for is destroyed by another thread in that moment.
TEST(NatsEnd, NothingThatTheLibraryMayHaveAMessageForIsDestroyedWhileItReads) {
    brokers::fake_nats broker;
    broker.allows_atomic = true;
    tracker::options options;
    options.nats.url = broker.url();
    options.nats.atomic = true;
    spdlog::logger log{"test"};
    const auto sink = tracker::make_nats_sink(options, log, [] { return lifecycle::clock::time_point::max(); });
    std::vector<tracker::event> batch(1);
    batch.front() = {.id = "a", .time = {}, .data = "x"};
    sink->deliver(batch);
    {
        const std::scoped_lock lock(mutex);
        overheard.clear();
    }
    sink->finish();
    const std::scoped_lock lock(mutex);
    ASSERT_FALSE(overheard.empty());
    EXPECT_EQ(overheard.front(), "natsConnection_Close") << "it returns when the thread that reads has ended";
    EXPECT_EQ(std::ranges::count(overheard, "natsSubscription_Destroy"), 2) << "for messages, and for batches";
}

}  // namespace
