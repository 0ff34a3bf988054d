#include "server/http1/receiving.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

namespace server {

using lifecycle::clock;

void http1_receiving::begin_body(const moment& at) {
    auto& parser = work_->parser;
    auto& current = work_->current;
    if (std::exchange(flags_.streams, false)) {
        const auto length = parser.length();
        const auto how = parser.begin_stream(work_->data(), work_->buffered(), current.to->most_body);
        current.incoming = std::make_unique<request_body>(length, parser.come(work_->data()),
                                                          how == request_parser::progress::complete);
        request().incoming = current.incoming.get();
        if (how == request_parser::progress::refused) current.incoming->fail(parser.refused_by());
    }
    current.incoming->rate = {.since = at.now, .left = limits().body_timeout, .bytes = 0, .asked = false};
    // Until its first read it is the handler's time.
    deadline_ = std::min(current.deadline, at.now + limits().request_timeout);
}

void http1_receiving::wants_body(const moment& at) {
    assert(phase_ == phase::handle && !flags_.receives);
    auto& body = *work_->current.incoming;
    flags_.receives = true;
    // Nothing more will come, or the handler is to end: its read fails at once instead of waiting.
    if (flags_.broken || work_->current.told || body.has_failed()) return fail_body(rule::none, at);
    work_->end = work_->begin + work_->parser.leave_head();
    auto& rate = body.rate;
    rate.since = at.now;
    if (!std::exchange(rate.asked, true)) {
        if (work_->parser.expects_continue())
            work_->out += "HTTP/1.1 100 Continue\r\n\r\n";
        else
            ask(step::acknowledge);  // see refuse_early
    }
    deadline_ = std::min(work_->current.deadline, at.now + rate.left);
    waits_ = waiting::nothing;
}

std::span<char> http1_receiving::body_room() noexcept {
    const auto wanted = work_->current.incoming->wanted();
    return wanted.first(work_->parser.welcome_piece(wanted.size(), work_->room()));
}

void http1_receiving::body_came(std::size_t count, const moment& at) {
    auto& body = *work_->current.incoming;
    const auto bytes = body.wanted().first(count);
    const auto done = work_->parser.feed(bytes);
    body.rate.bytes += count;
    // What came after the body is the next request: it was read into the handler's memory and belongs into the buffer.
    if (const auto behind = bytes.subspan(done.used); done.how == request_parser::progress::complete) {
        assert(behind.size() <= work_->room());
        if (!behind.empty()) std::memcpy(work_->input + work_->end, behind.data(), behind.size());
        work_->end += behind.size();
    }
    if (done.how == request_parser::progress::refused) return fail_body(work_->parser.refused_by(), at);
    const bool over = done.how == request_parser::progress::complete;
    if (flags_.late && !over && !comes_fast_enough()) return;  // the last look has not helped; see handle()
    flags_.late = false;
    if (done.body == 0 && !over) return;  // sizes of chunks
    body.came(done.body, over);
    go_on(at);
}

/// What has come in this stretch of its time is enough for another.
bool http1_receiving::comes_fast_enough() const noexcept {
    return work_->current.incoming->rate.is_enough(least_bytes(limits().body_timeout));
}

/// Its deadline has passed. As of a body that is gathered, what has arrived by then is looked at once more.
void http1_receiving::body_is_late(const moment& at) {
    auto& current = work_->current;
    if (at.now >= current.deadline) {
        current.tell(lifecycle::cause::deadline);
        return fail_body(rule::request_timeout, at);
    }
    if (comes_fast_enough()) {
        current.incoming->rate.renew(at.now, limits().body_timeout);
        deadline_ = std::min(current.deadline, at.now + limits().body_timeout);
        return;
    }
    flags_.late = true;
    waits_ = waiting::nothing;
    ask(step::look);
}

void http1_receiving::fail_body(rule by, const moment& at) noexcept {
    if (!work_->current.incoming) return;
    flags_.late = false;
    work_->current.incoming->fail(by);
    // A handler that reads is told now, one that works when it reads next.
    if (flags_.receives) go_on(at);
}

/// From here on it is the handler's time, until it wants more.
void http1_receiving::go_on(const moment& at) noexcept {
    work_->current.incoming->rate.stop(at.now, limits().body_timeout, least_bytes(limits().body_timeout));
    flags_.receives = false;
    waits_ = waiting::nothing;
    deadline_ = std::min(work_->current.deadline, at.now + limits().request_timeout);
    ask(step::give_body);
}

bool http1_receiving::leave_body() noexcept {
    assert(!flags_.receives && "a handler returns, not its read");
    auto& body = *work_->current.incoming;
    const bool over = body.is_over();
    body.fail(rule::none, "the handler of its request has returned");  // to the source of a streamed answer
    return !over;
}

}  // namespace server
