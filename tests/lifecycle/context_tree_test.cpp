// Thousands of random trees of contexts on a clock of the test, each beside a model that says which of them have ended
// and why. What is freed while it is still in use is found by AddressSanitizer: so callbacks destroy what they
// belong to, and a tree falls in any order.

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <vector>

#include "lifecycle/context.hpp"
#include "tests/lifecycle/test_clock.hpp"

namespace {

using lifecycle::cancel_scope;
using lifecycle::cause;
using lifecycle::clock;
using lifecycle::context;
using std::chrono::milliseconds;

const auto never = clock::time_point::max();

class tree {
public:
    tree(unsigned seed, fakes::test_clock& time) : random_(seed), time_(time) {}

    void grow_and_wither() {
        for (int step = 0; step < 60 && !testing::Test::HasFailure(); ++step) {
            switch (random_() % 10) {
                case 0:
                case 1:
                case 2:
                case 3: grow(); break;
                case 4: cancel(); break;
                case 5: renew(); break;
                case 6: destroy(any_with_scope()); break;
                case 7:
                case 8: let_go(); break;
                default: time_.advance(milliseconds(random_() % 8)); break;
            }
            check();
        }
        fall();
    }

    std::map<cause, int> ended;  ///< how many, by why
    int fell_in_their_own_call = 0;

private:
    static constexpr std::size_t none = ~std::size_t{0};

    /// A context as it was derived: what the model knows of it, and what still holds it.
    struct entry {
        std::size_t above = none;
        bool cancellable = false;            ///< it has a scope of its own, or had
        clock::time_point deadline = never;  ///< the strictest from here to the root
        cause told = cause::none;            ///< what it was cancelled with
        bool listens = false;                ///< a call is expected when it is

        std::unique_ptr<cancel_scope> scope;
        std::optional<context> seen;  ///< a copy with a value, as a handler holds it
        std::optional<std::stop_token> token;
        std::optional<context::on_cancel> wake;
        int calls = 0;
    };

    // ── the model ───────────────────────────────────────────────────────────────────────────────

    std::size_t nearest(std::size_t at) const {
        while (at != none && !all_[at].cancellable) at = all_[at].above;
        return at;
    }
    cause told(std::size_t at) const {
        const auto by = nearest(at);
        return by == none ? cause::none : all_[by].told;
    }
    static bool passed(const entry& entry) { return entry.deadline != never && clock::now() >= entry.deadline; }

    entry& derive(std::size_t above, clock::time_point deadline, bool cancellable) {
        auto& made = all_.emplace_back();
        made.above = above;
        made.deadline = above == none ? deadline : std::min(deadline, all_[above].deadline);
        made.cancellable = cancellable;
        const auto born = told(above);
        if (cancellable && born != cause::none) made.told = passed(made) ? cause::deadline : born;
        return made;
    }

    void end(std::size_t index, cause why) {
        auto& node = all_[index];
        if (node.told != cause::none) return;
        node.told = passed(node) ? cause::deadline : why;
        for (auto below = index + 1; below < all_.size(); ++below)
            if (all_[below].cancellable && nearest(all_[below].above) == index) end(below, node.told);
    }

    // ── what happens to both ────────────────────────────────────────────────────────────────────

    clock::time_point any_deadline() {
        return random_() % 2 == 0 ? never : clock::now() + milliseconds(static_cast<int>(random_() % 24) - 2);
    }

    template <class Test>
    std::size_t any(Test test) {
        const auto from = all_.empty() ? 0 : random_() % all_.size();
        for (std::size_t nth = 0; nth < all_.size(); ++nth)
            if (const auto at = (from + nth) % all_.size(); test(all_[at])) return at;
        return none;
    }
    std::size_t any_with_scope() {
        return any([](const entry& entry) { return entry.scope != nullptr; });
    }

    void grow() {
        const auto held = [](const entry& entry) { return entry.seen.has_value(); };
        const auto above = random_() % 4 == 0 ? none : any(held);
        const auto parent = above == none ? context() : *all_[above].seen;
        const auto deadline = any_deadline();
        auto& made = derive(above, deadline, random_() % 3 != 0);
        if (!made.cancellable) return hold(made, parent.with_deadline(deadline));
        made.scope = std::make_unique<cancel_scope>(parent, deadline);
        hold(made, made.scope->get());
    }

    /// By value: what it hears at once may destroy the scope.
    void hold(entry& entry, context made) {
        const auto index = all_.size() - 1;
        entry.seen = made.with(index);
        if (random_() % 4 == 0) entry.token = entry.seen->token();
        const auto manner = random_() % 4;
        if (manner == 0) return;
        entry.listens = true;
        entry.wake.emplace(*entry.seen, [this, index, falls = manner == 1] {
            ++all_[index].calls;
            if (falls) fall_in_its_call(index);
        });
    }

    /// While it is told its scope goes, and all that is held of that: what else would be told, and itself.
    void fall_in_its_call(std::size_t index) {
        ++fell_in_their_own_call;
        const auto scope = nearest(index);
        for (std::size_t other = 0; other < all_.size(); ++other)
            if (other != index && nearest(other) == scope) forget(all_[other]);
        all_[scope].scope.reset();
        auto& node = all_[index];
        node.seen.reset();
        node.token.reset();
        node.wake.reset();  // last: the function that runs is in it
    }

    static void forget(entry& entry) {
        entry.listens = false;
        entry.wake.reset();
        entry.token.reset();
        entry.seen.reset();
    }

    void cancel() {
        const auto index = any_with_scope();
        if (index == none) return;
        const auto why = random_() % 2 == 0 ? cause::client_gone : cause::shutdown;
        end(index, why);
        all_[index].scope->cancel(why);
    }

    /// The children stay those of the last context, and end with it.
    void renew() {
        const auto index = any_with_scope();
        if (index == none) return;
        auto owner = std::move(all_[index].scope);
        end(index, cause::cancelled);
        const auto deadline = any_deadline();
        auto& made = derive(all_[index].above, deadline, true);
        owner->renew(deadline);
        made.scope = std::move(owner);
        hold(made, made.scope->get());
    }

    void destroy(std::size_t index) {
        if (index == none) return;
        const auto gone = std::move(all_[index].scope);
        if (gone) end(index, cause::cancelled);
    }

    void let_go() {
        const auto index = any([](const entry& entry) { return entry.seen.has_value(); });
        if (index != none) forget(all_[index]);
    }

    /// What is left of it goes, parents before or after their children.
    void fall() {
        std::vector<std::size_t> order(all_.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::shuffle(order.begin(), order.end(), random_);
        for (const auto index : order) {
            if (random_() % 2 == 0) forget(all_[index]);
            destroy(index);
            check();
            forget(all_[index]);
        }
        for (const auto& each : all_) ++ended[each.told];
    }

    void check() const {
        for (std::size_t index = 0; index < all_.size(); ++index) {
            const auto& node = all_[index];
            const auto why = told(index);
            if (node.seen) {
                ASSERT_EQ(node.seen->why(), why != cause::none ? why
                                            : passed(node)     ? cause::deadline
                                                               : cause::none)
                    << index;
                ASSERT_EQ(node.seen->deadline(), node.deadline) << index;
                ASSERT_EQ(*node.seen->find<std::size_t>(), index);
            }
            ASSERT_TRUE(!node.token || node.token->stop_requested() == (why != cause::none)) << index;
            ASSERT_LE(node.calls, 1) << index;
            ASSERT_TRUE(!node.listens || (node.calls == 1) == (why != cause::none)) << index;
        }
    }

    std::mt19937 random_;
    fakes::test_clock& time_;
    std::deque<entry> all_;  // a reference to one stays good while others are added
};

TEST(Context, EndsInEveryRandomTreeExactlyWhoIsBelowOrWhoseTimeIsOver) {
    fakes::test_clock time;
    std::map<cause, int> ended;
    int fell_in_their_own_call = 0;
    for (unsigned seed = 1; seed <= 3'000 && !HasFailure(); ++seed) {
        SCOPED_TRACE(seed);
        tree tree(seed, time);
        tree.grow_and_wither();
        for (const auto& [why, count] : tree.ended) ended[why] += count;
        fell_in_their_own_call += tree.fell_in_their_own_call;
    }
    for (const auto why : {cause::cancelled, cause::deadline, cause::client_gone, cause::shutdown})
        EXPECT_GT(ended[why], 1'000) << to_string(why);
    EXPECT_GT(fell_in_their_own_call, 1'000);
}

TEST(Context, EndsAtItsDeadlineAndNotBefore) {
    fakes::test_clock time;
    const auto soon = context().with_deadline(clock::now() + milliseconds(10));
    const cancel_scope child(soon, clock::now() + milliseconds(20));
    time.advance(milliseconds(10) - clock::duration(1));
    EXPECT_FALSE(soon.done());
    EXPECT_FALSE(child.get().done());
    time.advance(clock::duration(1));
    EXPECT_EQ(soon.why(), cause::deadline);
    EXPECT_EQ(child.get().why(), cause::deadline) << "no later than its parent";
}

}  // namespace
