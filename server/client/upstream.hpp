#pragma once

#include <boost/system/result.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lifecycle {
class stop_channel;
}

namespace server {

/// The limits on the connections of one loop to one upstream.
struct connection_limits {
    std::size_t connections = 16;  ///< at a time; a call that finds none free waits
    std::chrono::milliseconds idle_timeout{30'000};
    const lifecycle::stop_channel* stop = nullptr;  ///< set: nothing is kept once it has begun
};

/// A server that may be called. Immutable, shared by all loops.
struct upstream {
    std::string host;  ///< a name or an IP literal, without brackets
    std::uint16_t port = 0;
    std::string authority;  ///< as it goes into `Host`
    bool secure = false;    ///< https
    connection_limits limits;
};

/// Where a request goes. Only an `allow_list` makes one, so no other server can be called.
class upstream_target {
public:
    const std::shared_ptr<const upstream>& server() const noexcept { return server_; }
    /// With the query, as it stands in the request line.
    const std::string& path() const noexcept { return path_; }

private:
    friend class allow_list;
    upstream_target(std::shared_ptr<const upstream> server, std::string path)
        : server_(std::move(server)), path_(std::move(path)) {}

    std::shared_ptr<const upstream> server_;
    std::string path_;
};

/// The servers that the settings allow to be called. Immutable; safe from any thread.
///
/// What is connected to, and what `Host` says, is the entry of the list; of a URL that matches it only path and query
/// are used. So no way of writing a URL leads elsewhere.
class allow_list {
public:
    /// "http://host[:port]" and "https://host[:port]", several separated by commas. Throws std::runtime_error with one
    /// line when one is not.
    allow_list(std::string_view origins, const connection_limits& limits);

    /// Errors: `invalid_argument` for what is no absolute URL, or has user information or a fragment;
    /// `permission_denied` for every upstream that is not in the list.
    boost::system::result<upstream_target> find(std::string_view url) const;

    const std::vector<std::shared_ptr<const upstream>>& upstreams() const noexcept { return upstreams_; }

private:
    std::vector<std::shared_ptr<const upstream>> upstreams_;
};

}  // namespace server
