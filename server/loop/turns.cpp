#include "server/loop/turns.hpp"

#include <algorithm>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/post.hpp>
#include <cassert>
#include <new>

#include "lifecycle/operation_memory.hpp"
#include "server/connection.hpp"

namespace server {

namespace asio = boost::asio;

void loop_turns::let_others_go_first(connection& waits) {
    waiting_.back().push_back(&waits);
    if (waiting_.back().size() == 1) post(waiting_.size() - 1);
}

void loop_turns::post(std::size_t left) {
    const auto turn = [this, left] { give(left); };
    try {
        asio::post(io_, asio::bind_allocator(lifecycle::operation_allocator<void>(), turn));
    } catch (const std::bad_alloc&) {
        turn();
    }
}

void loop_turns::give(std::size_t left) {
    assert(left < waiting_.size());
    auto& some = waiting_[left];
    for (std::size_t nth = 0; nth < some.size(); ++nth) {
        if (some[nth] == nullptr) continue;
        if (left == 0)
            some[nth]->turn_came();
        else
            waiting_[left - 1].push_back(some[nth]);
    }
    some.clear();
    if (left > 0 && !waiting_[left - 1].empty()) post(left - 1);
}

/// Its place stays: it may go in the turn of another, in which the list is walked through.
void loop_turns::forget(connection& gone) noexcept {
    for (auto& some : waiting_) std::replace(some.begin(), some.end(), &gone, static_cast<connection*>(nullptr));
}

}  // namespace server
