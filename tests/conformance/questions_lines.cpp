// The request line and its target.

#include <fmt/format.h>

#include "tests/conformance/question.hpp"

using namespace std::string_literals;

namespace conformance {

std::string shown(char byte) {
    if (byte > 0x20 && byte < 0x7f) return std::string(1, byte);
    return fmt::format("0x{:02x}", static_cast<unsigned char>(byte));
}

static questions versions() {
    using enum grade;
    questions all = {
        {"HTTP/1.1", "9112 2.3", must, get(), "200 open"},
        {"HTTP/1.0 without Host", "9112 3.2", must, "GET / HTTP/1.0\r\n\r\n", "200 close"},
        {"HTTP/1.0 with Host", "9112 2.3", must, with_host("GET / HTTP/1.0"), "200 close"},
    };
    for (const char minor : "23456789"s)
        all.push_back({fmt::format("HTTP/1.{} is answered as 1.1", minor),
                       "9110 2.5",
                       should,
                       with_host(fmt::format("GET / HTTP/1.{}", minor)),
                       "200 open",
                       {"!Upgrade"}});
    for (const char* other : {"0.0", "0.9", "2.0", "2.1", "3.0", "4.1", "9.9"})
        all.push_back({fmt::format("HTTP/{} is not spoken", other), "9110 15.6.6", should,
                       with_host(fmt::format("GET / HTTP/{}", other)), "505|400 close"});
    for (const char* bad :
         {"HTTP/1.",   "HTTP/1",    "HTTP/.1",  "HTTP/11",    "HTTP/1.10", "HTTP/01.1", "HTTP/1.01",
          "HTTP/+1.1", "HTTP/-1.1", "HTTP/1,1", "HTTP/1.1.1", "HTTP/a.b",  "HTTP/1.a",  "HTTP/0x1.1",
          "HTTP/",     "HTTP",      "http/1.1", "Http/1.1",   "HTTPS/1.1", "HTTQ/1.1",  "XHTTP/1.1",
          "ICAP/1.0",  "RTSP/1.0",  "SIP/2.0",  "HTTP\\1.1",  "HTTP//1.1", "HTTP/1.1;", "HTTP/1.1HTTP/1.1"})
        all.push_back({fmt::format("version {}", bad), "9112 2.3", should, with_host(fmt::format("GET / {}", bad)),
                       "400|505 close"});
    return all;
}

static questions bad_shapes() {
    using enum grade;
    return {
        {"a word and nothing else", "9112 3", should, "nonsense\r\n\r\n", "400 close"},
        {"method only", "9112 3", should, "GET\r\n\r\n", "400 close"},
        {"no target", "9112 3", should, with_host("GET HTTP/1.1"), "400 close"},
        {"an empty target", "9112 3", should, with_host("GET  HTTP/1.1"), "400 close"},
        {"no version (HTTP/0.9)", "9112 3", should, "GET /\r\n\r\n", "400|505 close"},
        {"no version, with Host", "9112 3", should, with_host("GET /"), "400|505 close"},
        {"no method", "9112 3", should, with_host("/ HTTP/1.1"), "400 close"},
        {"a blank before the method", "9112 3", safe, with_host(" GET / HTTP/1.1"), "400 close"},
        {"a tab before the method", "9112 3", safe, with_host("\tGET / HTTP/1.1"), "400 close"},
        {"two blanks before the target", "9112 3", safe, with_host("GET  / HTTP/1.1"), "400 close"},
        {"two blanks before the version", "9112 3", safe, with_host("GET /  HTTP/1.1"), "400 close"},
        {"a blank after the version", "9112 3", safe, with_host("GET / HTTP/1.1 "), "400 close"},
        {"a tab after the version", "9112 3", safe, with_host("GET / HTTP/1.1\t"), "400 close"},
        {"a tab before the target", "9112 3", safe, with_host("GET\t/ HTTP/1.1"), "400 close"},
        {"a tab before the version", "9112 3", safe, with_host("GET /\tHTTP/1.1"), "400 close"},
        {"a vertical tab before the target", "9112 3", safe, with_host("GET\v/ HTTP/1.1"), "400 close"},
        {"a form feed before the version", "9112 3", safe, with_host("GET /\fHTTP/1.1"), "400 close"},
        {"a bare CR before the target", "9112 2.2", must, with_host("GET\r/ HTTP/1.1"), "400 close"},
        {"a bare CR in the target", "9112 2.2", must, with_host("GET /\r HTTP/1.1"), "400 close"},
        {"four words", "9112 3", should, with_host("GET / / HTTP/1.1"), "400 close"},
        {"words after the version", "9112 3", should, with_host("GET / HTTP/1.1 HTTP/1.1"), "400 close"},
        {"one empty line before the request", "9112 2.2", should, "\r\n" + get(), "200 open"},
        {"two empty lines before the request", "9112 2.2", safe, "\r\n\r\n" + get(), "200|400 any"},
        {"an empty line between two requests", "9112 2.2", should, get() + "\r\n" + get(), "200 200 open"},
        {"an empty line after a body", "9112 2.2", should, post("Content-Length: 5\r\n", "hello") + "\r\n" + get(),
         "200 200 open"},
        {"a bare LF after the request line", "9112 2.2", safe, "GET / HTTP/1.1\nHost: exam\r\n\r\n", "400 close"},
        {"a bare LF after a field", "9112 2.2", safe, "GET / HTTP/1.1\r\nHost: exam\nA: b\r\n\r\n", "400 close"},
        {"a bare LF as the empty line", "9112 2.2", safe, "GET / HTTP/1.1\r\nHost: exam\r\n\n", "400 close"},
        {"nothing but bare LFs", "9112 2.2", safe, "GET / HTTP/1.1\nHost: exam\n\n", "400 close"},
        {"bare CRs as line ends", "9112 2.2", safe, "GET / HTTP/1.1\rHost: exam\r\r\r\n\r\n", "400 close"},
        {"CR CR LF as a line end", "9112 2.2", must, "GET / HTTP/1.1\r\r\nHost: exam\r\n\r\n", "400 close"},
        {"LF CR as a line end", "9112 2.2", should, "GET / HTTP/1.1\n\rHost: exam\r\n\r\n", "400 close"},
        {"a head without end, then FIN",
         "9112 8",
         must,
         "GET / HTTP/1.1\r\nHost: exam\r\n",
         "4xx? close",
         {},
         {},
         true},
        {"half a request line, then FIN", "9112 8", must, "GET / HT", "4xx? close", {}, {}, true},
        {"one byte, then FIN", "9112 8", must, "G", "4xx? close", {}, {}, true},
        {"no byte, then FIN", "9112 9.5", must, "", "408? close", {}, {}, true},
        {"a whole request, then FIN", "9112 9.6", safe, get(), "200 close", {}, {}, true},
    };
}

static questions bad_methods() {
    using enum grade;
    questions all;
    for (const char byte : "\"(),/:;<=>?@[\\]{}\x01\x07\x1b\x7f\x80\xff"s)
        all.push_back({"a method with " + shown(byte), "9110 5.6.2", should,
                       with_host(fmt::format("G{}T / HTTP/1.1", byte)), "400|501 close"});
    all.push_back({"a method with NUL", "9110 5.6.2", should, with_host("G\0T / HTTP/1.1"s), "400 close"});
    for (const char* unknown : {"BREW", "get", "Get", "GETT", "GE", "X", "GET!", "M-SEARCHX", "G-E-T", "1"})
        all.push_back({fmt::format("the method {} is not known", unknown), "9110 9.1", should,
                       with_host(fmt::format("{} / HTTP/1.1", unknown)), "501 any"});
    all.push_back(
        {"a method of 100 letters", "9112 3", should, with_host(std::string(100, 'M') + " / HTTP/1.1"), "501 any"});
    all.push_back(
        {"a method of 4,000 letters", "9112 3", should, with_host(std::string(4'000, 'M') + " / HTTP/1.1"), "501 any"});
    return all;
}

questions request_lines() {
    auto all = versions();
    for (auto* more : {&bad_shapes, &bad_methods})
        for (auto& each : more()) all.push_back(std::move(each));
    return all;
}

static questions good_targets() {
    using enum grade;
    questions all = {
        {"a path of 404", "9110 15.5.5", must, with_host("GET /nothing/here HTTP/1.1"), "404 open"},
        {"two slashes", "9112 3.2.1", should, with_host("GET // HTTP/1.1"), "200|3xx|404 any"},
        {"absolute-form", "9112 3.2.2", must, with_host("GET http://exam/ HTTP/1.1"), "200 open"},
        {"absolute-form with a port", "9112 3.2.2", must, with_host("GET http://exam:80/livez HTTP/1.1"), "200 open"},
        {"absolute-form, its scheme in capitals", "3986 3.1", should, with_host("GET HTTP://exam/ HTTP/1.1"),
         "200 open"},
        {"absolute-form, its host in capitals", "3986 3.2.2", should, with_host("GET http://EXAM/ HTTP/1.1"),
         "200 open"},
        {"absolute-form without a path", "9112 3.2.2", must, with_host("GET http://exam HTTP/1.1"), "200|3xx open"},
        {"absolute-form, a query without a path", "9112 3.2.2", should, with_host("GET http://exam?a=b HTTP/1.1"),
         "200|3xx open"},
        {"absolute-form with an address", "9112 3.2.2", must, with_host("GET http://127.0.0.1/ HTTP/1.1"), "200 open"},
        {"absolute-form with an IPv6 address", "9112 3.2.2", must, with_host("GET http://[::1]/ HTTP/1.1"), "200 open"},
        {"absolute-form beats Host", "9112 3.2.2", must, "GET http://exam/ HTTP/1.1\r\nHost: other\r\n\r\n",
         "200 open"},
        {"absolute-form of HTTP/1.0", "9112 3.2.2", must, "GET http://exam/ HTTP/1.0\r\n\r\n", "200 close"},
        {"absolute-form of a POST",
         "9112 3.2.2",
         must,
         with_host("POST http://exam/echo HTTP/1.1", "Content-Length: 2\r\n") + "ab",
         "200 open",
         {"=ab"}},
        {"absolute-form without Host", "9112 3.2", must, "GET http://exam/ HTTP/1.1\r\n\r\n", "400 close"},
        {"absolute-form with two Hosts", "9112 3.2", must,
         "GET http://exam/ HTTP/1.1\r\nHost: exam\r\nHost: exam\r\n\r\n", "400 close"},
        {"a target of 8,000 bytes", "9112 3", should, with_host("GET /?" + std::string(7'984, 'q') + " HTTP/1.1"),
         "200 open"},
        {"a target of 70,000 bytes", "9112 3", must, with_host("GET /?" + std::string(70'000, 'q') + " HTTP/1.1"),
         "200|414 any"},
        {"a path of 70,000 bytes", "9112 3", must, with_host("GET /" + std::string(70'000, 'p') + " HTTP/1.1"),
         "404|414 any"},
    };
    for (const char* query :
         {"?", "?a", "?a=b", "?a=b&c=d", "?a=%20", "?/?:@!$&'()*+,;=-._~", "?a=b?c=d", "?%00", "?&&=&"})
        all.push_back({fmt::format("the query {}", query), "9112 3.2.1", should,
                       with_host(fmt::format("GET /{} HTTP/1.1", query)), "200 open"});
    for (const char* same : {"/%6Civez", "/%6civez", "/live%7A", "/%6c%69%76%65%7a"})
        all.push_back({fmt::format("{} is /livez", same), "9110 4.2.3", should,
                       with_host(fmt::format("GET {} HTTP/1.1", same)), "200 open"});
    for (const char* same :
         {"/./livez", "/a/../livez", "/../livez", "/a/b/../../livez", "/%2e/livez", "/a/%2E%2e/livez"})
        all.push_back({fmt::format("{} is /livez or nothing", same), "3986 6.2.2.3", should,
                       with_host(fmt::format("GET {} HTTP/1.1", same)), "200|3xx|400|404 any"});
    for (const char* other :
         {"/LIVEZ", "/livez/", "/livez%2F", "/livez%20", "/livez;a=b", "/livez%3Fa", "/livez:80", "/livez@"})
        all.push_back({fmt::format("{} is not /livez", other), "9110 4.2.3", should,
                       with_host(fmt::format("GET {} HTTP/1.1", other)), "404 open"});
    return all;
}

static questions bad_targets() {
    using enum grade;
    questions all;
    for (const char byte : "\"<>\\^`{|}[]#\x01\x08\x0b\x1f\x7f\x80\xc3\xff"s)
        for (const bool query : {false, true}) {
            question question{fmt::format("{} in a {}", shown(byte), query ? "query" : "path"), "9112 3.2", should,
                              with_host(fmt::format("GET /{}a{}b HTTP/1.1", query ? "?" : "", byte)), "400 close"};
            // URL Standard, section 1.3: what is in no percent-encode set of a query, or of a path.
            if ((query ? "\\^`{|}[]"s : "\\^|[]"s).find(byte) != std::string::npos)
                question.by_browsers = query ? "200 open" : "404 open";
            all.push_back(std::move(question));
        }
    for (const char* bad : {"/%", "/%z", "/%zz", "/%0", "/%0g", "/?%", "/?%zz", "/%%30", "/%u0041", "/% 41"})
        all.push_back({fmt::format("the escape {}", bad), "3986 2.1", should,
                       with_host(fmt::format("GET {} HTTP/1.1", bad)), "400 close"});
    for (const char* bad : {"livez",
                            "?a=b",
                            "*",
                            "**",
                            "*/",
                            ".",
                            "..",
                            "../livez",
                            "exam",
                            "exam:80",
                            "//exam:80:",
                            "\\livez",
                            "http:",
                            "http:/",
                            "http://",
                            "http:///",
                            "http:/livez",
                            "http:livez",
                            "://exam/",
                            "http//exam/",
                            "http://:80/",
                            "http://user@exam/",
                            "http://user:word@exam/",
                            "http://exam:port/",
                            "http://exam:80:80/",
                            "http://[::1/",
                            "http://[::g]/",
                            "http://ex am/",
                            "http://ex<am/",
                            "http://exam/a#b",
                            "1http://exam/"}) {
        const bool path = std::string_view(bad) == "//exam:80:";  // a path of its own, odd as it is
        all.push_back({fmt::format("the target {}", bad), "9112 3.2", should,
                       with_host(fmt::format("GET {} HTTP/1.1", bad)), path ? "200|3xx|404 any" : "400 close"});
    }
    all.push_back({"NUL in a path", "9112 3.2", should, with_host("GET /a\0b HTTP/1.1"s), "400 close"});
    all.push_back({"an escaped NUL", "9110 17.1", safe, with_host("GET /livez%00 HTTP/1.1"), "400|404 any"});
    all.push_back({"a scheme that is not HTTP", "9110 7.4", should, with_host("GET ftp://exam/ HTTP/1.1"), "4xx any"});
    for (const char* trick : {"/debug/vars",
                              "//debug/vars",
                              "/debug//vars",
                              "/%64ebug/vars",
                              "/debug%2Fvars",
                              "/./debug/vars",
                              "/livez/../debug/vars",
                              "/livez/%2e%2e/debug/vars",
                              "/livez/..%2fdebug/vars",
                              "/..%5cdebug/vars",
                              "/livez;/../debug/vars",
                              "/livez?/../debug/vars",
                              "http://127.0.0.1:8001/debug/vars",
                              "http://localhost/debug/vars",
                              "/../../../../etc/passwd",
                              "/%2e%2e/%2e%2e/etc/passwd",
                              "/..%2f..%2fetc%2fpasswd",
                              "/....//....//etc/passwd",
                              "/%252e%252e/etc/passwd",
                              "/%c0%ae%c0%ae/etc/passwd"}) {
        const bool query = std::string_view(trick).find('?') != std::string_view::npos;
        all.push_back({fmt::format("{} leads nowhere", trick), "9110 17.3", safe,
                       with_host(fmt::format("GET {} HTTP/1.1", trick)), query ? "200 open" : "3xx|400|404|421 any"});
    }
    return all;
}

questions targets() {
    auto all = good_targets();
    for (auto& bad_target : bad_targets()) all.push_back(std::move(bad_target));
    return all;
}

}  // namespace conformance
