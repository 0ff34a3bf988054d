#include "tests/integration/torture.hpp"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <thread>

#include "tests/support/load.hpp"

namespace integration {
namespace {

using support::client;
using support::get;
using support::milliseconds;
using support::request;

std::string mixed(std::uint64_t number) {
    switch (number % 8) {
        case 0: return get("/", "Connection: close\r\n");  // the next one on a new connection
        case 1: return get("/slow?ms=20");
        case 2: return request("POST", "/echo", {}, std::string(20'000, 'u'));
        case 3: return get("/big?bytes=300000");
        default: return get("/");
    }
}

/// The closed loops, on a thread of their own. Counts are published at every turn.
class closed_loops {
public:
    closed_loops(const support::endpoint& to, std::size_t connections)
        : load_(to, {connections, mixed}), thread_([this] { drive(); }) {}

    std::uint64_t answered() const { return answered_; }
    /// The stop shows: somebody was told to close, closed, or refused.
    bool stop_seen() const { return stop_seen_; }
    /// The server has gone: takes what still comes.
    const support::load::counts& finish() {
        over_ = true;
        thread_.join();
        return load_.seen();
    }

private:
    void drive() {
        load_.run(
            [this] {
                const auto& seen = load_.seen();
                answered_ = seen.answered;
                stop_seen_ = seen.refused > 0;
                return over_ || load_.alive() == 0;
            },
            milliseconds(60'000));
        load_.finish(milliseconds(5'000));
    }

    support::load load_;
    std::atomic<std::uint64_t> answered_{0};
    std::atomic<bool> stop_seen_{false}, over_{false};
    std::jthread thread_;
};

/// Clients each of which has something under way at the signal.
class under_way {
public:
    under_way(const support::endpoint& to, const torture& how) : to_(to) {
        const auto upload = request("POST", "/echo", {}, std::string(200'000, 'u'));
        const std::string plain = get("/");
        auto pipeline = get("/slow?ms=300");
        for (int behind = 0; behind < 3; ++behind) pipeline += plain;
        pipeline += plain.substr(0, 9);
        for (std::size_t i = 0; i < how.each; ++i) {
            add("slow", 1).begin(get("/slow?ms=700"), {});
            add("half a head, fresh", 1).begin(plain.substr(0, 9), plain.substr(9));
            auto& reused = add("half a head, reused", 1);
            reused.on.exchange(plain);
            reused.begin(plain.substr(0, 9), plain.substr(9));
            add("half an upload", 1).begin(upload.substr(0, 90'000), upload.substr(90'000));
            add("pipelining", 5).begin(pipeline, plain.substr(9));
            add("unused", 0);
        }
        for (std::size_t i = 0; i < how.slow_readers; ++i) {
            auto& reader = add("slow reader", 1, 16 * 1024);
            reader.begin(get("/big?bytes=16777216"), {});
            reader.on.receive_some(100'000);
        }
    }

    void complete() {
        for (auto& each : all_) each.on.send(each.rest);
    }

    /// Takes every answer, the large ones in steps of `pace`.
    void collect(support::process& process, toll& seen) {
        for (std::size_t bytes = 1'600'000; bytes < 16'000'000; bytes += 1'600'000) {
            for (auto& each : all_)
                if (each.kind == "slow reader") each.on.receive_some(bytes);
            process.wait(milliseconds(40));
        }
        for (auto& each : all_) {
            for (int i = 0; i < each.answers; ++i) take(each, i, seen);
            const bool closed = each.on.closes_silently(milliseconds(15'000));
            if (each.answers == 0 && !closed) ++seen.unused_reset;
        }
    }

private:
    struct actor {
        client on;
        std::string kind;
        int answers;
        std::string rest = {};
        void begin(const std::string& first, std::string second) {
            on.send(first);
            rest = std::move(second);
        }
    };

    actor& add(std::string kind, int answers, int receive_buffer = 0) {
        all_.push_back({client(to_, milliseconds(15'000), receive_buffer), std::move(kind), answers});
        return all_.back();
    }

    static void take(actor& actor, int nth, toll& seen) {
        const auto answer = actor.on.receive();
        if (answer) {
            ++seen.answered;
            seen.errors += answer->status >= 400;
            if (answer->status >= 400) seen.what.push_back(fmt::format("{}: status {}", actor.kind, answer->status));
            return;
        }
        const bool reset = actor.on.ended() == client::ending::reset;
        const char* how = "lost";
        if (actor.on.partial()) how = reset ? "cut" : "truncated";
        ++(!actor.on.partial() ? seen.lost : reset ? seen.cut : seen.truncated);
        seen.what.push_back(fmt::format("{}, answer {}: {}{}", actor.kind, nth + 1, how, reset ? " by a reset" : ""));
    }

    support::endpoint to_;
    std::vector<actor> all_;
};

}  // namespace

std::string toll::in_words() const {
    return fmt::format(
        "answered {}, errors {}, lost {}, cut {}, truncated {}, unused and reset {}, stop {} ms, code {}; {}", answered,
        errors, lost, cut, truncated, unused_reset, stop.count(), code, fmt::join(what, "; "));
}

toll& toll::operator+=(const toll& other) {
    lost += other.lost;
    cut += other.cut;
    truncated += other.truncated;
    errors += other.errors;
    answered += other.answered;
    unused_reset += other.unused_reset;
    stop = std::max(stop, other.stop);
    code = std::max(code, other.code);
    what.insert(what.end(), other.what.begin(), other.what.end());
    return *this;
}

toll stop_under_torture(const support::endpoint& app, support::process& process, const torture& how) {
    toll seen;
    closed_loops loops(app, how.keep_alive);
    support::eventually([&] { return loops.answered() >= 10 * how.keep_alive; });
    under_way clients(app, how);

    const auto when = process.signal(SIGTERM);
    // Those who have sent half go on once the stop shows from outside, or a little later where it does not.
    support::eventually([&] { return loops.stop_seen(); }, milliseconds(100));
    clients.complete();
    clients.collect(process, seen);

    const auto status = process.wait(how.limit);
    const auto& load = loops.finish();
    if (status) seen.stop = std::chrono::duration_cast<milliseconds>(status->at - when);
    if (status) seen.code = status->code;
    seen.answered += load.answered;
    seen.errors += load.errors;
    seen.lost += load.lost_fresh + load.lost_reused;
    seen.truncated += load.truncated;
    if (load.lost() > 0)
        seen.what.push_back(fmt::format("closed loops: lost fresh {}, reused {}, truncated {}", load.lost_fresh,
                                        load.lost_reused, load.truncated));
    return seen;
}

busy_cores::busy_cores() {
    const auto parent = ::getpid();
    for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i) {
        const pid_t child = ::fork();
        if (child > 0) spinning_.push_back(child);
        if (child != 0) continue;
        ::signal(SIGALRM, SIG_DFL);
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::alarm(60);
        while (::getppid() == parent) {}  // a system call a turn: both halves of the core are busy
        ::_exit(0);
    }
}

busy_cores::~busy_cores() {
    for (const auto child : spinning_) {
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
    }
}

}  // namespace integration
