#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/options.hpp"
#include "server/request.hpp"
#include "server/rule.hpp"

namespace server::http2 {

/// The fields of a request of HTTP/2 as nghttp2 decodes them, and the request that they make: the limits, what RFC 9113
/// leaves to a server, and what every answer looks for. A second block, after the body, is the trailers.
///
/// What arrives is kept in one string, by offsets until the block is whole, since it grows. The views of the request
/// are into that: they are valid until `renew`. Only on one thread.
class header_block {
public:
    /// For the next request; memory beyond the usual is given back.
    void renew() noexcept;
    /// The next field, of whichever block. `rule::none`: it is kept. Else it breaks that one of the limits, and no more
    /// should be added.
    rule add(std::string_view name, std::string_view value, const options& limits);
    /// A field that is not kept still counts.
    void skip(std::string_view name, std::string_view value) noexcept { list_size_ += size_of(name, value); }
    /// The first block is whole: fills the request. What is added after this is a trailer.
    void make_request(request& into);
    /// RFC 9113 section 8.3.1: what nghttp2 lets through and a server must refuse, by the rules of HTTP/1.1.
    /// `rule::none`: nothing is wrong with it, and it has its host, path and query.
    rule check(request& made, const options& limits);
    /// The second block is whole.
    void add_trailers(request& to);

    /// Of all fields so far, as RFC 9113 section 6.5.2 has it.
    std::size_t list_size() const noexcept { return list_size_; }
    bool is_grpc() const noexcept { return is_grpc_; }
    bool is_traced() const noexcept { return is_traced_; }
    bool expects_continue() const noexcept { return expects_continue_; }
    /// X-Request-Id as sent; its data() is nullptr when there is none.
    std::string_view id() const noexcept { return id_; }
    /// X-Request-Timeout as sent, or grpc-timeout in the words of that.
    std::string_view timeout() const noexcept { return timeout_; }
    /// Content-Length.
    std::optional<std::uint64_t> announced() const noexcept { return announced_; }

private:
    struct place {
        std::size_t at, size;
    };
    struct pair {
        place name, value;
    };

    static std::size_t size_of(std::string_view name, std::string_view value) noexcept {
        constexpr std::size_t overhead = 32;  // RFC 9113 section 6.5.2
        return name.size() + value.size() + overhead;
    }
    void add_pseudo(std::string_view name, std::string_view value);
    void note(const request::field& field);
    void take_grpc_timeout(std::string_view text);

    std::string head_;
    std::string trailers_;
    std::string cookies_;       ///< all of them, joined
    std::string path_storage_;  ///< of one that had to be rewritten
    std::string timeout_;
    std::vector<pair> places_;  ///< of the fields of the block that is arriving
    place method_{}, path_{}, scheme_{}, authority_{}, protocol_{};
    std::size_t list_size_ = 0;
    std::string_view id_;
    std::optional<std::uint64_t> announced_;
    bool made_ = false, is_traced_ = false, is_grpc_ = false, expects_continue_ = false;
};

}  // namespace server::http2
