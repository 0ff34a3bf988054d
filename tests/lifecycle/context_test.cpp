#include "lifecycle/context.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using lifecycle::cancel_scope;
using lifecycle::cause;
using lifecycle::clock;
using lifecycle::context;

const auto never = clock::time_point::max();
clock::time_point passed() { return clock::now() - 1ms; }

TEST(Context, NeverEndsByDefault) {
    const context none;
    EXPECT_FALSE(none.done());
    EXPECT_EQ(none.why(), cause::none);
    EXPECT_EQ(none.deadline(), never);
    EXPECT_FALSE(none.token().stop_possible());
    EXPECT_EQ(none.find<int>(), nullptr);
    EXPECT_EQ(none.waits_at().line(), 0U);
}

TEST(Context, EndsWhenItsScopeIsCancelled) {
    cancel_scope scope;
    const auto copy = scope.get();
    EXPECT_FALSE(copy.done());
    scope.cancel(cause::client_gone);
    EXPECT_TRUE(copy.done());
    EXPECT_EQ(copy.why(), cause::client_gone);
    EXPECT_TRUE(copy.token().stop_requested());
}

TEST(Context, KeepsTheFirstCause) {
    cancel_scope scope;
    scope.cancel(cause::client_gone);
    scope.cancel(cause::shutdown);
    EXPECT_EQ(scope.get().why(), cause::client_gone);
}

TEST(Context, KeepsTheDeadlineAsItsCauseWhenThatCameFirst) {
    cancel_scope scope({}, passed());
    EXPECT_EQ(scope.get().why(), cause::deadline);
    scope.cancel(cause::shutdown);
    EXPECT_EQ(scope.get().why(), cause::deadline);
}

TEST(Context, KeepsTheCauseThatAChildHadBeforeItsParent) {
    cancel_scope parent;
    cancel_scope child(parent.get());
    child.cancel(cause::deadline);
    parent.cancel(cause::shutdown);
    EXPECT_EQ(child.get().why(), cause::deadline);
    EXPECT_EQ(parent.get().why(), cause::shutdown);
}

TEST(Context, EndsWhenItsDeadlineHasPassed) {
    const auto late = context().with_deadline(passed());
    EXPECT_TRUE(late.done());
    EXPECT_EQ(late.why(), cause::deadline);
    EXPECT_FALSE(context().with_deadline(clock::now() + 1h).done());
}

TEST(Context, GivesAChildTheStricterDeadline) {
    const auto soon = clock::now() + 1h, later = soon + 1h;
    EXPECT_EQ(context().with_deadline(soon).with_deadline(later).deadline(), soon);
    EXPECT_EQ(context().with_deadline(later).with_deadline(soon).deadline(), soon);
    EXPECT_EQ(context().with_deadline(soon).with(1).deadline(), soon);
    cancel_scope strict(context().with_deadline(soon), later);
    EXPECT_EQ(strict.get().deadline(), soon);
}

TEST(Context, LeavesTheParentAloneWhenAChildEnds) {
    cancel_scope parent;
    {
        cancel_scope child(parent.get());
        const auto strict = parent.get().with_deadline(passed());
        child.cancel(cause::cancelled);
        EXPECT_TRUE(strict.done());
    }
    EXPECT_FALSE(parent.get().done());
}

TEST(Context, CancelsAllThatIsDerivedFromIt) {
    cancel_scope root;
    const auto value = root.get().with(std::string("id"));
    cancel_scope child(value);
    const auto strict = child.get().with_deadline(clock::now() + 1h);
    cancel_scope grandchild(strict);
    root.cancel(cause::shutdown);
    for (const auto* each : {&value, &child.get(), &strict, &grandchild.get()}) EXPECT_EQ(each->why(), cause::shutdown);
}

TEST(Context, IsBornCancelledUnderACancelledParent) {
    cancel_scope parent;
    parent.cancel(cause::shutdown);
    cancel_scope child(parent.get());
    EXPECT_EQ(child.get().why(), cause::shutdown);
}

TEST(Context, EndsWithItsScope) {
    context kept;
    {
        cancel_scope scope;
        kept = scope.get().with(7);
        EXPECT_FALSE(kept.done());
    }
    EXPECT_EQ(kept.why(), cause::cancelled);
    EXPECT_EQ(*kept.find<int>(), 7) << "what it carries outlives the scope";
}

TEST(Context, CarriesValuesByTypeAndTheInnermostWins) {
    const auto outer = context().with(1).with(std::string("one"));
    const auto inner = outer.with(2);
    ASSERT_NE(inner.find<int>(), nullptr);
    EXPECT_EQ(*inner.find<int>(), 2);
    EXPECT_EQ(*inner.find<std::string>(), "one");
    EXPECT_EQ(*outer.find<int>(), 1) << "a value is immutable: the child shadows it";
    EXPECT_EQ(inner.find<double>(), nullptr);
}

TEST(Context, CarriesACopyOfTheValue) {
    std::string text = "before";
    const auto carrying = context().with(text);
    text = "after";
    EXPECT_EQ(*carrying.find<std::string>(), "before");
}

TEST(OnCancel, CallsOnceWhenTheContextIsCancelled) {
    cancel_scope scope;
    int calls = 0;
    const context::on_cancel wake(scope.get(), [&] { ++calls; });
    EXPECT_EQ(calls, 0);
    scope.cancel(cause::shutdown);
    scope.cancel(cause::shutdown);
    EXPECT_EQ(calls, 1);
}

TEST(OnCancel, CallsAtOnceWhenItIsTooLate) {
    cancel_scope scope;
    scope.cancel(cause::shutdown);
    int calls = 0;
    const context::on_cancel wake(scope.get(), [&] { ++calls; });
    EXPECT_EQ(calls, 1);
}

TEST(OnCancel, IsNotCalledAnyMoreOnceDestroyed) {
    cancel_scope scope;
    int calls = 0;
    {
        const context::on_cancel wake(scope.get(), [&] { ++calls; });
    }
    scope.cancel(cause::shutdown);
    EXPECT_EQ(calls, 0);
}

TEST(OnCancel, KnowsTheCauseWhenItIsCalled) {
    cancel_scope parent;
    cancel_scope child(parent.get());
    auto seen = cause::none;
    const auto context = child.get();
    const context::on_cancel wake(context, [&] { seen = context.why(); });
    parent.cancel(cause::client_gone);
    EXPECT_EQ(seen, cause::client_gone);
}

TEST(OnCancel, HearsOfACancelAboveThroughValuesAndDeadlines) {
    cancel_scope scope;
    int calls = 0;
    const context::on_cancel wake(scope.get().with(1).with_deadline(clock::now() + 1h), [&] { ++calls; });
    scope.cancel(cause::shutdown);
    EXPECT_EQ(calls, 1);
}

TEST(OnCancel, MayBeDestroyedInItsOwnCall) {
    cancel_scope scope;
    std::optional<context::on_cancel> wake;
    int calls = 0;
    wake.emplace(scope.get(), [&] {
        ++calls;
        wake.reset();
    });
    scope.cancel(cause::shutdown);
    EXPECT_EQ(calls, 1);
    EXPECT_FALSE(wake.has_value());
}

TEST(CancelScope, RenewsIntoAContextThatHasNotEnded) {
    cancel_scope scope;
    scope.cancel(cause::client_gone);
    scope.renew(never);
    EXPECT_FALSE(scope.get().done());
    EXPECT_FALSE(scope.get().token().stop_requested());
}

TEST(CancelScope, EndsACopyOfTheLastContextWhenRenewed) {
    cancel_scope scope;
    const auto last = scope.get();
    scope.renew(never);
    EXPECT_EQ(last.why(), cause::cancelled);
    EXPECT_FALSE(scope.get().done());
    scope.cancel(cause::shutdown);
    EXPECT_EQ(last.why(), cause::cancelled) << "an old context does not follow the new one";
}

TEST(CancelScope, EndsWhatWasDerivedFromTheLastContextWhenRenewed) {
    cancel_scope scope;
    cancel_scope child(scope.get());
    const auto value = scope.get().with(1);
    scope.renew(never);
    EXPECT_TRUE(child.get().done());
    EXPECT_TRUE(value.done());
}

TEST(CancelScope, StopsATokenOfTheLastContextWhenRenewed) {
    cancel_scope scope;
    const auto token = scope.get().token();
    scope.renew(never);
    EXPECT_TRUE(token.stop_requested());
    EXPECT_FALSE(scope.get().done());
}

TEST(CancelScope, CallsWhoeverWaitsForTheLastContextWhenRenewed) {
    cancel_scope scope;
    int calls = 0;
    const context::on_cancel wake(scope.get(), [&] { ++calls; });
    scope.renew(never);
    EXPECT_EQ(calls, 1) << "its context has ended";
    scope.cancel(cause::shutdown);
    EXPECT_EQ(calls, 1);
}

TEST(CancelScope, RenewsTheDeadlineWithinThatOfItsParent) {
    const auto soon = clock::now() + 1h;
    cancel_scope parent({}, soon);
    cancel_scope child(parent.get());
    child.renew(soon - 1min);
    EXPECT_EQ(child.get().deadline(), soon - 1min);
    child.renew(never);
    EXPECT_EQ(child.get().deadline(), soon);
    const auto kept = child.get();
    child.renew(soon - 2min);
    EXPECT_EQ(child.get().deadline(), soon - 2min);
    EXPECT_EQ(kept.deadline(), soon) << "a copy keeps the deadline that it was given";
}

TEST(CancelScope, HearsOfItsParentAfterManyRenewals) {
    cancel_scope parent;
    cancel_scope child(parent.get());
    for (int request = 0; request < 1'000; ++request) child.renew(never);
    parent.cancel(cause::shutdown);
    EXPECT_EQ(child.get().why(), cause::shutdown);
    child.renew(never);
    EXPECT_EQ(child.get().why(), cause::shutdown) << "under a parent that has ended nothing begins";
}

TEST(Waiting, SaysWhereTheWorkWaitsAndTakesItBack) {
    cancel_scope scope;
    const auto context = scope.get().with(1);
    {
        const context::waiting outer(context, std::source_location::current());
        const auto line = scope.get().waits_at().line();
        EXPECT_EQ(line, std::source_location::current().line() - 2);
        {
            const context::waiting inner(context, std::source_location::current());
            EXPECT_EQ(scope.get().waits_at().line(), line + 4);
        }
        EXPECT_EQ(scope.get().waits_at().line(), line) << "back to the outer wait";
    }
    EXPECT_EQ(scope.get().waits_at().line(), 0U);
}

TEST(Context, HasANameForEachCause) {
    EXPECT_EQ(to_string(cause::none), "none");
    EXPECT_EQ(to_string(cause::cancelled), "cancelled");
    EXPECT_EQ(to_string(cause::deadline), "deadline");
    EXPECT_EQ(to_string(cause::client_gone), "client_gone");
    EXPECT_EQ(to_string(cause::shutdown), "shutdown");
}

TEST(Context, MayBeDerivedFromOnAnyThreadWhileItIsCancelled) {
    for (int round = 0; round < 20; ++round) {
        cancel_scope root;
        std::atomic<int> begun{0}, ended{0};
        std::vector<std::jthread> threads;
        for (int index = 0; index < 3; ++index)
            threads.emplace_back([&, index, context = root.get()](std::stop_token) {
                ++begun;
                while (!context.done()) {
                    cancel_scope child(context.with(index), clock::now() + 1h);
                    std::atomic<bool> called{false};
                    const context::on_cancel wake(child.get(), [&] { called = true; });
                    const context::waiting breadcrumb(child.get(), std::source_location::current());
                    if (called && child.get().why() != cause::shutdown) return;
                }
                ++ended;
            });
        while (begun < 3) std::this_thread::yield();
        root.cancel(cause::shutdown);
        threads.clear();
        EXPECT_EQ(ended, 3);
    }
}

}  // namespace
