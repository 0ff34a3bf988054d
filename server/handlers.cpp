#include "server/handlers.hpp"

#include <algorithm>
#include <cassert>
#include <new>
#include <stdexcept>
#include <utility>

#include "server/parked.hpp"
#include "server/timed_stream.hpp"

namespace server {

namespace {

/// Made while there is memory.
const std::exception_ptr was_destroyed = std::make_exception_ptr(std::bad_alloc());

}  // namespace

/// A coroutine that does one job after the other; between two it is parked.
class handlers::runner final : public lifecycle::task {
public:
    explicit runner(handlers& of) : task("handler", "handler"), of_(of) {}
    ~runner() override;
    runner(const runner&) = delete;
    runner& operator=(const runner&) = delete;

    void cancel() noexcept override {}  // its context is what ends it
    lifecycle::awaitable<> run();

    /// True: the job is done.
    bool start(asked what, exchange& of, const request& about, asker& whose) {
        assert(asker_ == nullptr && "one job at a time");
        what_ = what;
        exchange_ = &of;
        request_ = &about;
        asker_ = &whose;
        starting_ = true;
        job_.go_on();  // else it looks before it waits
        starting_ = false;
        return asker_ == nullptr;
    }
    void end() { job_.go_on(); }

    runner* next = nullptr;  ///< of those that are kept

private:
    lifecycle::awaitable<> first_piece();
    bool keep() noexcept;

    handlers& of_;
    asked what_{};
    exchange* exchange_ = nullptr;
    const request* request_ = nullptr;
    asker* asker_ = nullptr;  ///< nullptr: has no job
    parked job_;              ///< waits for the next one
    bool starting_ = false;
};

/// Where an operation that a handler waits for finds no memory on its way, Asio destroys the coroutines, this one and
/// the handler's. The client is not to wait for them.
handlers::runner::~runner() {
    if (asker_ == nullptr || starting_) return;  // what starts it is told by what is thrown there
    exchange_->thrown = was_destroyed;
    std::exchange(asker_, nullptr)->returned();
}

/// While a streamed response may still become another: its first piece. A source that fails here is a 500.
lifecycle::awaitable<> handlers::runner::first_piece() {
    auto& reply = exchange_->reply;
    if (reply.texts) {
        auto asking = reply.texts();
        reply.body = co_await std::move(asking);
        co_return;
    }
    reply.body.resize(std::min<std::uint64_t>(exchange_->largest_piece, reply.length.value_or(response::window)));
    if (reply.body.empty()) co_return;
    auto asking = reply.pieces(std::span(reply.body));
    const std::size_t count = co_await std::move(asking);
    if (count == 0 && reply.length) throw std::runtime_error("the source of its response is empty");
    reply.body.resize(count);
}

lifecycle::awaitable<> handlers::runner::run() {
    for (;;) {
        if (asker_ == nullptr) {
            auto waiting = job_.wait([] {});
            co_await std::move(waiting);
        }
        if (asker_ == nullptr) co_return;  // there will be none
        auto& done = *exchange_;
        try {
            if (what_ == asked::piece && done.reply.texts) {
                auto asking = done.reply.texts();
                done.reply.body = co_await std::move(asking);
                done.piece = done.reply.body.size();
            } else if (what_ == asked::piece) {
                auto asking = done.reply.pieces(std::span(done.reply.body));
                done.piece = co_await std::move(asking);
            } else {
                if (what_ == asked::handler) {
                    auto handling = done.to->handle(done.context(), *request_);
                    done.reply = co_await std::move(handling);
                }
                if (done.streams(*request_)) {
                    auto fetching = first_piece();
                    co_await std::move(fetching);
                }
            }
        } catch (...) {
            done.thrown = std::current_exception();
        }
        auto& whose = *std::exchange(asker_, nullptr);
        if (!starting_) whose.returned();
        if (!keep()) co_return;
    }
}

/// It is free again. False: there are enough of those. Not while the code that started it looks at it.
bool handlers::runner::keep() noexcept {
    if (!starting_ && (of_.closed_ || of_.kept_ >= most_kept)) return false;
    next = std::exchange(of_.free_, this);
    ++of_.kept_;
    return true;
}

handlers::~handlers() { assert(free_ == nullptr && "close() has not been called"); }

handlers::runner& handlers::take() {
    assert((free_ != nullptr) == (kept_ > 0));
    if (free_ != nullptr) {
        --kept_;
        return *std::exchange(free_, free_->next);
    }
    auto made = std::make_unique<runner>(*this);
    auto& handled = *made;
    auto work = handled.run();
    if (!tasks_.spawn(std::move(made), std::move(work))) throw std::runtime_error("the loop has ended");
    return handled;
}

bool handlers::ask(asked what, exchange& of, const request& about, asker& whose) {
    try {
        const auto* const timed = what == asked::piece ? of.reply.texts.target<timed_texts>() : nullptr;
        if (timed != nullptr) return timed->stream->ask(of, whose);
        return take().start(what, of, about, whose);
    } catch (...) {
        of.thrown = std::current_exception();
        return true;
    }
}

bool handlers::is_runner(const lifecycle::task& task) noexcept { return dynamic_cast<const runner*>(&task) != nullptr; }

void handlers::close() noexcept {
    closed_ = true;
    while (free_ != nullptr) {
        --kept_;
        std::exchange(free_, free_->next)->end();
    }
    assert(kept_ == 0);
}

}  // namespace server
