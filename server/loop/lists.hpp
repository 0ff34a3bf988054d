#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <cstddef>

#include "server/connection.hpp"

namespace server {

/// The connections of a loop, each in one of these lists, by how often the tick has to look at it: see `listing`. A
/// list begins with the one that has been in it for longest.
///
/// Owns none of them. Only on the loop's thread.
class connection_lists {
public:
    using list = boost::intrusive::list<connection, boost::intrusive::base_hook<activity_hook>,
                                        boost::intrusive::constant_time_size<false>>;

    void add(connection& fresh, listing as) noexcept {
        lists_[index(as)].push_back(fresh);
        ++counts_[index(as)];
    }
    /// To the end of its list where both are the same.
    void move(connection& which, listing from, listing to) noexcept {
        static_cast<activity_hook&>(which).unlink();
        lists_[index(to)].push_back(which);
        if (from == to) return;
        --counts_[index(from)];
        ++counts_[index(to)];
    }
    void remove(connection& which, listing from) noexcept {
        static_cast<activity_hook&>(which).unlink();
        --counts_[index(from)];
    }

    list& of(listing as) noexcept { return lists_[index(as)]; }
    const list& of(listing as) const noexcept { return lists_[index(as)]; }
    std::size_t count(listing as) const noexcept { return counts_[index(as)]; }
    std::array<list, listings>& all() noexcept { return lists_; }
    const std::array<list, listings>& all() const noexcept { return lists_; }

private:
    static constexpr std::size_t index(listing as) noexcept { return static_cast<std::size_t>(as); }

    std::array<list, listings> lists_;
    std::array<std::size_t, listings> counts_{};
};

}  // namespace server
