#include "server/request_body.hpp"

#include <algorithm>
#include <cassert>

namespace server {

lifecycle::awaitable<std::size_t> request_body::read(std::span<char> into) {
    assert(wanted_.empty() && "one read at a time");
    if (into.empty()) throw std::invalid_argument("a read of a body has no room");
    // Without a wait, as long as something is here.
    if (has_some()) co_return take(into);
    want(into);
    auto waiting = reader_.wait([this] {
        if (wants) wants();
    });
    co_await std::move(waiting);
    if (has_failed()) throw_failure();
    co_return given();
}

std::size_t request_body::take(std::span<char> into) {
    // What came before the failure is still given: the handler may have asked for no more than that.
    if (here_.empty() && has_failed()) throw_failure();
    const auto count = std::min(into.size(), here_.size());
    std::copy_n(here_.begin(), count, into.begin());
    here_.remove_prefix(count);
    if (took && count > 0) took(count);
    return count;
}

void request_body::throw_failure() const {
    assert(failed_);
    throw body_failed(failed_by_, why_);
}

void request_body::hold(std::string_view here, bool over) noexcept {
    here_ = here;
    over_ = over;
    begun_ = begun_ || !here.empty();
}

void request_body::came(std::size_t count, bool over) noexcept {
    assert(count <= wanted_.size() && "it was read into that");
    given_ = count;
    over_ = over;
    begun_ = begun_ || count > 0;
    wanted_ = {};
}

void request_body::fail(rule by, const char* why) noexcept {
    // The first reason counts; and a body that is complete cannot fail any more.
    if (has_failed() || over_) return;
    failed_ = true;
    failed_by_ = by;
    why_ = why;
    wanted_ = {};
}

void request_body::fail(rule by) noexcept {
    switch (by) {
        case rule::body_timeout: return fail(by, "the client sends its body too slowly");
        case rule::max_body_bytes: return fail(by, "the body is larger than this route takes");
        case rule::max_in_flight: return fail(by, "the service holds too many bytes of bodies");
        case rule::chunk: return fail(by, "the chunked coding of the body is broken");
        case rule::drain: return fail(by, "the service stops");
        case rule::request_timeout: return fail(by, "its deadline has passed");
        default: return fail(by, "the client has gone");
    }
}

}  // namespace server
