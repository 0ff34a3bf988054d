#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <optional>
#include <random>

#include "lifecycle/context.hpp"

namespace {

using lifecycle::cancel_scope;
using lifecycle::cause;
using lifecycle::clock;
using lifecycle::context;

const auto never = clock::time_point::max();

/// A tree of scopes with a model beside it: who is above whom, and why each has ended.
class tree {
public:
    explicit tree(unsigned seed) : random_(seed) {}

    void grow_and_wither() {
        for (int step = 0; step < 40; ++step) {
            switch (random_() % 5) {
                case 0:
                case 1: grow(); break;
                case 2: cancel(); break;
                case 3: renew(); break;
                default: destroy(); break;
            }
            check();
        }
    }

private:
    static constexpr std::size_t root = ~std::size_t{0};
    struct node {
        std::unique_ptr<cancel_scope> scope;
        context seen;  ///< a copy with a value, as a handler holds it
        std::size_t above = root;
        cause why = cause::none;
        int calls = 0;
        std::optional<context::on_cancel> wake;
    };

    void take(node& one, std::size_t index) {
        one.wake.reset();
        one.calls = 0;
        one.seen = one.scope->get().with(index);
        one.wake.emplace(one.seen, [&one] { ++one.calls; });
    }

    void grow() {
        const auto above = nodes_.empty() || random_() % 4 == 0 ? root : random_() % nodes_.size();
        const auto parent = above == root ? context() : nodes_[above].seen;
        const auto why = above == root ? cause::none : nodes_[above].why;
        auto& made = nodes_.emplace_back();
        made.scope = std::make_unique<cancel_scope>(parent);
        made.above = above;
        made.why = why;
        take(made, nodes_.size() - 1);
    }

    void end(std::size_t index, cause why) {
        if (nodes_[index].why != cause::none) return;
        nodes_[index].why = why;
        for (std::size_t below = index + 1; below < nodes_.size(); ++below)
            if (nodes_[below].above == index) end(below, why);
    }

    node* any_living() {
        if (nodes_.empty()) return nullptr;
        picked_ = random_() % nodes_.size();
        return nodes_[picked_].scope ? &nodes_[picked_] : nullptr;
    }

    void cancel() {
        auto* const one = any_living();
        if (one == nullptr) return;
        const auto why = random_() % 2 == 0 ? cause::client_gone : cause::shutdown;
        one->scope->cancel(why);
        end(picked_, why);
    }

    /// The children stay those of the old context, and end with it.
    void renew() {
        auto* const one = any_living();
        if (one == nullptr) return;
        one->scope->renew(never);
        end(picked_, cause::cancelled);
        EXPECT_EQ(one->seen.why(), one->why) << "the old copy";
        for (auto& below : nodes_)
            if (below.above == picked_) below.above = root;
        // Its parent's context may have been renewed since; it then still hangs below the old one.
        one->why = one->scope->get().why();
        take(*one, picked_);
    }

    void destroy() {
        auto* const one = any_living();
        if (one == nullptr) return;
        one->scope.reset();
        end(picked_, cause::cancelled);
    }

    void check() const {
        for (std::size_t index = 0; index < nodes_.size(); ++index) {
            const auto& one = nodes_[index];
            ASSERT_EQ(one.seen.why(), one.why) << index;
            ASSERT_EQ(one.calls, one.why == cause::none ? 0 : 1) << index;
            ASSERT_EQ(*one.seen.find<std::size_t>(), index);
        }
    }

    std::mt19937 random_;
    std::deque<node> nodes_;  // a callback keeps the address of its node
    std::size_t picked_ = 0;
};

TEST(Context, EndsInEveryRandomTreeExactlyWhoIsBelow) {
    for (unsigned seed = 1; seed <= 3'000; ++seed) {
        SCOPED_TRACE(seed);
        tree(seed).grow_and_wither();
        if (testing::Test::HasFailure()) return;
    }
}

}  // namespace
