#include "tests/server/http1_cases.hpp"

using namespace std::string_literals;

namespace requests {
namespace {

constexpr std::string_view bad = "refused 400";

void append(std::vector<parser_case>& to, std::vector<parser_case> more) {
    for (auto& each : more) to.push_back(std::move(each));
}

std::vector<parser_case> refused_lines() {
    return {
        {"9112 3: nothing but a word", "nonsense\r\n\r\n", bad},
        {"9112 3: no version (HTTP/0.9)", "GET /\r\n\r\n", bad},
        {"9112 3: no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", bad},
        {"9112 3: two blanks before the target", head("GET  / HTTP/1.1"), bad},
        {"9112 3: two blanks before the version", head("GET /  HTTP/1.1"), bad},
        {"9112 3: a tab", head("GET\t/ HTTP/1.1"), bad},
        {"9112 3: a blank after the version", head("GET / HTTP/1.1 "), bad},
        {"9112 3: a blank before the method", " " + head("GET / HTTP/1.1"), bad},
        {"9112 3: a blank in the target", head("GET /a b HTTP/1.1"), bad},
        {"9112 3.1: a method that is no token", head("G(T / HTTP/1.1"), bad},
        {"9110 16.1.1: a method that is unknown", head("BREW / HTTP/1.1"), "refused 501"},
        {"9110 9.1: methods are case-sensitive", head("get / HTTP/1.1"), "refused 501"},
        {"9112 2.3: HTTP/2.0", head("GET / HTTP/2.0"), "refused 505"},
        {"9112 2.3: HTTP/0.9", head("GET / HTTP/0.9"), "refused 505"},
        {"9113 3.4: the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "refused 505"},
        {"9112 2.3: two digits", head("GET / HTTP/1.10"), bad},
        {"9112 2.3: no minor version", head("GET / HTTP/1"), bad},
        {"9112 2.3: the name is case-sensitive", head("GET / http/1.1"), bad},
        {"9112 2.3: another protocol", head("GET / ICAP/1.0"), bad},
        {"9112 2.3: not digits", head("GET / HTTP/a.b"), bad},
        {"9112 2.2: a bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", bad},
        {"9112 2.2: a bare LF after a field", "GET / HTTP/1.1\r\nHost: a\nA: b\r\n\r\n", bad},
        {"9112 2.2: bare LFs only", "GET / HTTP/1.1\nHost: a\n\n", bad},
        {"9112 2.2: a bare LF before the request", "\n" + head("GET / HTTP/1.1"), bad},
        {"9112 2.2: a bare CR", "GET / HTTP/1.1\r\nHost: a\rA: b\r\n\r\n", bad},
        {"9112 2.2: a blank line of CR CR LF", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", bad},
        {"9112 2.2: more empty lines than a few", repeated(5, "\r\n") + head("GET / HTTP/1.1"), bad},
        {"a TLS client hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s, bad},
    };
}

std::vector<parser_case> refused_targets() {
    return {
        {"9112 3.2: a fragment", head("GET /a#b HTTP/1.1"), bad},
        {"3986 2: a quote", head("GET /a\"b HTTP/1.1"), bad},
        {"3986 2: <", head("GET /a<b HTTP/1.1"), bad},
        {"3986 2: >", head("GET /a>b HTTP/1.1"), bad},
        {"3986 2: a backslash", head("GET /a\\b HTTP/1.1"), bad},
        {"3986 2: ^", head("GET /a^b HTTP/1.1"), bad},
        {"3986 2: {", head("GET /a{b HTTP/1.1"), bad},
        {"3986 2: |", head("GET /a|b HTTP/1.1"), bad},
        {"3986 2: }", head("GET /a}b HTTP/1.1"), bad},
        {"3986 2: a backquote", head("GET /a`b HTTP/1.1"), bad},
        {"3986 2: [ in a query", head("GET /?a[b HTTP/1.1"), bad},
        {"3986 2: a byte above 0x7f", head("GET /\xc3\xa4 HTTP/1.1"), bad},
        {"3986 2: a byte above 0x7f in the query", head("GET /?\xc3\xa4 HTTP/1.1"), bad},
        {"3986 2: a control byte", head("GET /a\x01 HTTP/1.1"), bad},
        {"3986 2: NUL", head("GET /a\0 HTTP/1.1"s), bad},
        {"3986 2.1: an escape that is cut", head("GET /%4 HTTP/1.1"), bad},
        {"3986 2.1: an escape that is none", head("GET /%zz HTTP/1.1"), bad},
        {"3986 2.1: one in the query", head("GET /?%zz HTTP/1.1"), bad},
        {"an escaped NUL", head("GET /%00 HTTP/1.1"), bad},
        {"9112 3.2: a path without slash", head("GET a HTTP/1.1"), bad},
        {"9112 3.2.2: a scheme that is not ours", head("GET ftp://a/ HTTP/1.1"), bad},
        {"9112 3.2.2: no authority", head("GET http:///a HTTP/1.1"), bad},
        {"9110 4.2.4: user information", head("GET http://me@a/ HTTP/1.1"), bad},
        {"9112 3.2.3: CONNECT without a port", head("CONNECT a HTTP/1.1"), bad},
        {"9112 3.2.3: CONNECT of a path", head("CONNECT / HTTP/1.1"), bad},
        {"9112 3.2.4: * is for OPTIONS", head("GET * HTTP/1.1"), bad},
        {"9112 3.2.4: * alone", head("OPTIONS *a HTTP/1.1"), bad},
    };
}

std::vector<parser_case> refused_hosts() {
    const auto with = [](std::string_view fields) { return "GET / HTTP/1.1\r\n" + std::string(fields) + "\r\n"; };
    return {
        {"9112 3.2: no Host", with(""), bad},
        {"9112 3.2: no Host, although the target is absolute", "GET http://a/ HTTP/1.1\r\n\r\n", bad},
        {"9112 3.2: two", with("Host: a\r\nHost: b\r\n"), bad},
        {"9112 3.2: two that are the same", with("Host: a\r\nhost: a\r\n"), bad},
        {"9112 3.2: a blank inside", with("Host: a b\r\n"), bad},
        {"9112 3.2: a list", with("Host: a, b\r\n"), bad},
        {"9112 3.2: a path", with("Host: a/b\r\n"), bad},
        {"9112 3.2: user information", with("Host: me@a\r\n"), bad},
        {"9112 3.2: a port that is none", with("Host: a:b\r\n"), bad},
        {"9112 3.2: two ports", with("Host: a:1:2\r\n"), bad},
        {"9112 3.2: a port alone", with("Host: :80\r\n"), bad},
        {"9112 3.2: an open bracket", with("Host: [::1\r\n"), bad},
        {"9112 3.2: bytes behind the bracket", with("Host: [::1]a\r\n"), bad},
        {"9112 3.2: a byte above 0x7f", with("Host: \xc3\xa4\r\n"), bad},
        {"9112 3.2: two in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", bad},
    };
}

std::vector<parser_case> refused_fields() {
    const auto with = [](std::string_view fields) { return head("GET / HTTP/1.1", fields); };
    return {
        {"9112 5: no colon", with("A\r\n"), bad},
        {"9112 5.1: a blank before the colon", with("A : b\r\n"), bad},
        {"9112 5.1: a tab before the colon", with("A\t: b\r\n"), bad},
        {"9112 5.1: no name", with(": b\r\n"), bad},
        {"9110 5.1: a name that is no token", with("A(b): c\r\n"), bad},
        {"9110 5.1: a name above 0x7f", with("\xc3\xa4: b\r\n"), bad},
        {"9112 5.2: a folded line", with("A: b\r\n c\r\n"), bad},
        {"9112 5.2: folded with a tab", with("A: b\r\n\tc\r\n"), bad},
        {"9112 5.2: folded before the value", with("A:\r\n b\r\n"), bad},
        {"9112 5.2: folded before the value, twice", with("A: \r\n \r\n b\r\n"), bad},
        {"9112 5.2: nothing but a fold", with("A:\r\n \r\n"), bad},
        {"9112 5.2: a coding hidden by a fold", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), bad},
        {"9112 2.2: a blank line before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", bad},
        {"9110 5.5: NUL in a value", with("A: b\0c\r\n"s), bad},
        {"9110 5.5: a control byte in a value", with("A: b\x01\r\n"), bad},
        {"9110 5.5: DEL in a value", with("A: b\x7f\r\n"), bad},
        {"9110 7.6.1: a Connection that is no list", with("Connection: a b\r\n"), bad},
        {"9110 10.1.1: another expectation", with("Expect: 200-ok\r\n"), "refused 417"},
    };
}

std::vector<parser_case> refused_framing() {
    return {
        {"9112 6.3: two lengths", post("Content-Length: 1\r\nContent-Length: 2\r\n", "ab"), bad},
        {"9112 6.3: the same length twice", post("Content-Length: 1\r\nContent-Length: 1\r\n", "a"), bad},
        {"9112 6.3: a list of lengths", post("Content-Length: 1, 1\r\n", "a"), bad},
        {"9110 8.6: a sign", post("Content-Length: +1\r\n", "a"), bad},
        {"9110 8.6: a negative one", post("Content-Length: -1\r\n", "a"), bad},
        {"9110 8.6: hexadecimal", post("Content-Length: 0x1\r\n", "a"), bad},
        {"9110 8.6: a fraction", post("Content-Length: 1.0\r\n", "a"), bad},
        {"9110 8.6: digits and a blank", post("Content-Length: 1 1\r\n", "a"), bad},
        {"9110 8.6: none", post("Content-Length:\r\n", ""), bad},
        {"9112 6.1: a length and a coding", post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
         bad},
        {"9112 6.1: a coding and a length", post("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", "0\r\n\r\n"),
         bad},
        {"9112 6.1: HTTP/1.0", head("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", bad},
        {"9112 6.3: chunked is not the last", post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), bad},
        {"9112 6.3: not chunked", post("Transfer-Encoding: gzip\r\n", "x"), bad},
        {"9112 6.3: identity is no coding any more", post("Transfer-Encoding: identity\r\n", ""), bad},
        {"9112 6.3: not quite chunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), bad},
        {"9112 6.3: chunked with a byte that some trim",
         post("Transfer-Encoding: \x0b"
              "chunked\r\n",
              "0\r\n\r\n"),
         bad},
        {"9112 6.3: quoted", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), bad},
        {"9112 6.3: none", post("Transfer-Encoding:\r\n", ""), bad},
        {"9112 6.1: a coding that is not ours", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
         "refused 501"},
        {"9112 6.1: two lines", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), bad},
        {"9112 6.1: two lines, one hidden", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n"),
         bad},
    };
}

std::vector<parser_case> refused_chunks() {
    return {
        {"9112 7.1: no size", chunked("\r\n"), bad},
        {"9112 7.1: not a number", chunked("zz\r\n"), bad},
        {"9112 7.1: 0x", chunked("0x1\r\na\r\n0\r\n\r\n"), bad},
        {"9112 7.1: a sign", chunked("+1\r\na\r\n0\r\n\r\n"), bad},
        {"9112 7.1: a blank before", chunked(" 1\r\na\r\n0\r\n\r\n"), bad},
        {"9112 7.1: a blank behind", chunked("1 \r\na\r\n0\r\n\r\n"), bad},
        {"9112 7.1: two numbers", chunked("1 1\r\na\r\n0\r\n\r\n"), bad},
        {"9112 7.1: more data than said", chunked("1\r\nab\r\n0\r\n\r\n"), bad},
        {"9112 7.1: a size that overflows", chunked("10000000000000001\r\na\r\n0\r\n\r\n"), bad},
        {"9112 7.1: zeros without end", chunked(repeated(17, "0") + "1\r\na\r\n0\r\n\r\n"), bad},
        {"9112 7.1: a bare LF after the size", chunked("1\na\r\n0\r\n\r\n"), bad},
        {"9112 7.1: a bare LF behind the data", chunked("1\r\na\n0\r\n\r\n"), bad},
        {"9112 7.1: a bare LF behind the last size", chunked("0\n\r\n"), bad},
        {"9112 7.1: a bare LF at the end", chunked("0\r\n\n"), bad},
        {"9112 7.1.1: a bare CR in an extension", chunked("1;a\rb\r\na\r\n0\r\n\r\n"), bad},
        {"9112 7.1.1: a quote that is open at the line's end", chunked("1;a=\"\n\"\r\na\r\n0\r\n\r\n"), bad},
        {"9112 7.1.1: a quote without end", chunked("1;a=\"b\r\na\r\n0\r\n\r\n\"\r\n"), bad},
        {"9112 7.1.1: a quote whose end is escaped", chunked("1;a=\"b\\\"\r\na\r\n0\r\n\r\n"), bad},
        {"9112 7.1.1: extensions without end", chunked("1;" + repeated(1'100, "a") + "\r\na\r\n0\r\n\r\n"), bad},
        {"9112 7.1.2: a trailer without a name", chunked("0\r\n: b\r\n\r\n"), bad},
        {"9112 7.1.2: a trailer without a colon", chunked("0\r\nGET / HTTP/1.1\r\n\r\n"), bad},
        {"9112 7.1.2: a folded trailer", chunked("0\r\nA: b\r\n c\r\n\r\n"), bad},
        {"9112 7.1.2: trailers without end", chunked("0\r\n" + repeated(2'200, "A: b\r\n") + "\r\n"), bad},
    };
}

std::vector<parser_case> refused_sizes() {
    const auto limits = small_limits();
    const auto longest = "/" + repeated(limits.max_target_bytes, "a");
    const std::string wide = "A: " + repeated(limits.max_header_bytes, "b");
    return {
        {"9110 15.5.15: a long target", head("GET " + longest + " HTTP/1.1"), "refused 414"},
        {"9110 15.5.15: one without end", "GET /" + repeated(300, "a"), "refused 414"},
        {"9110 15.5.15: one in absolute form", head("GET http://a" + longest + " HTTP/1.1"), "refused 414"},
        {"6585 5: a wide field", head("GET / HTTP/1.1", wide + "\r\n"), "refused 431"},
        {"6585 5: one without end", "GET / HTTP/1.1\r\nHost: a\r\n" + wide, "refused 431"},
        {"6585 5: many fields", head("GET / HTTP/1.1", repeated(8, "A: b\r\n")), "refused 431"},
        {"6585 5: a method without end", repeated(401, "A"), "refused 431"},
        {"9110 15.5.14: a long body", post("Content-Length: 65\r\n", ""), "refused 413"},
        {"9110 8.6: a length that no number holds", post("Content-Length: 99999999999999999999\r\n", ""),
         "refused 413"},
        {"9110 15.5.14: a long chunk", chunked("41\r\n"), "refused 413"},
        {"9110 15.5.14: a chunk of 64 bits", chunked("ffffffffffffffff\r\n"), "refused 413"},
        {"9110 15.5.14: many chunks", chunked(repeated(65, "1\r\na\r\n") + "0\r\n\r\n"), "refused 413"},
        {"the first fault counts: target, then LF", "GET /" + repeated(300, "a") + " HTTP/1.1\n\r\n\r\n",
         "refused 414"},
        {"the first fault counts: LF, then size", "GET / HTTP/1.1\nA: " + repeated(500, "a") + "\r\n\r\n", bad},
        {"the first fault counts: LF, then version", "GET / HTTP/2.0\r\nA: b\nC: d\r\n\r\n", bad},
    };
}

}  // namespace

std::vector<parser_case> refused_cases() {
    std::vector<parser_case> all;
    for (auto* table : {refused_lines, refused_targets, refused_hosts, refused_fields, refused_framing, refused_chunks,
                        refused_sizes})
        append(all, table());
    return all;
}

std::vector<parser_case> accepted_cases() {
    return {
        {"9112 3", head("GET / HTTP/1.1"), "GET / v11 host=a Host=a keep"},
        {"9112 2.2: an empty line before", "\r\n" + head("GET / HTTP/1.1"), "GET / v11 host=a Host=a keep"},
        {"9112 2.2: a few", repeated(4, "\r\n") + head("GET / HTTP/1.1"), "GET / v11 host=a Host=a keep"},
        {"9110 2.5: a higher minor version", head("GET / HTTP/1.2"), "GET / v11 host=a Host=a keep"},
        {"9110 2.5: the highest", head("GET / HTTP/1.9"), "GET / v11 host=a Host=a keep"},
        {"9112 9.3: HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "GET / v10 host= close"},
        {"9112 9.3: HTTP/1.0 that stays", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
         "GET / v10 host= Connection=Keep-Alive keep"},
        {"9112 9.3: HTTP/1.0, close wins", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
         "GET / v10 host= Connection=keep-alive, close close"},
        {"9112 9.3: close", head("GET / HTTP/1.1", "Connection: close\r\n"),
         "GET / v11 host=a Host=a Connection=close close"},
        {"9112 9.3: close in the second line", head("GET / HTTP/1.1", "Connection: te\r\nConnection: TE, Close\r\n"),
         "GET / v11 host=a Host=a Connection=te Connection=TE, Close close"},
        {"9110 5.6.1.2: empty elements of a list", head("GET / HTTP/1.1", "Connection: , close,\r\n"),
         "GET / v11 host=a Host=a Connection=, close, close"},
        {"9112 C.2.2: Proxy-Connection is not for us", head("GET / HTTP/1.1", "Proxy-Connection: close\r\n"),
         "GET / v11 host=a Host=a Proxy-Connection=close keep"},
        {"9110 7.8: an upgrade is ignored",
         head("GET / HTTP/1.1", "Upgrade: HTTP/2.0, IRC/6.9\r\nConnection: upgrade\r\n"),
         "GET / v11 host=a Host=a Upgrade=HTTP/2.0, IRC/6.9 Connection=upgrade keep"},
        {"9112 3.2: an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / v11 host= Host= keep"},
        {"9112 3.2: a port", "GET / HTTP/1.1\r\nHost: a:80\r\n\r\n", "GET / v11 host=a:80 Host=a:80 keep"},
        {"9112 3.2: IPv6", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET / v11 host=[::1]:80 Host=[::1]:80 keep"},
        {"9112 3.2.2: the absolute form wins over Host", head("GET http://b:1/c?d HTTP/1.1"),
         "GET /c v11 query=d host=b:1 Host=a keep"},
        {"9112 3.2.2: without a path", head("GET HTTP://b HTTP/1.1"), "GET / v11 host=b Host=a keep"},
        {"9112 3.2.2: a query without a path", head("GET http://b?c HTTP/1.1"), "GET / v11 query=c host=b Host=a keep"},
        {"9112 3.2.4: OPTIONS *", head("OPTIONS * HTTP/1.1"), "OPTIONS * v11 host=a Host=a keep"},
        {"9112 3.2.4: OPTIONS of a whole server", head("OPTIONS http://b HTTP/1.1"),
         "OPTIONS * v11 host=b Host=a keep"},
        {"9112 3.2.3: CONNECT", head("CONNECT b:443 HTTP/1.1"), "CONNECT  v11 host=b:443 Host=a keep"},
        {"3986 5.2.4: dot segments, escaped ones too", head("GET /a/%2e%2E/b/./c/.. HTTP/1.1"),
         "GET /b/ v11 host=a Host=a keep"},
        {"9112 5.1: blanks around a value", head("GET / HTTP/1.1", "A: \t b c \t\r\nB:d\r\nC:\r\n"),
         "GET / v11 host=a Host=a A=b c B=d C= keep"},
        {"9110 5.5: obs-text", head("GET / HTTP/1.1", "A: \xc3\xa4\r\n"), "GET / v11 host=a Host=a A=\xc3\xa4 keep"},
        {"9110 10.1.1: HTTP/1.0 expects nothing", "GET / HTTP/1.0\r\nExpect: a\r\n\r\n",
         "GET / v10 host= Expect=a close"},
        {"9110 8.6: a body", post("Content-Length: 3\r\n", "abc"),
         "POST / v11 host=a Host=a Content-Length=3 body=abc keep"},
        {"9110 8.6: leading zeros", post("Content-Length: 003\r\n", "abc"),
         "POST / v11 host=a Host=a Content-Length=003 body=abc keep"},
        {"9110 8.6: an empty body", post("Content-Length: 0\r\n", ""),
         "POST / v11 host=a Host=a Content-Length=0 keep"},
        {"9112 6.3: no length, no body", head("POST / HTTP/1.1"), "POST / v11 host=a Host=a keep"},
        {"9110 9.3.1: GET with a body", head("GET / HTTP/1.1", "Content-Length: 1\r\n") + "a",
         "GET / v11 host=a Host=a Content-Length=1 body=a keep"},
        {"the longest body", post("Content-Length: 64\r\n", std::string(64, 'a')), {}},
        {"the longest target", head("GET /" + repeated(59, "a") + " HTTP/1.1"), {}},
        {"the longest head", head("GET / HTTP/1.1", "A: " + repeated(400 - 32, "b") + "\r\n"), {}},
        {"the most fields", head("GET / HTTP/1.1", repeated(7, "A: b\r\n")), {}},
        {"9112 7.1", chunked("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
         "POST / v11 host=a Host=a Transfer-Encoding=chunked body=abcde keep"},
        {"9112 7: codings have no case", post("Transfer-Encoding: ChunKed\r\n", "0\r\n\r\n"),
         "POST / v11 host=a Host=a Transfer-Encoding=ChunKed keep"},
        {"9112 7.1: hexadecimal sizes", chunked("a\r\n0123456789\r\nB\r\n0123456789a\r\n00\r\n\r\n"),
         "POST / v11 host=a Host=a Transfer-Encoding=chunked body=01234567890123456789a keep"},
        {"9112 7.1.1: extensions are ignored", chunked("1;a\r\nb\r\n1 ; c=\"d\"\r\ne\r\n0;f\r\n\r\n"),
         "POST / v11 host=a Host=a Transfer-Encoding=chunked body=be keep"},
        {"9112 7.1.1: quotes and escapes in an extension", chunked("1;a=\"b;\\\"c\"\r\nd\r\n0\r\n\r\n"),
         "POST / v11 host=a Host=a Transfer-Encoding=chunked body=d keep"},
        {"9110 6.5.1: trailers change nothing",
         chunked("1\r\na\r\n0\r\nHost: b\r\nConnection: close\r\nContent-Length: 9\r\n\r\n"),
         "POST / v11 host=a Host=a Transfer-Encoding=chunked body=a keep"},
    };
}

}  // namespace requests
