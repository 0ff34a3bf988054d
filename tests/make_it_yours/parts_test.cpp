// A background worker, and a dependency with start and stop. The marked regions are the code blocks of
// docs/make-it-yours.md.

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <stdexcept>
#include <stop_token>
#include <string>

#include "lifecycle/periodic.hpp"
#include "tests/lifecycle/fakes.hpp"
#include "tests/support/in_time.hpp"
#include "tests/support/process.hpp"

namespace make_it_yours {
namespace {

using namespace std::chrono_literals;

// [worker]
/// Does something at intervals. A part: `run` blocks until it is asked to stop, on the thread that main gives it.
class refresher {
public:
    refresher(std::function<void()> refresh, std::chrono::milliseconds every)
        : refresh_(std::move(refresh)), every_(every) {}

    void run(const std::stop_token& stop) {
        std::mutex mutex;
        std::unique_lock lock(mutex);
        std::condition_variable_any asked;
        while (!stop.stop_requested()) {
            refresh_();  // throws: the part has failed, and the process ends with code 2
            asked.wait_for(lock, stop, every_, [] { return false; });  // the stop cuts it short
        }
    }

private:
    const std::function<void()> refresh_;
    const std::chrono::milliseconds every_;
};
// [/worker]

TEST(MakeItYours, ABackgroundWorkerIsAPartAndItsPauseEndsWithTheStop) {
    fakes::process process;
    auto& done = process.done;
    std::atomic<int> looked{0};
    const auto look_up_rates = [&] {
        if (++looked == 1) process.send(SIGTERM);
    };
    auto& stop = process.stop;
    // [worker made]
    const auto rates_part = stop.add_part("rates", 0ms);
    refresher rates(look_up_rates, 1min);
    // [/worker made]
    // [worker run]
    done.run(rates_part, [&](const std::stop_token& token) { rates.run(token); });
    // [/worker run]
    const auto began = lifecycle::clock::now();
    EXPECT_EQ(done.wait({}), lifecycle::clean);
    EXPECT_EQ(looked, 1);
    EXPECT_TRUE(support::in_time(lifecycle::clock::now() - began, 15s))
        << "it has waited for its minute, or for the budget";
}

TEST(MakeItYours, AJobAtIntervalsIsOneLine) {
    fakes::process process;
    auto& done = process.done;
    std::atomic<int> looked{0};
    const auto look_up_prices = [&](const std::stop_token&) {
        if (++looked == 1) throw std::runtime_error("the bank is closed");
        process.send(SIGTERM);
    };
    const auto prices_part = process.stop.add_part("prices", 0ms);
    auto& logger = process.log;
    // [periodic]
    done.run(prices_part, [&](const std::stop_token& token) {
        lifecycle::run_periodically(token, 10ms, "prices", logger, look_up_prices);
    });
    // [/periodic]
    EXPECT_EQ(done.wait({}), lifecycle::clean);
    EXPECT_GE(looked, 2);
    EXPECT_TRUE(process.lines->has("job prices failed, the next one is due all the same: the bank is closed"));
}

// [dependency]
/// How often each name was greeted: read at the start, written when no part is left that greets.
class guest_book {
public:
    guest_book(std::filesystem::path file, lifecycle::part part) : file_(std::move(file)), part_(part) {}

    /// Readiness waits for it. Throws when the file cannot be read, which is a failed start, or written.
    void run(const std::stop_token& stop) {
        read();
        part_.up();
        std::unique_lock lock(mutex_);
        asked_.wait(lock, stop, [] { return false; });
        write();
    }
    void greeted(const std::string& name) {
        const std::scoped_lock lock(mutex_);
        ++guests_[name];
    }

private:
    void read() {
        const std::scoped_lock lock(mutex_);
        if (!std::filesystem::exists(file_)) return;  // the first time
        std::ifstream in(file_);
        for (std::string name; in >> name;) in >> guests_[name];
        if (in.bad() || !in.eof()) throw std::runtime_error(file_.string() + " cannot be read");
    }
    void write() const {
        std::ofstream out(file_.string() + ".new");
        for (const auto& [name, times] : guests_) out << name << ' ' << times << '\n';
        out.close();
        if (out.fail()) throw std::runtime_error(file_.string() + " cannot be written");
        std::filesystem::rename(file_.string() + ".new", file_);
    }

    const std::filesystem::path file_;
    const lifecycle::part part_;
    std::mutex mutex_;
    std::condition_variable_any asked_;
    std::map<std::string, int> guests_;
};
// [/dependency]

TEST(MakeItYours, ADependencyStartsBeforeWhoNeedsItAndStopsAfterIt) {
    const support::temporary_directory folder;
    const auto file = folder.path() / "guests";
    support::write_file(file, "Ada 1\n");
    fakes::process process;
    auto& done = process.done;
    auto& stop = process.stop;
    // [dependency made]
    const auto guests_part = stop.add_part("guests", 500ms, lifecycle::until_up);
    guest_book guests(file, guests_part);
    // [/dependency made]
    const auto app_part = stop.add_part("app", lifecycle::serves_clients);
    const auto run_app = [&](const std::stop_token& token) {
        app_part.up();
        ASSERT_TRUE(fakes::eventually([&] { return stop.is_ready(); })) << "both are up";
        guests.greeted("Ada");
        process.send(SIGTERM);
        fakes::until_asked(token);
        guests.greeted("Grace");  // the last request of all
    };
    // [dependency run]
    done.run(guests_part, [&](const std::stop_token& token) { guests.run(token); });
    // [/dependency run]
    done.run(app_part, run_app);
    EXPECT_EQ(done.wait({}), lifecycle::clean);
    EXPECT_EQ(support::read_file(file), "Ada 2\nGrace 1\n");
}

TEST(MakeItYours, ADependencyThatCannotStartIsTheEndOfTheProcess) {
    const support::temporary_directory folder;
    fakes::process process;
    const auto part = process.stop.add_part("guests", 500ms, lifecycle::until_up);
    guest_book guests(folder.path(), part);  // which is no file
    const auto app = process.stop.add_part("app", lifecycle::serves_clients);
    process.done.run(part, [&](const std::stop_token& token) { guests.run(token); });
    process.done.run(app, [&](const std::stop_token& token) {
        app.up();
        fakes::until_asked(token);
    });
    EXPECT_EQ(process.done.wait({}), lifecycle::could_not_start) << "readiness was never 200";
    EXPECT_TRUE(process.lines->has("guests failed: " + folder.path().string() + " cannot be read"));
}

}  // namespace
}  // namespace make_it_yours
