#include "server/request_body.hpp"

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>
#include <cassert>
#include <new>
#include <utility>

namespace server {

namespace asio = boost::asio;

/// As the runner of a handler waits for its next job: without memory, and without a turn of the loop.
template <class Handler>
class request_body::waiting_as final : public waiting_reader {
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

auto request_body::some_more() {
    auto begin = [this]<class Handler>(Handler handler) {
        static_assert(sizeof(waiting_as<Handler>) <= sizeof place_);
        waits_ = new (place_) waiting_as<Handler>(std::move(handler));
        if (wants) wants();
    };
    return asio::async_initiate<const asio::deferred_t, void()>(begin, asio::deferred);
}

lifecycle::awaitable<std::size_t> request_body::read(std::span<char> into) {
    assert(wanted_.empty() && "one read at a time");
    if (into.empty()) throw std::invalid_argument("a read of a body has no room");
    if (has_some()) co_return take(into);
    want(into);
    auto waiting = some_more();
    co_await std::move(waiting);
    if (has_failed()) throw_failure();
    co_return given();
}

std::size_t request_body::take(std::span<char> into) {
    if (here_.empty() && has_failed()) throw_failure();
    const auto count = std::min(into.size(), here_.size());
    std::copy_n(here_.begin(), count, into.begin());
    here_.remove_prefix(count);
    return count;
}

void request_body::throw_failure() const { throw body_failed(failed_by_, why_); }

void request_body::came(std::size_t count, bool over) noexcept {
    given_ = count;
    over_ = over;
    wanted_ = {};
}

void request_body::fail(rule by, const char* why) noexcept {
    if (has_failed() || over_) return;
    failed_ = true;
    failed_by_ = by;
    why_ = why;
    wanted_ = {};
}

void request_body::go_on() {
    if (auto* const one = std::exchange(waits_, nullptr)) one->go_on();
}

}  // namespace server
