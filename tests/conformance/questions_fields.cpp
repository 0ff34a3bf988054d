// The fields of a head; Host first of all.

#include <fmt/format.h>

#include "tests/conformance/question.hpp"

using namespace std::string_literals;

namespace conformance {

static std::string hosted(std::string_view value) { return fmt::format("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", value); }

questions hosts() {
    using enum grade;
    questions all = {
        {"no Host", "9112 3.2", must, "GET / HTTP/1.1\r\n\r\n", "400 close"},
        {"no Host among others", "9112 3.2", must, "GET / HTTP/1.1\r\nAccept: */*\r\nHosts: a\r\n\r\n", "400 close"},
        {"no Host in a later request", "9112 3.2", must, get() + "GET / HTTP/1.1\r\n\r\n", "200 400 close"},
        {"no Host with HTTP/1.5", "9112 3.2", must, "GET / HTTP/1.5\r\n\r\n", "400|505 close"},
        {"Host twice, the same", "9112 3.2", must, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400 close"},
        {"Host twice, others", "9112 3.2", must, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400 close"},
        {"Host twice, far apart", "9112 3.2", must, "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\nhOST: a\r\n\r\n",
         "400 close"},
        {"Host twice, one empty", "9112 3.2", must, "GET / HTTP/1.1\r\nHost: a\r\nHost:\r\n\r\n", "400 close"},
        {"Host twice, HTTP/1.0", "9112 3.2", must, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400 close"},
        {"a bad Host, HTTP/1.0", "9112 3.2", must, "GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "400 close"},
        {"an empty Host", "9112 3.2", must, hosted(""), "200|400|421 any"},
        {"Host in capitals", "9110 5.1", must, "GET / HTTP/1.1\r\nHOST: exam\r\n\r\n", "200 open"},
        {"Host without a blank", "9112 5.1", must, "GET / HTTP/1.1\r\nHost:exam\r\n\r\n", "200 open"},
        {"Host between blanks and tabs", "9112 5.1", must, "GET / HTTP/1.1\r\nHost: \t exam \t \r\n\r\n", "200 open"},
        {"Host as the last of ten", "9112 3.2", must,
         "GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\nG: 7\r\nH: 8\r\nI: 9\r\nHost: exam\r\n\r\n",
         "200 open"},
        {"a blank before the colon of Host", "9112 5.1", must, "GET / HTTP/1.1\r\nHost : exam\r\n\r\n", "400 close"},
        {"a blank before Host", "9112 2.2", must, "GET / HTTP/1.1\r\n Host: exam\r\n\r\n", "400 close"},
        {"Host folded", "9112 5.2", safe, "GET / HTTP/1.1\r\nHost:\r\n exam\r\n\r\n", "400 close"},
    };
    for (const char* good :
         {"exam", "EXAM", "exam:80", "exam:", "exam:8080", "a.b.c.d", "exam.", "127.0.0.1", "127.0.0.1:80", "[::1]",
          "[::1]:80", "[2001:db8::7]", "xn--bcher-kva.example", "a-b", "a_b", "a~b", "%65xam", "1"})
        all.push_back({fmt::format("Host: {}", good), "9110 7.2", should, hosted(good), "200|421 open"});
    for (const char* bad : {"a b",
                            "a\tb",
                            "a/b",
                            "/",
                            "a?b",
                            "a#b",
                            "a@b",
                            "@a",
                            "a\\b",
                            "a:b",
                            "a:8x",
                            "a:80:80",
                            "a:-1",
                            "a:+80",
                            "a: 80",
                            "a :80",
                            "[::1",
                            "::1]",
                            "[::1]x",
                            "[::1]:x",
                            "[zz]",
                            "[]",
                            "[",
                            "]",
                            "a[b]",
                            "http://exam",
                            "http://exam/",
                            "<a>",
                            "a\"b",
                            "a^b",
                            "a`b",
                            "a{b}",
                            "a|b",
                            "%",
                            "%zz",
                            "a%4",
                            "\xc3\xa4.example",
                            "a\x7f",
                            "a\x01",
                            "a, b"})
        all.push_back({fmt::format("Host: {}", bad), "9112 3.2", must, hosted(bad), "400 close"});
    all.push_back({"Host with NUL", "9112 3.2", must, hosted("a\0b"s), "400 close"});
    return all;
}

static questions field_names() {
    using enum grade;
    questions all = {
        {"no colon", "9112 5", should, get("NoColon\r\n"), "400 close"},
        {"no name", "9112 5", should, get(": value\r\n"), "400 close"},
        {"nothing but a colon", "9112 5", should, get(":\r\n"), "400 close"},
        {"a blank in a name", "9112 5.1", must, get("A B: c\r\n"), "400 close"},
        {"a blank before the colon", "9112 5.1", must, get("A : b\r\n"), "400 close"},
        {"a tab before the colon", "9112 5.1", must, get("A\t: b\r\n"), "400 close"},
        {"many blanks before the colon", "9112 5.1", must, get("A    : b\r\n"), "400 close"},
        {"a blank before the colon of Content-Length", "9112 5.1", must, post("Content-Length : 5\r\n", "hello"),
         "400 close"},
        {"a blank before the colon of Transfer-Encoding", "9112 5.1", must,
         post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), "400 close"},
        {"a line of blanks at first", "9112 2.2", safe, "GET / HTTP/1.1\r\n \r\nHost: exam\r\n\r\n", "400 close"},
        {"a field after a blank at first", "9112 2.2", safe, "GET / HTTP/1.1\r\n A: b\r\nHost: exam\r\n\r\n",
         "400 close"},
        {"every byte of a token", "9110 5.6.2", must, get("!#$%&'*+-.^_`|~09azAZ: a\r\n"), "200 open"},
        {"a name of one letter", "9110 5.1", must, get("X: a\r\n"), "200 open"},
        {"a name of digits", "9110 5.1", should, get("1234: a\r\n"), "200 open"},
        {"a name of 200 letters", "9110 5.4", should, get(std::string(200, 'n') + ": a\r\n"), "200 open"},
    };
    for (const char byte : "\"(),/;<=>?@[\\]{}\x01\x0b\x1f\x7f\x80\xff"s)
        all.push_back(
            {"a name with " + shown(byte), "9110 5.1", should, get(fmt::format("Na{}me: a\r\n", byte)), "400 close"});
    all.push_back({"a name with NUL", "9110 5.1", should, get("Na\0me: a\r\n"s), "400 close"});
    all.push_back({"a name with CR", "9112 2.2", must, get("Na\rme: a\r\n"), "400 close"});
    return all;
}

static questions field_values() {
    using enum grade;
    questions all = {
        {"an empty value", "9110 5.5", must, get("A:\r\n"), "200 open"},
        {"a value of blanks", "9110 5.5", must, get("A:   \t \r\n"), "200 open"},
        {"blanks in a value", "9110 5.5", must, get("A: b  c \t d\r\n"), "200 open"},
        {"a colon in a value", "9110 5.5", must, get("A: b:c::d\r\n"), "200 open"},
        {"bytes above 0x7f in a value", "9110 5.5", should, get("A: \x80\xc3\xa4\xff\r\n"), "200 open"},
        {"quotes in a value", "9110 5.6.4", must, get("A: \"b\\\"c\", \"\r\n"), "200 open"},
        {"NUL in a value", "9110 5.5", safe, get("A: b\0c\r\n"s), "400 close"},
        {"a bare CR in a value", "9110 5.5", safe, get("A: b\rc\r\n"), "400 close"},
        {"a bare LF in a value", "9110 5.5", safe, get("A: b\nc: d\r\n"), "400 close"},
        {"a folded value", "9112 5.2", safe, get("A: b\r\n c\r\n"), "400 close"},
        {"a value folded with a tab", "9112 5.2", safe, get("A: b\r\n\tc\r\n"), "400 close"},
        {"a value folded at its start", "9112 5.2", safe, get("A:\r\n b\r\n"), "400 close"},
        {"a folded line of blanks", "9112 5.2", safe, get("A: b\r\n  \r\n"), "400 close"},
        {"a folded Content-Length", "9112 5.2", safe, post("Content-Length:\r\n 5\r\n", "hello"), "400 close"},
        {"a folded Transfer-Encoding", "9112 5.2", safe, post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
         "400 close"},
        {"a value of 4,000 bytes", "9110 5.4", should, get("A: " + std::string(4'000, 'v') + "\r\n"), "200 open"},
        {"a value of 70,000 bytes", "9110 5.4", must, get("A: " + std::string(70'000, 'v') + "\r\n"), "200|4xx any"},
        {"a name of 70,000 bytes", "9110 5.4", must, get(std::string(70'000, 'n') + ": a\r\n"), "200|4xx any"},
    };
    for (const char byte : "\x01\x02\x07\x08\x0b\x0c\x0e\x1b\x1f\x7f"s)
        all.push_back(
            {shown(byte) + " in a value", "9110 5.5", safe, get(fmt::format("A: b{}c\r\n", byte)), "400 close"});
    for (const int count : {50, 3'000}) {
        std::string lines;
        for (int nth = 0; nth < count; ++nth) lines += fmt::format("N{}: v\r\n", nth);
        all.push_back(
            {fmt::format("{} fields", count), "9110 5.4", should, get(lines), count > 50 ? "200|4xx any" : "200 open"});
    }
    return all;
}

/// What a server without validators, ranges or languages may ignore, but not stumble over.
static questions known_fields() {
    using enum grade;
    questions all;
    for (const auto& [line, expect] : std::initializer_list<std::pair<const char*, const char*>>{
             {"Accept: text/html;q=0", "200|406"},
             {"Accept: ,,, */*", "200"},
             {"Accept: %%%", "200|406|400"},
             {"Accept-Encoding: identity;q=0, *;q=0", "200|406|415"},
             {"Accept-Language: tlh", "200|406"},
             {"Accept-Charset: x", "200|406"},
             {"Range: bytes=0-4", "200|206"},
             {"Range: bytes=99999-", "200|416"},
             {"Range: bytes=b-a", "200|416"},
             {"Range: lines=1-2", "200"},
             {"Range:", "200"},
             {"If-Range: \"x\"", "200"},
             {"If-None-Match: \"x\"", "200"},
             {"If-None-Match: W/\"x\", \"y\"", "200"},
             {"If-None-Match: x", "200|400"},
             {"If-Match: \"x\"", "200|412"},
             {"If-Modified-Since: never", "200"},
             {"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", "200"},
             {"If-Unmodified-Since: yesterday", "200"},
             {"Date: not a date", "200"},
             {"Max-Forwards: 0", "200"},
             {"Max-Forwards: x", "200"},
             {"TE: trailers", "200"},
             {"TE: gzip;q=0.5, deflate", "200"},
             {"Trailer: X-Sum", "200"},
             {"Cookie: a=b; c", "200"},
             {"Authorization: Basic !!!", "200|401"},
             {"Via: 1.1 a, 1.0 b (c)", "200"},
             {"Forwarded: for=\"[::1]\"", "200"},
             {"Referer: not a uri", "200"},
             {"User-Agent: (((", "200"},
             {"From: nobody", "200"},
             {"Keep-Alive: timeout=x", "200"},
             {"Proxy-Connection: keep-alive", "200"},
             {"Content-Type: ;;", "200|415"},
             {"Pragma: no-cache", "200"},
             {"Cache-Control: max-age=99999999999999999999", "200"},
             {"X-Forwarded-For: 1.2.3.4", "200"},
         })
        all.push_back({line, "9110 5.3", should, get(std::string(line) + "\r\n"),
                       std::string(expect) + (std::string_view(expect) == "200" ? " open" : " any")});
    return all;
}

questions fields() {
    auto all = field_names();
    for (auto* more : {&field_values, &known_fields})
        for (auto& each : more()) all.push_back(std::move(each));
    return all;
}

}  // namespace conformance
