#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/tls/openssl.hpp"
#include "tests/simulator/guest.hpp"
#include "tests/simulator/network.hpp"

namespace simulator {

/// The certificate of every simulated process and its key, as PEM: the same bytes in each run, valid for a hundred
/// years.
struct identity {
    std::string certificate, key;
};
const identity& own_identity();

/// From here on OpenSSL takes its random numbers from the seed. Before it is used in any other way.
void seed_openssl();

/// A way on which its client speaks TLS: what the guest sends and gets is in clear, what is under way is not. The
/// client's half is that of OpenSSL; it takes any certificate, and says a farewell before its FIN.
class secured_way final : public way, public peer {
public:
    /// Of that guest, until it leaves.
    secured_way(kernel& on, nanoseconds one_way, std::uint64_t loss, guest& whose);

    void send(std::string bytes) override;
    void finish() override;
    bool had(std::uint64_t bytes) const override;

    void established() override { shake(); }
    void refused() override { guest_.refused(); }
    void received(std::string_view bytes) override;
    void finished() override;
    void was_reset() override { guest_.was_reset(); }

private:
    bool shake();
    void flush();

    guest& guest_;
    server::tls::session_pointer ssl_;
    BIO *in_ = nullptr, *out_ = nullptr;  ///< its own
    bool is_open_ = false;
    std::uint64_t clear_ = 0, sent_ = 0;                         ///< bytes of the guest, and on the wire
    std::uint64_t shaken_ = 0;                                   ///< of the wire, with the last of the handshake
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ends_;  ///< of what the guest has sent, both
};

}  // namespace simulator
