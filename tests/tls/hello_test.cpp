// The answer to a client that sends a ClientHello (RFC 8446, section 4.1.2; RFC 5246, section 7.4.1.2) which is none:
// the alert that a table names, in clear, and nothing else; what still comes from it is read and forgotten.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>

#include "server/tls/session.hpp"
#include "tests/support/process.hpp"
#include "tests/tls/authority.hpp"

namespace {

using stage = server::layer::stage;
using tls_tests::authority;

std::string number(std::size_t value, std::size_t bytes) {
    std::string made(bytes, '\0');
    for (std::size_t nth = bytes; nth > 0; --nth, value >>= 8) made[nth - 1] = static_cast<char>(value & 0xff);
    return made;
}
/// With its length in front.
std::string vector_of(const std::string& content, std::size_t bytes) { return number(content.size(), bytes) + content; }
std::string extension(std::size_t type, const std::string& content) { return number(type, 2) + vector_of(content, 2); }

/// A hello in its parts, sound as it is made.
struct hello {
    std::string record_type = "\x16";
    std::string record_version = {"\x03\x01", 2};
    std::string message_type = "\x01";
    std::string version = {"\x03\x03", 2};
    std::string random = std::string(32, 'r');
    std::string session_id = vector_of("", 1);
    std::string suites = vector_of(std::string("\x13\x01\xc0\x2b", 4), 2);
    std::string compressions = vector_of(std::string("\0", 1), 1);
    std::string names = extension(0, vector_of(std::string("\0", 1) + vector_of("localhost", 2), 2));
    std::string groups = extension(10, vector_of(std::string("\0\x17", 2), 2));
    std::string signatures = extension(13, vector_of(std::string("\x04\x03", 2), 2));
    std::string versions = "";
    std::string more = "";
    bool has_extensions = true;

    std::string message() const {
        auto body = version + random + session_id + suites + compressions;
        if (has_extensions) body += vector_of(names + groups + signatures + versions + more, 2);
        return message_type + vector_of(body, 3);
    }
    std::string record() const { return record_type + record_version + vector_of(message(), 2); }
};

constexpr int waits = -1;    ///< for more of it
constexpr int goes_on = -2;  ///< it is answered by a ServerHello
constexpr int silence = -3;  ///< there is no version in which to say anything
constexpr int unexpected_message = 10, record_overflow = 22, handshake_failure = 40, illegal_parameter = 47,
              decode_error = 50, protocol_version = 70, missing_extension = 109, unrecognized_name = 112;

struct row {
    std::string what;
    std::function<std::string(hello)> made;
    int heard;
};

const std::string tls_1_3 = extension(43, vector_of(std::string("\x03\x04", 2), 1));
const std::string a_share =
    extension(51, vector_of(std::string("\0\x17", 2) + vector_of("\x04" + std::string(64, 's'), 2), 2));

const std::vector<row> table = {
    {"sound, TLS 1.2", [](hello h) { return h.record(); }, goes_on},
    {"an extension that nobody knows", [](hello h) { return h.more = extension(0x5a5a, "x"), h.record(); }, goes_on},
    {"a suite that nobody knows beside others",
     [](hello h) { return h.suites = vector_of(std::string("\x5a\x5a\xc0\x2b", 4), 2), h.record(); }, goes_on},
    {"nothing", [](hello) { return std::string(); }, waits},
    {"the head of a record", [](hello h) { return h.record().substr(0, 5); }, waits},
    {"all but its last byte", [](hello h) { return h.record().substr(0, h.record().size() - 1); }, waits},
    {"another record: application data", [](hello h) { return h.record_type = "\x17", h.record(); },
     unexpected_message},
    {"another record: ChangeCipherSpec", [](hello h) { return h.record_type = "\x14", h.record(); },
     unexpected_message},
    {"an alert", [](hello) { return std::string("\x15\x03\x01\x00\x02\x01\x00", 7); }, unexpected_message},
    {"an empty record", [](hello) { return std::string("\x16\x03\x01\x00\x00", 5); }, waits},
    {"a record above 16 KiB", [](hello) { return std::string("\x16\x03\x01\x60\x00", 5) + std::string(0x6000, 'x'); },
     record_overflow},
    {"a version of the record that is none", [](hello h) { return h.record_version = "\x05\x05", h.record(); },
     silence},
    {"another message: ServerHello", [](hello h) { return h.message_type = "\x02", h.record(); }, unexpected_message},
    {"another message: Finished", [](hello h) { return h.message_type = "\x14", h.record(); }, unexpected_message},
    {"SSL 3.0", [](hello h) { return h.version = std::string("\x03\x00", 2), h.record(); }, handshake_failure},
    {"TLS 1.0", [](hello h) { return h.version = "\x03\x01", h.record(); }, protocol_version},
    {"TLS 1.1", [](hello h) { return h.version = "\x03\x02", h.record(); }, protocol_version},
    {"a version of the future without the extension", [](hello h) { return h.version = "\x03\x09", h.record(); },
     goes_on},
    {"no suite", [](hello h) { return h.suites = vector_of("", 2), h.record(); }, illegal_parameter},
    {"half a suite", [](hello h) { return h.suites = vector_of("\x13", 2), h.record(); }, decode_error},
    {"no suite in common", [](hello h) { return h.suites = vector_of(std::string("\x00\x05", 2), 2), h.record(); },
     handshake_failure},
    {"RSA key exchange alone", [](hello h) { return h.suites = vector_of(std::string("\x00\x9c", 2), 2), h.record(); },
     handshake_failure},
    {"CBC alone", [](hello h) { return h.suites = vector_of(std::string("\xc0\x23", 2), 2), h.record(); },
     handshake_failure},
    {"more suites than there are bytes", [](hello h) { return h.suites = number(4000, 2) + "\x13\x01", h.record(); },
     decode_error},
    {"no compression method", [](hello h) { return h.compressions = vector_of("", 1), h.record(); }, decode_error},
    {"compression alone", [](hello h) { return h.compressions = vector_of("\x01", 1), h.record(); }, decode_error},
    {"a session id of 33 bytes", [](hello h) { return h.session_id = vector_of(std::string(33, 's'), 1), h.record(); },
     decode_error},
    {"a message that says it is longer than the handshake allows",
     [](hello h) { return h.record_type + h.record_version + vector_of("\x01" + number(0xffffff, 3), 2); },
     illegal_parameter},
    {"fifteen KiB of padding", [](hello h) { return h.more = extension(21, std::string(15'000, '\0')), h.record(); },
     goes_on},
    {"no more than the head of a message of 128 KiB",
     [](hello h) { return h.record_type + h.record_version + vector_of("\x01" + number(0x20000, 3), 2); },
     illegal_parameter},
    {"the same in records of a byte",
     [](hello h) {
         std::string all;
         for (const char byte : "\x01" + number(0x20000, 3))
             all += h.record_type + h.record_version + vector_of(std::string(1, byte), 2);
         return all;
     },
     illegal_parameter},
    {"bytes behind its end",
     [](hello h) {
         auto body = h.message().substr(4) + "x";
         return h.record_type + h.record_version + vector_of("\x01" + vector_of(body, 3), 2);
     },
     decode_error},
    {"extensions longer than the message",
     [](hello h) { return h.has_extensions = false, h.compressions += number(500, 2), h.record(); }, decode_error},
    {"an extension longer than all of them",
     [](hello h) { return h.more = number(0x5a5a, 2) + number(9, 2) + "x", h.record(); }, decode_error},
    {"an extension twice", [](hello h) { return h.more = h.groups, h.record(); }, illegal_parameter},
    {"a name of no bytes",
     [](hello h) { return h.names = extension(0, vector_of(std::string("\0\0\0", 3), 2)), h.record(); }, goes_on},
    {"a name with a NUL",
     [](hello h) {
         return h.names = extension(0, vector_of(std::string("\0", 1) + vector_of(std::string("a\0b", 3), 2), 2)),
                h.record();
     },
     unrecognized_name},
    {"an empty list of groups", [](hello h) { return h.groups = extension(10, vector_of("", 2)), h.record(); },
     decode_error},
    {"half a group", [](hello h) { return h.groups = extension(10, vector_of("\x17", 2)), h.record(); }, decode_error},
    {"no signature algorithm", [](hello h) { return h.signatures = extension(13, vector_of("", 2)), h.record(); },
     decode_error},
    {"no signature algorithm in common",
     [](hello h) { return h.signatures = extension(13, vector_of(std::string("\x02\x01", 2), 2)), h.record(); },
     handshake_failure},
    {"an empty ALPN", [](hello h) { return h.more = extension(16, vector_of("", 2)), h.record(); }, decode_error},
    {"ALPN with an empty name",
     [](hello h) { return h.more = extension(16, vector_of(std::string("\0", 1), 2)), h.record(); }, decode_error},
    {"ALPN without a protocol of ours",
     [](hello h) { return h.more = extension(16, vector_of(vector_of("smtp", 1), 2)), h.record(); }, goes_on},
    {"an empty list of versions", [](hello h) { return h.versions = extension(43, vector_of("", 1)), h.record(); },
     protocol_version},
    {"no version in common", [](hello h) { return h.versions = extension(43, vector_of("\x03\x01", 1)), h.record(); },
     protocol_version},
    {"TLS 1.3 without a key share", [](hello h) { return h.versions = tls_1_3, h.record(); }, missing_extension},
    {"TLS 1.3 with a share that is no point of the curve",
     [](hello h) { return h.versions = tls_1_3, h.more = a_share, h.record(); }, illegal_parameter},
};

TEST(Hello, EachThatIsNoneHearsItsAlert) {
    const support::temporary_directory folder;
    authority ours;
    authority::write(folder.path(), "a", ours.issue());
    server::tls_options by;
    by.certificate = {folder.path() / "a.crt"};
    by.key = {folder.path() / "a.key"};
    const auto from = std::make_shared<const server::tls::generation>(by, "app", server::tls::make_ticket_key());
    for (const auto& [what, made, heard] : table) {
        SCOPED_TRACE(what);
        int both[2] = {-1, -1};
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, both), 0);
        server::tls::session session(from, std::make_shared<server::tls::tally>());
        const auto bytes = made(hello());
        ASSERT_EQ(::send(both[0], bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
        for (int turns = 0; turns < 5 && session.shakes(); ++turns) session.shake(both[1]);
        std::string seen(65'536, '\0');
        const auto count = ::recv(both[0], seen.data(), seen.size(), 0);
        seen.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
        const int alert = seen.size() == 7 && seen[0] == '\x15' ? seen[6] : seen.empty() ? waits : goes_on;
        EXPECT_EQ(alert, heard == silence ? waits : heard);
        const auto last = heard >= 0 || heard == silence ? stage::failed
                          : heard == waits               ? stage::quiet
                                                         : stage::shaking;
        EXPECT_EQ(session.now_in(), last);
        EXPECT_EQ(session.stirs(), heard == goes_on || (heard == waits && !bytes.empty()));
        ::close(both[0]);
        ::close(both[1]);
    }
}

}  // namespace
