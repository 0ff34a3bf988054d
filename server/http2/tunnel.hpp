#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "server/session.hpp"

namespace server::http2 {

class stream;
class tunnelling;

/// A stream after an extended CONNECT (RFC 8441): the socket of a session that lives on it. What comes is held in the
/// stream until it is read, and the windows are opened for that; what is written waits here for them. FIN is
/// END_STREAM, a reset RST_STREAM CANCEL.
///
/// Belongs to its stream. What happens to it is told to the session by `drive`, outside of nghttp2.
class tunnel final : public server::tunnel {
public:
    tunnel(tunnelling& of, stream& on) noexcept : of_(of), on_(on) {}

    transfer read(std::span<char> into) override;
    bool holds() const noexcept override;
    transfer write(std::string_view bytes) override;
    void finish() override;
    void discard() noexcept override;
    std::size_t unacknowledged() const noexcept override { return out_.size() - sent_; }
    void watch(poll_set::interest wanted) noexcept override { wanted_ = wanted; }
    void proceed() noexcept override;

    /// The session sees what has happened, and goes on.
    server::session::next drive(const moment& at);
    /// nghttp2 takes some of what waits.
    std::ptrdiff_t give(std::span<std::uint8_t> into, std::uint32_t& flags) noexcept;
    /// Nothing more comes.
    void end() noexcept { ended_ = true; }

    std::unique_ptr<server::session> inside;  ///< none: it has ended
    std::uint32_t asked = 0;                  ///< by it, as its machine has counted

private:
    static constexpr std::size_t most = 64 * 1024;  ///< bytes that wait

    bool has_room() const noexcept { return unacknowledged() < most; }

    tunnelling& of_;
    stream& on_;
    std::string out_;
    std::size_t sent_ = 0;  ///< of that, to nghttp2
    poll_set::interest wanted_ = poll_set::interest::read;
    bool ended_ = false, told_end_ = false, finished_ = false;
};

}  // namespace server::http2
