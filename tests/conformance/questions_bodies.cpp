// Where a message ends: Content-Length, Transfer-Encoding, chunks. Each bad body has a request after it or in
// it that must not be answered: a server that answers it can be desynchronised.

#include <fmt/format.h>

#include "tests/conformance/question.hpp"

using namespace std::string_literals;

namespace conformance {

static const std::string smuggled = "GET /livez HTTP/1.1\r\nHost: exam\r\n\r\n";

questions lengths() {
    using enum grade;
    questions all = {
        {"a body", "9112 6.2", must, post("Content-Length: 5\r\n", "hello"), "200 open", {"=hello"}},
        {"an empty body", "9112 6.2", must, post("Content-Length: 0\r\n"), "200 open", {"="}},
        {"no length is an empty body", "9112 6.3", must, post(""), "200|411 open"},
        {"a body and a request after it", "9112 6.3", must, post("Content-Length: 5\r\n", "hello") + smuggled,
         "200 200 open"},
        {"a body that looks like a request",
         "9112 6.3",
         must,
         post(fmt::format("Content-Length: {}\r\n", smuggled.size()), smuggled),
         "200 open",
         {"=" + smuggled}},
        {"a body of line ends",
         "9112 6.3",
         must,
         post("Content-Length: 8\r\n", "\r\n\r\n\r\n\r\n"),
         "200 open",
         {"=\r\n\r\n\r\n\r\n"}},
        {"a body of NULs", "9112 6.3", must, post("Content-Length: 4\r\n", "\0\0\0\0"s), "200 open", {"=\0\0\0\0"s}},
        {"a body of GET is read over", "9110 9.3.1", must,
         get(fmt::format("Content-Length: {}\r\n", smuggled.size())) + smuggled, "200|400 any"},
        {"a body of HEAD is read over", "9110 9.3.2", must,
         with_host("HEAD / HTTP/1.1", fmt::format("Content-Length: {}\r\n", smuggled.size())) + smuggled,
         "200h|400h any"},
        {"a body for 404 is read over", "9112 9.3", must,
         with_host("POST /nothing HTTP/1.1", fmt::format("Content-Length: {}\r\n", smuggled.size())) + smuggled,
         "404 any"},
        {"a body for 405 is read over", "9112 9.3", must,
         with_host("POST / HTTP/1.1", fmt::format("Content-Length: {}\r\n", smuggled.size())) + smuggled, "405 any"},
        {"a length with zeros before it",
         "9110 8.6",
         must,
         post("Content-Length: 0005\r\n", "hello"),
         "200 open",
         {"=hello"}},
        {"a length with 30 zeros before it",
         "9110 8.6",
         should,
         post("Content-Length: " + std::string(30, '0') + "5\r\n", "hello"),
         "200 open",
         {"=hello"}},
        {"a length between blanks",
         "9112 5.1",
         must,
         post("Content-Length: \t 5 \t\r\n", "hello"),
         "200 open",
         {"=hello"}},
        {"content-length in small letters",
         "9110 5.1",
         must,
         post("content-length: 5\r\n", "hello"),
         "200 open",
         {"=hello"}},
        {"a body of HTTP/1.0",
         "9112 6.3",
         must,
         "POST /echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello",
         "200 close",
         {"=hello"}},
        {"half a body, then FIN", "9112 8", must, post("Content-Length: 50\r\n", "hello"), "4xx? close", {}, {}, true},
        {"a length with no body, then FIN", "9112 8", must, post("Content-Length: 5\r\n"), "4xx? close", {}, {}, true},
        {"two lengths", "9112 6.3", must, post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), "400 close"},
        {"two lengths, one of them 0", "9112 6.3", must, post("Content-Length: 0\r\nContent-Length: 37\r\n", smuggled),
         "400 close"},
        {"two lengths in one line", "9112 6.3", must, post("Content-Length: 5, 6\r\n", "hello"), "400 close"},
        {"the same length twice", "9112 6.3", safe, post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
         "400 close"},
        {"the same length twice in one line", "9112 6.3", safe, post("Content-Length: 5, 5\r\n", "hello"), "400 close"},
        {"a bad length, HTTP/1.0", "9112 6.3", must, "POST /echo HTTP/1.0\r\nContent-Length: x\r\n\r\n" + smuggled,
         "400 close"},
        {"a bad length of GET", "9112 6.3", must, get("Content-Length: x\r\n") + smuggled, "400 close"},
        {"a length of 2 MiB is refused before it comes", "9110 15.5.14", safe, post("Content-Length: 2097152\r\n"),
         "413 stop"},
        {"a length of 2^63", "9110 8.6", must, post("Content-Length: 9223372036854775808\r\n", smuggled),
         "400|413 close"},
        {"a length of 2^64", "9110 8.6", must, post("Content-Length: 18446744073709551616\r\n", smuggled),
         "400|413 close"},
        {"a length of 2^64 + 5", "9110 8.6", must, post("Content-Length: 18446744073709551621\r\n", "hello" + smuggled),
         "400|413 close"},
        {"a length of 40 digits", "9110 8.6", must, post("Content-Length: " + std::string(40, '9') + "\r\n", smuggled),
         "400|413 close"},
    };
    for (const char* bad :
         {"",    "-1",  "-0",    "+5",    "5.0",  "5e0",      "0x5", "5h",  "h5",    "5 5", "5;", "5,", ",5",
          "5\v", "\v5", "\"5\"", "5\x01", "five", "\xd9\xa5", "5 0", "5_0", "1'000", "NaN", "~5", "%35"})
        all.push_back({fmt::format("the length '{}'", bad), "9112 6.3", must,
                       post(fmt::format("Content-Length: {}\r\n", bad), "hello" + smuggled), "400 close"});
    all.push_back(
        {"a length with NUL", "9112 6.3", must, post("Content-Length: 5\0\r\n"s, "hello" + smuggled), "400 close"});
    return all;
}

questions codings() {
    using enum grade;
    const std::string body = "5\r\nhello\r\n0\r\n\r\n";
    questions all = {
        {"chunked and a length", "9112 6.3", must, post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", body),
         "200|400 close"},
        {"chunked and a length are refused", "9112 11.2", safe,
         post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", body + smuggled), "400 close"},
        {"a length and chunked are refused", "9112 11.2", safe,
         post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", body + smuggled), "400 close"},
        {"chunked and a length of 0", "9112 11.2", safe,
         post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", body), "400 close"},
        {"chunked and a bad length", "9112 6.3", must,
         post("Transfer-Encoding: chunked\r\nContent-Length: x\r\n", body), "200|400 close"},
        {"chunked in HTTP/1.0", "9112 6.1", must,
         with_host("POST /echo HTTP/1.0", "Transfer-Encoding: chunked\r\n") + body, "200|400 close"},
        {"chunked in HTTP/1.0 is refused", "9112 11.2", safe,
         with_host("POST /echo HTTP/1.0", "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n") + body + smuggled,
         "400 close"},
        {"chunked and a length in HTTP/1.0", "9112 6.1", must,
         with_host("POST /echo HTTP/1.0",
                   "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n") +
             body,
         "200|400 close"},
        {"chunked of GET is read over", "9110 9.3.1", must, get("Transfer-Encoding: chunked\r\n") + body,
         "200|400 any"},
        {"chunked twice", "9112 6.1", must, post("Transfer-Encoding: chunked, chunked\r\n", body + smuggled),
         "400|501 close"},
        {"chunked on two lines", "9112 6.1", must,
         post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", body + smuggled), "400|501 close"},
        {"chunked, then identity on another line", "9112 6.3", must,
         post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", body + smuggled), "400|501 close"},
        {"identity, then chunked on another line", "9112 6.1", should,
         post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", body + smuggled), "400|501 close"},
        {"gzip, then chunked", "9112 6.1", should, post("Transfer-Encoding: gzip, chunked\r\n", body + smuggled),
         "501 close"},
        {"a coding that nobody knows, then chunked", "9112 6.1", should,
         post("Transfer-Encoding: rot13, chunked\r\n", body + smuggled), "501 close"},
        {"an empty element, then chunked", "9110 5.6.1.2", safe, post("Transfer-Encoding: , chunked\r\n", body),
         "200|400|501 any"},
    };
    for (const char* good : {"chunked", "Chunked", "CHUNKED", "cHuNkEd", " \tchunked\t "})
        all.push_back({fmt::format("the coding '{}'", good),
                       "9112 7",
                       must,
                       post(fmt::format("Transfer-Encoding: {}\r\n", good), body),
                       "200 open",
                       {"=hello"}});
    for (const char* bad : {"",
                            "gzip",
                            "deflate",
                            "identity",
                            "chunked, gzip",
                            "chunked, identity",
                            "gzip, deflate",
                            "x",
                            "chunke",
                            "chunkedd",
                            "xchunked",
                            "chunked-x",
                            "\"chunked\"",
                            "chunked;a=b",
                            "chunked\v",
                            "\vchunked",
                            "\x01"
                            "chunked",
                            "chunked\x7f",
                            "chun ked",
                            "chunked x",
                            "x chunked",
                            "chunked;",
                            "'chunked'",
                            "chunked/1",
                            "c\xff"
                            "hunked",
                            "chunked chunked"})
        all.push_back({fmt::format("the coding '{}'", bad), "9112 6.3", must,
                       post(fmt::format("Transfer-Encoding: {}\r\n", bad), body + smuggled), "400|501 close"});
    all.push_back({"a coding with NUL", "9112 6.3", must, post("Transfer-Encoding: chunked\0\r\n"s, body + smuggled),
                   "400|501 close"});
    return all;
}

static questions good_chunks() {
    using enum grade;
    const auto echoed = [](std::string name, std::string bytes, std::string body) {
        return question{std::move(name), "9112 7.1", must, chunked(bytes), "200 open", {"=" + body}};
    };
    questions all = {
        echoed("no chunk but the last", "0\r\n\r\n", ""),
        echoed("two chunks", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"),
        echoed("chunks of one byte", "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n", "abc"),
        echoed("a size in capitals", "A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        echoed("a size in small letters", "a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        echoed("zeros before a size", "0005\r\nhello\r\n0\r\n\r\n", "hello"),
        echoed("a last chunk of zeros", "5\r\nhello\r\n0000\r\n\r\n", "hello"),
        echoed("line ends in a chunk", "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"),
        echoed("a last chunk in a chunk", "7\r\n0\r\n\r\nab\r\n0\r\n\r\n", "0\r\n\r\nab"),
        echoed("a request in a chunk", fmt::format("{:x}\r\n{}\r\n0\r\n\r\n", smuggled.size(), smuggled), smuggled),
        echoed("NUL in a chunk", "3\r\na\0b\r\n0\r\n\r\n"s, "a\0b"s),
    };
    const auto in_chunk = [&](const char* name, std::string bytes, const char* section = "9112 7.1.1") {
        all.push_back({name, section, must, chunked(bytes), "200 open", {"=hello"}});
    };
    in_chunk("an extension", "5;a\r\nhello\r\n0\r\n\r\n");
    in_chunk("an extension with a value", "5;a=b\r\nhello\r\n0\r\n\r\n");
    in_chunk("an extension with a quoted value", "5;a=\"b c\"\r\nhello\r\n0\r\n\r\n");
    in_chunk("a quoted semicolon", "5;a=\";\"\r\nhello\r\n0\r\n\r\n");
    in_chunk("three extensions", "5;a;b=c;d=\"e\"\r\nhello\r\n0\r\n\r\n");
    in_chunk("an extension of the last chunk", "5\r\nhello\r\n0;a=b\r\n\r\n");
    in_chunk("blanks before an extension", "5 ;a\r\nhello\r\n0\r\n\r\n");
    in_chunk("blanks in an extension", "5 ; a = b\r\nhello\r\n0\r\n\r\n");
    in_chunk("an extension of 100 bytes", "5;a=" + std::string(96, 'b') + "\r\nhello\r\n0\r\n\r\n");
    in_chunk("a trailer", "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", "9112 7.1.2");
    in_chunk("two trailers", "5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Len: 5\r\n\r\n", "9112 7.1.2");
    in_chunk("an empty trailer", "5\r\nhello\r\n0\r\nX-Sum:\r\n\r\n", "9112 7.1.2");
    in_chunk("a Content-Length as trailer", "5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n", "9110 6.5.1");
    in_chunk("a Host as trailer", "5\r\nhello\r\n0\r\nHost: other\r\n\r\n", "9110 6.5.1");
    in_chunk("a Transfer-Encoding as trailer", "5\r\nhello\r\n0\r\nTransfer-Encoding: gzip\r\n\r\n", "9110 6.5.1");
    in_chunk("a Connection: close as trailer", "5\r\nhello\r\n0\r\nConnection: close\r\n\r\n", "9110 6.5.1");
    all.push_back(
        {"a request after chunks", "9112 6.3", must, chunked("5\r\nhello\r\n0\r\n\r\n") + smuggled, "200 200 open"});
    all.push_back(
        {"a request after trailers", "9112 6.3", must, chunked("0\r\nA: b\r\n\r\n") + smuggled, "200 200 open"});
    return all;
}

static questions bad_chunks() {
    using enum grade;
    questions all;
    const auto refused = [&](std::string name, const std::string& bytes, grade weight = should) {
        all.push_back({std::move(name), "9112 7.1", weight, chunked(bytes + smuggled), "400|413 close"});
    };
    for (const char* size :
         {"",    "z",     "g",     "-5",  "+5", "0x5", "x5", "5.", "5h",  "5 5",          " 5", "\t5",   "5,",
          "5 a", "\"5\"", "5\x01", "5\v", "_5", "-0",  "5:", "5=", "%35", "\xef\xbc\x95", "0x", "5 \xff"})
        refused(fmt::format("the size '{}'", size), fmt::format("{}\r\nhello\r\n0\r\n\r\n", size), must);
    refused("a size of 16 digits is refused at once", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n", safe);
    refused("a size of 17 digits", "10000000000000005\r\nhello\r\n0\r\n\r\n", must);
    refused("a size of 2^63 is refused at once", "8000000000000000\r\nhello\r\n0\r\n\r\n", safe);
    refused("a size that overflows to 5", "100000000000000000000000000000005\r\nhello\r\n0\r\n\r\n", must);
    refused("2 MiB in one chunk is refused at once", "200000\r\n", safe);
    refused("more data than the size says", "4\r\nhello\r\n0\r\n\r\n", must);
    refused("less data than the size says", "6\r\nhello\r\n0\r\n\r\n", must);
    refused("no line end after the data", "5\r\nhello0\r\n\r\n", must);
    refused("a bare LF after the data", "5\r\nhello\n0\r\n\r\n", safe);
    refused("a bare CR after the data", "5\r\nhello\r0\r\n\r\n", must);
    refused("LF CR after the data", "5\r\nhello\n\r0\r\n\r\n", should);
    refused("two bytes of anything after the data", "5\r\nhelloxx0\r\n\r\n", must);
    refused("a bare LF after a size", "5\nhello\r\n0\r\n\r\n", safe);
    refused("a bare CR after a size", "5\rhello\r\n0\r\n\r\n", must);
    refused("a blank after a size", "5 \r\nhello\r\n0\r\n\r\n", safe);
    refused("a bare LF after the last size", "5\r\nhello\r\n0\n\r\n", safe);
    refused("a bare LF at the very end", "5\r\nhello\r\n0\r\n\n", safe);
    refused("a bare LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n", safe);
    refused("a bare CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n", safe);
    refused("a quote without end in an extension", "5;a=\"b\r\nhello\r\n0\r\n\r\n\"\r\nhello\r\n0\r\n\r\n", safe);
    refused("NUL in an extension", "5;a=\0\r\nhello\r\n0\r\n\r\n"s);
    refused("DEL in an extension", "5;a=\x7f\r\nhello\r\n0\r\n\r\n");
    refused("an extension of 20,000 bytes", "5;a=" + std::string(20'000, 'b') + "\r\nhello\r\n0\r\n\r\n", safe);
    refused("a trailer without colon", "0\r\nnonsense\r\n\r\n");
    refused("a trailer without name", "0\r\n: b\r\n\r\n");
    refused("a blank before a trailer's colon", "0\r\nA : b\r\n\r\n");
    refused("a folded trailer", "0\r\nA: b\r\n c\r\n\r\n", safe);
    refused("a trailer after a blank", "0\r\n A: b\r\n\r\n");
    refused("NUL in a trailer", "0\r\nA: \0\r\n\r\n"s);
    refused("a bare LF in a trailer", "0\r\nA: b\nC: d\r\n\r\n", safe);
    refused("a bare CR in a trailer", "0\r\nA: b\rC: d\r\n\r\n", safe);
    refused("a request in the place of a trailer", "0\r\n", should);
    const std::string half = chunked("5\r\nhel");
    all.push_back({"half a chunk, then FIN", "9112 8", must, half, "4xx? close", {}, {}, true});
    all.push_back({"no last chunk, then FIN", "9112 8", must, half + "lo\r\n", "4xx? close", {}, {}, true});
    all.push_back(
        {"no end of the trailers, then FIN", "9112 8", must, half + "lo\r\n0\r\n", "4xx? close", {}, {}, true});
    return all;
}

questions chunks() {
    auto all = good_chunks();
    for (auto& bad_chunk : bad_chunks()) all.push_back(std::move(bad_chunk));
    return all;
}

}  // namespace conformance
