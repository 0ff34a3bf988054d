// Methods, connections, pipelines, expectations, and what is not HTTP/1.1 at all.

#include <fmt/format.h>

#include "tests/conformance/question.hpp"

using namespace std::string_literals;

namespace conformance {

questions methods() {
    using enum grade;
    questions all = {
        {"GET has a date", "9110 6.6.1", must, get(), "200 open", {"Date"}},
        {"404 has a date", "9110 6.6.1", must, with_host("GET /nothing HTTP/1.1"), "404 open", {"Date"}},
        {"405 has a date and says what is allowed",
         "9110 15.5.6",
         must,
         with_host("DELETE / HTTP/1.1"),
         "405 any",
         {"Date", "Allow"}},
        {"400 has a date", "9110 6.6.1", must, "GET / HTTP/1.1\r\n\r\n", "400 close", {"Date"}},
        {"400 says that it closes", "9112 9.6", should, "GET / HTTP/1.1\r\n\r\n", "400 close", {"Connection: close"}},
        {"one length, not two", "9112 6.2", must, get(), "200 open", {"!Transfer-Encoding", "Content-Length"}},
        {"HEAD", "9110 9.3.2", must, with_host("HEAD / HTTP/1.1"), "200h open"},
        {"HEAD of 404", "9110 9.3.2", must, with_host("HEAD /nothing HTTP/1.1"), "404h open"},
        {"HEAD of what has POST only", "9110 9.3.2", must, with_host("HEAD /echo HTTP/1.1"), "405h open", {"Allow"}},
        {"HEAD, then GET", "9110 9.3.2", must, with_host("HEAD / HTTP/1.1") + get(), "200h 200 open"},
        {"GET, HEAD, GET", "9110 9.3.2", must, get() + with_host("HEAD /livez HTTP/1.1") + get(), "200 200h 200 open"},
        {"HEAD of HTTP/1.0", "9110 9.3.2", must, "HEAD / HTTP/1.0\r\n\r\n", "200h close"},
        {"OPTIONS", "9110 9.3.7", should, with_host("OPTIONS / HTTP/1.1"), "2xx|405|501 open"},
        {"OPTIONS *", "9110 9.3.7", should, with_host("OPTIONS * HTTP/1.1"), "2xx|405|501 any"},
        {"OPTIONS of a whole server in absolute-form", "9112 3.2.4", should, with_host("OPTIONS http://exam HTTP/1.1"),
         "2xx|3xx|405|501 any"},
        {"OPTIONS of nothing", "9110 9.3.7", should, with_host("OPTIONS /nothing HTTP/1.1"), "2xx|404|405|501 any"},
        {"204 has no length",
         "9110 8.6",
         must,
         with_host("OPTIONS / HTTP/1.1"),
         "2xx|405|501 any",
         {"!Transfer-Encoding"}},
        {"TRACE", "9110 9.3.8", should, with_host("TRACE / HTTP/1.1"), "200|405|501 any"},
        {"TRACE shows no cookie", "9110 9.3.8", should, with_host("TRACE / HTTP/1.1", "Cookie: a=b\r\n"),
         "405|501 any"},
        {"CONNECT", "9110 9.3.6", should, with_host("CONNECT exam:443 HTTP/1.1"), "4xx|501 any"},
        {"CONNECT without port", "9110 9.3.6", must, with_host("CONNECT exam HTTP/1.1"), "4xx|501 any"},
        {"CONNECT with an empty port", "9110 9.3.6", must, with_host("CONNECT exam: HTTP/1.1"), "4xx|501 any"},
        {"CONNECT with a port of letters", "9110 9.3.6", must, with_host("CONNECT exam:abc HTTP/1.1"), "4xx|501 any"},
        {"CONNECT with a path", "9112 3.2.3", should, with_host("CONNECT / HTTP/1.1"), "4xx|501 any"},
        {"CONNECT is no tunnel to ourselves", "9110 9.3.6", safe, with_host("CONNECT 127.0.0.1:8001 HTTP/1.1"),
         "4xx|501 any"},
        {"GET of what has POST only", "9110 15.5.6", must, with_host("GET /echo HTTP/1.1"), "405 open", {"Allow"}},
    };
    for (const char* known : {"PUT", "DELETE", "PATCH", "POST"})
        all.push_back({fmt::format("{} of what has GET only", known),
                       "9110 15.5.6",
                       must,
                       with_host(fmt::format("{} / HTTP/1.1", known), "Content-Length: 0\r\n"),
                       "405|501 any",
                       {"Allow"}});
    for (const char* dav : {"PROPFIND", "MKCOL", "COPY", "MOVE", "LOCK", "SEARCH", "PURGE", "LINK"})
        all.push_back({fmt::format("{} is not implemented", dav), "9110 9.1", should,
                       with_host(fmt::format("{} / HTTP/1.1", dav)), "405|501 any"});
    return all;
}

questions connections() {
    using enum grade;
    questions all = {
        {"HTTP/1.0 with keep-alive", "9112 9.3", should, with_host("GET / HTTP/1.0", "Connection: keep-alive\r\n"),
         "200 any"},
        {"HTTP/1.0, keep-alive is said", "9112 C.2.2", should,
         with_host("GET / HTTP/1.0", "Connection: keep-alive\r\n") + with_host("GET / HTTP/1.0"), "200 200? close"},
        {"HTTP/1.0 is not answered in chunks",
         "9112 6.1",
         must,
         with_host("GET / HTTP/1.0"),
         "200 close",
         {"!Transfer-Encoding"}},
        {"a request after one of HTTP/1.0", "9112 9.3", must, with_host("GET / HTTP/1.0") + get(), "200 close"},
        {"a request after Connection: close", "9112 9.6", must, get("Connection: close\r\n") + get(), "200 close"},
        {"a request after a POST with Connection: close",
         "9112 9.6",
         must,
         post("Connection: close\r\nContent-Length: 5\r\n", "hello") + get(),
         "200 close",
         {"=hello"}},
        {"Connection names a field", "9110 7.6.1", must, get("Connection: X-Hop\r\nX-Hop: 1\r\n"), "200 open"},
        {"Connection: Host", "9110 7.6.1", should, get("Connection: Host\r\n"), "200|400 any"},
        {"Connection: Content-Length", "9110 7.6.1", should,
         post("Connection: Content-Length\r\nContent-Length: 5\r\n", "hello"), "200|400 any"},
        {"an empty Connection", "9110 7.6.1", should, get("Connection:\r\n"), "200 open"},
        {"Connection of commas", "9110 5.6.1.2", must, get("Connection: , ,,\r\n"), "200 open"},
        {"Connection: closed is not close", "9112 9.6", should, get("Connection: closed\r\n"), "200 open"},
        {"Connection: not-close is not close", "9112 9.6", should, get("Connection: not-close\r\n"), "200 open"},
        {"Upgrade to something",
         "9110 7.8",
         must,
         get("Connection: upgrade\r\nUpgrade: foo/2\r\n"),
         "200 open",
         {"!Upgrade"}},
        {"Upgrade to WebSocket", "9110 7.8", must,
         get("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
             "dGhlIHNhbXBsZSBub25jZQ==\r\n"),
         "200 open"},
        {"Upgrade to h2c", "9113 3.1", must,
         get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"), "200 open"},
        {"Upgrade in HTTP/1.0", "9110 7.8", must,
         with_host("GET / HTTP/1.0", "Connection: upgrade\r\nUpgrade: foo\r\n"), "200 close"},
        {"Upgrade of a POST",
         "9110 7.8",
         must,
         post("Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n", "hello"),
         "200 open",
         {"=hello"}},
    };
    for (const char* says : {"close", "Close", "CLOSE", "close, x", "x, close", "x,close,y", "keep-alive, close",
                             "close, keep-alive", "\tclose ", ",close", "close,"})
        all.push_back({fmt::format("Connection: {}", says), "9112 9.6", must,
                       get(fmt::format("Connection: {}\r\n", says)), "200 close"});
    all.push_back(
        {"close on a second line", "9112 9.6", must, get("Connection: x\r\nConnection: close\r\n"), "200 close"});
    all.push_back({"close on the first of two lines", "9112 9.6", must,
                   get("Connection: close\r\nConnection: keep-alive\r\n"), "200 close"});
    all.push_back(
        {"close is said back", "9112 9.6", should, get("Connection: close\r\n"), "200 close", {"Connection: close"}});
    return all;
}

questions pipelines() {
    using enum grade;
    const auto repeated = [](int times, const std::string& what) {
        std::string all;
        for (int nth = 0; nth < times; ++nth) all += what;
        return all;
    };
    const std::string hello = post("Content-Length: 5\r\n", "hello");
    const std::string chunks = chunked("5\r\nhello\r\n0\r\n\r\n");
    const std::string nothing = with_host("GET /nothing HTTP/1.1");
    return {
        {"two requests", "9112 9.3.2", must, get() + get(), "200 200 open"},
        {"three requests, answered in order", "9112 9.3.2", must, get() + nothing + get(), "200 404 200 open"},
        {"ten requests", "9112 9.3.2", must, repeated(10, get()), repeated(10, "200 ") + "open"},
        {"a hundred requests", "9112 9.3.2", must, repeated(100, get()), repeated(100, "200 ") + "open"},
        {"bodies of both kinds",
         "9112 9.3.2",
         must,
         hello + chunks + hello + chunks,
         "200 200 200 200 open",
         {"=hello"}},
        {"a body, then none", "9112 9.3.2", must, hello + get() + hello, "200 200 200 open"},
        {"GET, POST, HEAD, GET", "9112 9.3.2", must, get() + hello + with_host("HEAD / HTTP/1.1") + get(),
         "200 200 200h 200 open"},
        {"404, then 200", "9112 9.3.2", must, nothing + get(), "404 200 open"},
        {"405, then 200", "9112 9.3.2", should, with_host("GET /echo HTTP/1.1") + get(), "405 200 open"},
        {"a good one, then a bad one", "9112 9.3.2", must, get() + "nonsense\r\n\r\n", "200 400 close"},
        {"a bad one, then a good one", "9112 2.2", should, "nonsense\r\n\r\n" + get(), "400 close"},
        {"a bad Host, then a good one", "9112 2.2", safe, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n" + get(), "400 close"},
        {"a good one, a bad length, a good one", "9112 6.3", must, get() + post("Content-Length: x\r\n") + get(),
         "200 400 close"},
        {"ten good ones, then a bad chunk", "9112 7.1", should, repeated(10, get()) + chunked("z\r\n") + get(),
         repeated(10, "200 ") + "400 close"},
        {"the second says close", "9112 9.6", must, get() + get("Connection: close\r\n") + get(), "200 200 close"},
        {"two requests, then FIN", "9112 9.6", safe, get() + get(), "200 200 close", {}, {}, true},
        {"one request and a half, then FIN", "9112 8", must, get() + "GET / HT", "200 4xx? close", {}, {}, true},
        {"rubbish after a body", "9112 6.3", must, hello + "xx\r\n\r\n", "200 400 close"},
    };
}

questions expectations() {
    using enum grade;
    const std::string expects = "Expect: 100-continue\r\n";
    const std::string five = "Content-Length: 5\r\n";
    return {
        {"100, then the body", "9110 10.1.1", must, post(expects + five), "100 200 open", {"=hello"}, "hello"},
        {"100, then chunks",
         "9110 10.1.1",
         must,
         post(expects + "Transfer-Encoding: chunked\r\n"),
         "100 200 open",
         {"=hello"},
         "5\r\nhello\r\n0\r\n\r\n"},
        {"the body has come already", "9110 10.1.1", must, post(expects + five, "hello"), "100? 200 open", {"=hello"}},
        {"the expectation in capitals",
         "9110 10.1.1",
         must,
         post("EXPECT: 100-CONTINUE\r\n" + five),
         "100 200 open",
         {"=hello"},
         "hello"},
        {"no 100 for HTTP/1.0",
         "9110 10.1.1",
         must,
         with_host("POST /echo HTTP/1.0", expects + five) + "hello",
         "200 close",
         {"=hello"}},
        {"no body to be continued", "9110 10.1.1", must, get(expects), "100? 200 open"},
        {"an empty body to be continued", "9110 10.1.1", must, post(expects + "Content-Length: 0\r\n"),
         "100? 200 open"},
        {"twice on a connection", "9110 10.1.1", must, post(expects + five, "hello") + post(expects + five, "hello"),
         "100? 200 100? 200 open"},
        {"an answer in place of 100", "9110 10.1.1", should, with_host("POST /nothing HTTP/1.1", expects + five),
         "404 stop"},
        {"413 in place of 100", "9110 10.1.1", safe, post(expects + "Content-Length: 2097152\r\n"), "413 stop"},
        {"400 in place of 100", "9110 10.1.1", must, post(expects + "Content-Length: x\r\n"), "400 close"},
        {"another expectation", "9110 10.1.1", should, get("Expect: miracles\r\n"), "200|417 any"},
        {"another expectation of a POST", "9110 10.1.1", should, post("Expect: miracles\r\n" + five, "hello"),
         "200|417 any"},
        {"an expectation and 100-continue", "9110 10.1.1", should, post("Expect: x, 100-continue\r\n" + five, "hello"),
         "100? 200|417 any"},
    };
}

questions foreign() {
    using enum grade;
    return {
        {"the preface of HTTP/2", "9113 3.4", should, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"s,
         "400|505 close"},
        {"a TLS client hello", "9112 2.2", should,
         "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s + std::string(500, 'r') + "\r\n\r\n", "400 close"},
        {"SSH", "9112 2.2", should, "SSH-2.0-OpenSSH_9.2\r\n\r\n", "400 close"},
        {"SMTP", "9112 2.2", should, "EHLO exam\r\n\r\n", "400 close"},
        {"Redis", "9112 2.2", should, "*1\r\n$4\r\nPING\r\n\r\n", "400 close"},
        {"SIP", "9112 2.2", should, "OPTIONS sip:exam SIP/2.0\r\nVia: SIP/2.0/TCP exam\r\n\r\n", "400|505 close"},
        {"the PROXY protocol", "9112 2.2", should, "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + get(), "400 close"},
        {"a response", "9112 2.2", should, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "400|501 close"},
        {"SOCKS 5", "9112 2.2", should, "\x05\x01\x00\r\n\r\n"s, "400 close"},
        {"NULs", "9112 2.2", should, std::string(40, '\0') + "\r\n\r\n", "400 close"},
        {"0xff", "9112 2.2", should, std::string(40, '\xff') + "\r\n\r\n", "400 close"},
        {"a byte order mark before a request", "9112 2.2", should, "\xef\xbb\xbf" + get(), "400|501 close"},
        {"a comma before a request", "9112 2.2", should, ", " + get(), "400 close"},
        {"a field before the request line", "9112 2.2", should, "Host: exam\r\n" + get(), "400 close"},
        {"JSON", "9112 2.2", should, "{\"jsonrpc\": \"2.0\"}\r\n\r\n", "400 close"},
        {"a request in UTF-16", "9112 2.2", should, "G\0E\0T\0 \0/\0\r\n\r\n"s, "400 close"},
    };
}

questions all_questions() {
    questions all;
    for (const auto part : {&request_lines, &targets, &hosts, &fields, &lengths, &codings, &chunks, &methods,
                            &connections, &pipelines, &expectations, &foreign})
        for (auto& each : part()) all.push_back(std::move(each));
    return all;
}

}  // namespace conformance
