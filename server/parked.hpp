#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>
#include <cstddef>
#include <new>
#include <utility>

namespace server {

/// A coroutine that waits until `go_on` is called, and goes on inside that call: no turn of the loop, and no memory.
/// One at a time; must outlive it.
class parked {
public:
    parked() = default;
    parked(const parked&) = delete;
    parked& operator=(const parked&) = delete;

    /// To be awaited at once. `then` is called when it waits, and may call `go_on` only later.
    template <class Then>
    auto wait(Then then) {
        auto begin = [this, then = std::move(then)]<class Handler>(Handler handler) {
            static_assert(sizeof(waiting_as<Handler>) <= sizeof place_);
            waits_ = new (place_) waiting_as<Handler>(std::move(handler));
            then();
        };
        return boost::asio::async_initiate<const boost::asio::deferred_t, void()>(std::move(begin),
                                                                                  boost::asio::deferred);
    }
    /// Does nothing if no coroutine waits. This object may not exist any more afterwards.
    void go_on() {
        if (auto* const waiting = std::exchange(waits_, nullptr)) waiting->go_on();
    }

private:
    /// Without its type.
    class waiting {
    public:
        virtual void go_on() = 0;

    protected:
        ~waiting() = default;
    };
    template <class Handler>
    class waiting_as final : public waiting {
    public:
        explicit waiting_as(Handler handler) : handler_(std::move(handler)) {}
        void go_on() override {
            auto handler = std::move(handler_);
            this->~waiting_as();
            std::move(handler)();
        }

    private:
        Handler handler_;
    };

    waiting* waits_ = nullptr;
    alignas(std::max_align_t) std::byte place_[64];
};

}  // namespace server
