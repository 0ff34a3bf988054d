// Lives of a WebSocket by seed, on the real machine: a client that does whatever a client can do, a handler that
// answers at once or later, time, and a stop at any moment. `EXPLORE_FROM` and `EXPLORE_LIVES` in the environment say
// which.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <charconv>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/support/number_from.hpp"
#include "tests/websocket/one_socket.hpp"

namespace {

using namespace one_socket;

class life {
public:
    explicit life(std::uint64_t seed) : random_(seed), good_(chance(3)), of_(drawn_limits()) {
        of_.piece = chance(3) ? std::size_t{1} + below(40) : std::string::npos;
        if (!good_ && chance(3)) of_.room = 10 + below(3'000);
    }

    void run() {
        const auto acts = 5 + below(60), stop_at = below(80);
        for (std::uint64_t act = 0; act < acts && !of_.closed; ++act) {
            if (act == stop_at) of_.drain();
            if (good_)
                act_well();
            else
                act_somehow();
            look();
        }
        send(std::exchange(half_, {}));
        if (!of_.view.draining) of_.drain();
        for (const auto end = std::max(of_.now, of_.view.over) + 3s; !of_.closed && of_.now < end;) {
            if (of_.tested.busy() && of_.tested.cancels() != lifecycle::cause::none) of_.returns();
            if (good_ && of_.close_code() != 0 && !closing_) send_close(1000);
            if (good_ && of_.half_closed && !of_.finished) of_.finishes();
            if (good_ && of_.tested.busy()) answer();
            of_.tick_after(10ms);
            look();
        }
        conclude();
    }

private:
    std::uint64_t below(std::uint64_t most) { return random_() % most; }
    bool chance(std::uint64_t in) { return below(in) == 0; }
    machine_limits drawn_limits() {
        machine_limits made;
        made.copies = chance(2);
        made.reading.max_message = 8'000;
        return made;
    }

    // What a client that keeps to the protocol does.

    void send(std::string_view bytes) {
        if (!bytes.empty()) of_.send(bytes);
    }
    bool may_send() const { return !closing_ && !spoiled_ && !of_.finished && !of_.closed && of_.close_code() == 0; }
    std::string next_message() {
        said_.push_back(fmt::format("m{}:{}", said_.size(), std::string(chance(8) ? below(5'000) : below(90), 'x')));
        return said_.back();
    }
    void send_close(unsigned code) {
        closing_ = true;
        of_.send(frames::close(code));
    }
    void answer() {
        if (!of_.tested.busy()) return;
        of_.reply(std::string(of_.tested.current().data));
    }
    void act_well() {
        if (!half_.empty()) return send(std::exchange(half_, {}));
        if (!may_send()) return of_.tick_after(std::chrono::milliseconds(below(20)));
        switch (below(8)) {
            case 0: return of_.tick_after(std::chrono::milliseconds(below(900)));
            case 1: return of_.send(frames::ping("are you there?"));
            case 2: {  // in fragments, with a control frame between them
                const auto text = next_message();
                const auto cut = below(text.size() + 1);
                return of_.send(frames::masked(1, text.substr(0, cut)) + frames::ping() +
                                frames::masked(frames::fin, text.substr(cut)));
            }
            case 3: {
                const auto bytes = frames::text(next_message());
                const auto cut = below(bytes.size());
                half_ = bytes.substr(cut);
                return send(bytes.substr(0, cut));
            }
            case 4: {
                auto both = frames::text(next_message());
                return of_.send(both += frames::text(next_message()));
            }
            default: return of_.send(frames::text(next_message()));
        }
    }

    // ... and what others do, and a server.

    void act_somehow() {
        if (of_.tested.busy() && chance(2)) return chance(2) ? answer() : of_.returns();
        switch (below(24)) {
            case 0:
                of_.holds = of_.limits.copies && !of_.holds;
                return;  // what a handler that waits is shown is copied
            case 1:
                if (of_.tested.now_in() == machine::state::open) of_.tested.send(opcode::text, "pushed");
                return of_.settle();
            case 2:
                if (chance(4) && of_.tested.now_in() == machine::state::open) of_.tested.close_with(4000, "enough");
                return of_.settle();
            case 3: return of_.reads();
            case 4: return of_.tick_after(std::chrono::seconds(below(30)));
            case 5: {
                if (!chance(3) || !may_send() || !half_.empty()) return;
                static const std::vector<std::string> faults{std::string("\x81\x01"
                                                                         "a"),
                                                             frames::masked(0xf1, "reserved"),
                                                             frames::masked(0x09, "p"),
                                                             frames::text("\xff\xfe"),
                                                             frames::text(std::string(9'000, 'y')),
                                                             frames::close(1005),
                                                             frames::masked(0x80, "no beginning")};
                spoiled_ = true;
                return of_.send(faults[below(faults.size())]);
            }
            case 6:
                if (chance(4) && may_send() && half_.empty()) send_close(1000 + static_cast<unsigned>(below(2)));
                return;
            case 7:
                if (chance(4)) of_.finishes();
                return;
            case 8:
                if (chance(8)) of_.gone = true;
                return;
            case 9:
                if (of_.close_code() != 0 && !closing_ && half_.empty()) send_close(of_.close_code());
                return;
            default: return act_well();
        }
    }

    // The laws.

    void look() {
        EXPECT_LE(of_.opened, 1);
        for (std::size_t nth = 0; nth < of_.messages.size(); ++nth) {
            ASSERT_LT(nth, said_.size()) << "a message that nobody sent";
            ASSERT_EQ(of_.messages[nth], said_[nth]) << "messages come whole, once, and in their order";
        }
    }

    void conclude() {
        ASSERT_TRUE(of_.closed) << "it outlives the stop: state " << static_cast<int>(of_.tested.now_in())
                                << ", waits for " << static_cast<int>(of_.tested.waits_for()) << ", busy "
                                << of_.tested.busy();
        EXPECT_TRUE(of_.told_code) << "its handler has not heard of the end";
        EXPECT_NE(of_.tested.how(), machine::ending::none);
        const auto seen = of_.seen();
        std::size_t echoes = 0, closes = 0, last = 0;
        for (const auto& frame : seen) {
            if (of_.room != std::string::npos && frame.first == 0 && &frame == &seen.back()) break;  // cut in a frame
            ASSERT_NE(frame.first, 0U) << "no frame";
            EXPECT_EQ(closes, 0U) << "something is behind a Close";
            if (frame.kind() == 8) {
                ++closes;
                static const std::set<unsigned> ours{1000, 1001, 1002, 1005, 1007, 1009, 1011, 1013, 4000};
                EXPECT_TRUE(ours.contains(frame.code())) << frame.code();
            }
            std::size_t number = 0;
            const auto* const text = frame.payload.data();
            if (frame.kind() != 1 || !frame.payload.starts_with("m")) continue;
            std::from_chars(text + 1, text + frame.payload.size(), number);
            ASSERT_LT(number, said_.size());
            EXPECT_EQ(frame.payload, said_[number]);
            EXPECT_TRUE(echoes == 0 || number > last) << "answers are in the order of their messages";
            last = number;
            ++echoes;
        }
        if (!good_) return;
        EXPECT_EQ(closes, 1U);
        EXPECT_EQ(of_.close_code(), 1001U);
        EXPECT_EQ(of_.tested.how(), machine::ending::whole);
        EXPECT_FALSE(of_.reset);
        EXPECT_EQ(echoes, of_.messages.size()) << "what its handler has answered has arrived";
        // What was under way when the Close of the stop came is the client's to send again.
        EXPECT_GE(echoes + 2, said_.size());
    }

    std::mt19937_64 random_;
    const bool good_;  ///< it keeps to the protocol, reads what comes, and its handler answers at once
    scene of_;
    std::vector<std::string> said_;
    std::string half_;  ///< of a message, to be sent next
    bool closing_ = false, spoiled_ = false;
};

TEST(WebSocket, KeepsItsPromisesInEveryLifeThatASeedMakes) {
    const auto only = support::number_from("EXPLORE_SEED", 0), lives = support::number_from("EXPLORE_LIVES", 10'000);
    for (auto seed = only > 0 ? only : 1; seed <= (only > 0 ? only : lives) && !HasFailure(); ++seed) {
        SCOPED_TRACE(fmt::format("EXPLORE_SEED={}", seed));
        life(seed).run();
    }
}

}  // namespace
