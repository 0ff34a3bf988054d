#pragma once

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <source_location>
#include <stop_token>
#include <string_view>
#include <typeindex>
#include <utility>

namespace lifecycle {

using clock = std::chrono::steady_clock;

/// Why a context ended. The first cause stays.
enum class cause : std::uint8_t { none, cancelled, deadline, client_gone, shutdown };

std::string_view to_string(cause why) noexcept;

/// What one piece of work may still do: may it go on, until when, and why not. A handler takes one
/// first and hands it to everything that it calls.
///
/// A context is a cheap value; copies share their state. It can only be made stricter: a child ends no later than its
/// parent, whichever code made it. Values are immutable and added by deriving a child.
///
/// Threads: every member is safe from any thread. A context that belongs to a loop is *cancelled*
/// only on that loop, so callbacks of code on the loop run there too (see `on_cancel`).
class context {
public:
    /// Never ends, knows nothing.
    context() = default;

    /// True when the work is to stop, by a cancel or because the deadline has passed.
    bool done() const noexcept { return why() != cause::none; }
    cause why() const noexcept;

    /// `clock::time_point::max()` when there is none.
    clock::time_point deadline() const noexcept;

    /// For code that waits by other means than ours (`std::condition_variable_any`, a pool job). It does not know the
    /// deadline: code that waits on it must wait until `deadline()` at most.
    std::stop_token token() const;

    /// A child that ends at `when` or with its parent, whichever is first. Code that waits must wait until `deadline()`
    /// at most, as everything here does.
    context with_deadline(clock::time_point when) const;

    /// A child that carries `value`. A value is looked up by its type; the innermost one wins.
    template <class T>
    context with(T value) const;
    template <class T>
    const T* find() const noexcept;

    /// The line at which this work waits now, for `/debug/tasks` and the stragglers of a report;
    /// line 0 when it does not wait in one of our awaitables.
    std::source_location waits_at() const noexcept;

    class on_cancel;
    class waiting;

private:
    friend class cancel_scope;
    struct node;
    struct scope;
    template <class T>
    struct value_node;

    explicit context(boost::intrusive_ptr<node> from) noexcept;
    const void* find(std::type_index type) const noexcept;
    std::stop_token internal_token() const;

    boost::intrusive_ptr<node> state_;
};

/// One link of the chain from a context to its root.
struct context::node : boost::intrusive_ref_counter<node, boost::thread_safe_counter> {
    node(boost::intrusive_ptr<node> parent, clock::time_point deadline);
    node(const node&) = delete;
    node& operator=(const node&) = delete;
    virtual ~node();

    virtual const void* value(std::type_index) const noexcept { return nullptr; }

    boost::intrusive_ptr<node> parent;
    scope* nearest;  ///< the innermost cancellable one at or above this, kept alive by `parent`
    clock::time_point deadline;
};

template <class T>
struct context::value_node final : node {
    value_node(boost::intrusive_ptr<node> parent, clock::time_point deadline, T carried)
        : node(std::move(parent), deadline), held(std::move(carried)) {}
    const void* value(std::type_index type) const noexcept override { return type == typeid(T) ? &held : nullptr; }
    T held;
};

template <class T>
context context::with(T value) const {
    return context(boost::intrusive_ptr<node>(new value_node<T>(state_, deadline(), std::move(value))));
}

template <class T>
const T* context::find() const noexcept {
    return static_cast<const T*>(find(std::type_index(typeid(T))));
}

/// The owner of a cancellable context: cancels it when told to and, so that nothing derived from it
/// outlives its owner unnoticed, when destroyed.
///
/// Threads: `cancel` and `renew` only on the thread (loop) that the context belongs to.
class cancel_scope {
public:
    explicit cancel_scope(const context& parent = {}, clock::time_point deadline = clock::time_point::max());
    ~cancel_scope();
    cancel_scope(const cancel_scope&) = delete;
    cancel_scope& operator=(const cancel_scope&) = delete;

    const context& get() const noexcept { return context_; }

    /// Ends the context and all derived from it; calls what waits on them. Idempotent.
    void cancel(cause why) noexcept;

    /// Ends the last context and makes a fresh one for the next piece of work. Keeps the memory of the last one when
    /// nothing else holds it, so that a connection does not allocate for each request.
    void renew(clock::time_point deadline);

private:
    context parent_;
    context context_;
};

/// Calls `function` once when the context is cancelled (not when its deadline passes: code that waits uses
/// `deadline()`), at once if it already is. Runs on the thread that cancels, which for a context of a loop is the loop.
/// Not called once this is destroyed.
class context::on_cancel {
public:
    on_cancel(const context& from, std::function<void()> function)
        : kept_(from.state_), callback_(from.internal_token(), std::move(function)) {}

private:
    boost::intrusive_ptr<node> kept_;  // or a renewed scope would take its memory, and this callback, for the next one
    std::stop_callback<std::function<void()>> callback_;
};

/// The breadcrumb: while one of these lives, the work says that it waits at `where`.
class context::waiting {
public:
    waiting(const context& from, std::source_location where) noexcept;
    ~waiting();
    waiting(const waiting&) = delete;
    waiting& operator=(const waiting&) = delete;

private:
    boost::intrusive_ptr<node> state_;
    std::source_location before_;
};

}  // namespace lifecycle
