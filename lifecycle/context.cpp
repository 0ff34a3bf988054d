#include "lifecycle/context.hpp"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <optional>

namespace lifecycle {

/// A node that can be cancelled. Its stop source is linked to the nearest one above.
struct context::scope final : context::node {
    struct cancel_from_parent {
        scope* self;
        void operator()() const noexcept { self->cancel(self->above->why.load(std::memory_order_acquire)); }
    };

    scope(boost::intrusive_ptr<node> parent_node, clock::time_point until)
        : node(std::move(parent_node), until), above(parent ? parent->nearest : nullptr) {
        nearest = this;
        if (above != nullptr) link.emplace(above->source.get_token(), cancel_from_parent{this});
    }

    void cancel(cause reason) noexcept {
        assert(reason != cause::none && "what ends has a cause");
        // The deadline has passed, although nothing has said so: that came first.
        if (deadline != clock::time_point::max() && clock::now() >= deadline) reason = cause::deadline;
        // Only the first cause stays; the callbacks below read it.
        auto expected = cause::none;
        why.compare_exchange_strong(expected, reason, std::memory_order_acq_rel);
        std::stop_source(source).request_stop();  // a copy: one of the callbacks may be the end of this
    }

    scope* above;
    std::atomic<cause> why{cause::none};
    std::atomic<bool> token_taken{false};  ///< someone may hold a token: never used again
    std::atomic<std::source_location> waits_at{};
    std::stop_source source;
    std::optional<std::stop_callback<cancel_from_parent>> link;  // last: it may run in its constructor
};

std::string_view to_string(cause why) noexcept {
    switch (why) {
        case cause::none: return "none";
        case cause::cancelled: return "cancelled";
        case cause::deadline: return "deadline";
        case cause::client_gone: return "client_gone";
        case cause::shutdown: return "shutdown";
    }
    return "unknown";
}

context::node::node(boost::intrusive_ptr<node> parent_node, clock::time_point until)
    : parent(std::move(parent_node)),
      nearest(parent ? parent->nearest : nullptr),
      deadline(parent ? std::min(parent->deadline, until) : until) {}

context::node::~node() = default;

context::context(boost::intrusive_ptr<node> from) noexcept : state_(std::move(from)) {}

cause context::why() const noexcept {
    if (!state_) return cause::none;
    // A cancel before the deadline: it costs one load, the other a look at the clock.
    if (state_->nearest != nullptr) {
        const auto why = state_->nearest->why.load(std::memory_order_acquire);
        if (why != cause::none) return why;
    }
    if (state_->deadline == clock::time_point::max()) return cause::none;
    // A deadline needs no timer and nobody who tells of it: it has passed as soon as the clock says so.
    return clock::now() >= state_->deadline ? cause::deadline : cause::none;
}

clock::time_point context::deadline() const noexcept { return state_ ? state_->deadline : clock::time_point::max(); }

std::stop_token context::internal_token() const {
    if (!state_ || state_->nearest == nullptr) return {};
    return state_->nearest->source.get_token();
}

std::stop_token context::token() const {
    // A token outlives the context, and must not be heard by the next piece of work: see renew.
    if (state_ && state_->nearest != nullptr) state_->nearest->token_taken = true;
    return internal_token();
}

context context::with_deadline(clock::time_point when) const {
    return context(boost::intrusive_ptr<node>(new node(state_, when)));
}

const void* context::find(std::type_index type) const noexcept {
    for (const auto* at = state_.get(); at != nullptr; at = at->parent.get()) {
        if (const auto* value = at->value(type)) return value;
    }
    return nullptr;
}

std::source_location context::waits_at() const noexcept {
    if (!state_ || state_->nearest == nullptr) return {};
    return state_->nearest->waits_at.load(std::memory_order_acquire);
}

context::waiting::waiting(const context& from, std::source_location where) noexcept : state_(from.state_) {
    if (state_ && state_->nearest != nullptr)
        before_ = state_->nearest->waits_at.exchange(where, std::memory_order_acq_rel);
}

context::waiting::~waiting() {
    if (state_ && state_->nearest != nullptr) state_->nearest->waits_at.store(before_, std::memory_order_release);
}

cancel_scope::cancel_scope(const context& parent, clock::time_point deadline) : parent_(parent) { renew(deadline); }

cancel_scope::~cancel_scope() { cancel(cause::cancelled); }

void cancel_scope::cancel(cause why) noexcept { context_.state_->nearest->cancel(why); }

void cancel_scope::renew(clock::time_point deadline) {
    if (context_.state_) {
        auto& last = *context_.state_->nearest;
        // Nothing else refers to it, so nothing can tell the old one from the new: a request on a kept connection costs
        // no allocation.
        const bool ours_alone = last.use_count() == 1 && !last.token_taken.load(std::memory_order_relaxed);
        if (ours_alone && last.why.load(std::memory_order_relaxed) == cause::none) {
            last.deadline = parent_.state_ ? std::min(parent_.deadline(), deadline) : deadline;
            return;
        }
        cancel(cause::cancelled);
    }
    context_ = context(boost::intrusive_ptr<context::node>(new context::scope(parent_.state_, deadline)));
}

}  // namespace lifecycle
