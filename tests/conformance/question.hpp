#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace conformance {

/// What stands after an expectation.
enum class grade {
    must,    ///< an absolute requirement of the RFC
    should,  ///< a SHOULD or RECOMMENDED, or what the grammar says (RFC 9112 section 2.2: 400 and close)
    safe     ///< the RFC leaves a choice, and one of them is known from request smuggling
};

/// One question of the exam: bytes from a client, and what an origin server must do with them.
///
/// `expect` is the answers in their order, then what becomes of the connection: `open` (the next request
/// on it is answered), `close` (no byte more, then its end), `any`, or
/// `stop` (not looked at: what is sent next would be the body that has been refused). An answer is the statuses that
/// are right, `400|501` or `4xx`; with `?` it may be missing, with `h` it has no body because it answers HEAD.
struct question {
    std::string name;
    std::string section;  ///< of the RFC: "9112 3.2"
    grade weight;
    std::string bytes;
    std::string expect;
    /// Of the last answer: `Name` is there, `!Name` is not, `Name: value`, `=body`.
    std::vector<std::string> also = {};
    std::string then = {};          ///< sent when a first answer (100) has come
    bool finishes_sending = false;  ///< FIN after the last byte
    /// What is right for a server that takes the targets of browsers too (app.strict_targets = false); empty: the same.
    std::string by_browsers = {};
};

using questions = std::vector<question>;

questions request_lines();
questions targets();
questions hosts();
questions fields();
questions lengths();
questions codings();
questions chunks();
questions methods();
questions connections();
questions pipelines();
questions expectations();
questions foreign();

/// All of them, in this order.
questions all_questions();

// What most of the bytes are made of. Every server under the exam has GET / and /livez and POST /echo.

/// A request with the `Host` that HTTP/1.1 asks for.
inline std::string with_host(std::string_view line, std::string_view more = {}) {
    return std::string(line) + "\r\nHost: exam\r\n" + std::string(more) + "\r\n";
}
inline std::string get(std::string_view more = {}) { return with_host("GET / HTTP/1.1", more); }
inline std::string post(std::string_view more, std::string_view body = {}) {
    return with_host("POST /echo HTTP/1.1", more) + std::string(body);
}
inline std::string chunked(std::string_view body) { return post("Transfer-Encoding: chunked\r\n", body); }

/// A byte as a name can show it.
std::string shown(char byte);

}  // namespace conformance
