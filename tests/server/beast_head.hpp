#pragma once

#include <algorithm>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <cctype>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/head.hpp"

namespace heads {

/// Whether `head` is one that `parse_head` may be given: it ends with its only empty line, and begins with none.
inline bool whole(std::string_view head) {
    return !head.starts_with('\r') && head.size() >= 4 && head.find("\r\n\r\n") == head.size() - 4;
}

/// What was read, as text. Beast puts lines of one name together; so does this, for both readers.
class text {
public:
    void begin(std::string_view method, std::string_view target) {
        first_.append(method).append(" ").append(target).append("\n");
    }
    void add(std::string_view name, std::string_view value) {
        std::string key(name);
        for (char& c : key) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        fields_[key].append(name).append(":").append(value).append("\n");
    }
    std::string whole() const {
        std::string all = first_;
        for (const auto& [name, lines] : fields_) all += lines;
        return all;
    }

private:
    std::string first_;
    std::map<std::string, std::string> fields_;
};

/// What `parse_head` reads in a head; none when it refuses.
inline std::optional<std::string> read_by_us(std::string_view head) {
    server::request request;
    if (server::parse_head(head, 1'000, request)) return std::nullopt;
    text read;
    read.begin(request.method_name, request.target);
    for (const auto& [known, name, value] : request.fields) read.add(name, value);
    return read.whole();
}

/// What each of our two scanners makes of bytes, in memory that ends where they do: the fault or what was read.
struct exactly {
    std::string wide, bytewise;
};

inline exactly read_exactly(std::string_view bytes) {
    const auto copy = std::make_unique<char[]>(bytes.size());  // a sanitizer sees each read beyond it
    std::copy(bytes.begin(), bytes.end(), copy.get());
    const std::string_view head(copy.get(), bytes.size());
    const auto by = [head](auto parse) {
        server::request request;
        std::string said;
        if (const auto fault = parse(head, 100, request)) said = std::to_string(static_cast<unsigned>(*fault)) + "\n";
        const auto show = [&](std::string_view text) {
            if (!text.empty()) said.append(std::to_string(text.data() - head.data()));
            said.append(":").append(text).append("\n");
        };
        show(request.method_name);
        show(request.target);
        said += std::to_string(request.version);
        for (const auto& [known, name, value] : request.fields) {
            said += std::to_string(static_cast<unsigned>(known));
            show(name);
            show(value);
        }
        return said;
    };
    return {.wide = by(server::parse_head), .bytewise = by(server::parse_head_bytewise)};
}

/// The same by Beast, an independent reader of the same grammar.
inline std::optional<std::string> read_by_beast(std::string_view head, boost::beast::error_code& error) {
    namespace http = boost::beast::http;
    http::request_parser<http::empty_body> parser;
    parser.skip(true);
    parser.header_limit(1U << 20);
    parser.put(boost::asio::const_buffer(head.data(), head.size()), error);
    if (error || !parser.is_header_done()) return std::nullopt;
    const auto view = [](boost::beast::string_view of) { return std::string_view(of.data(), of.size()); };
    text read;
    read.begin(view(parser.get().method_string()), view(parser.get().target()));
    for (const auto& field : parser.get()) read.add(view(field.name_string()), view(field.value()));
    return read.whole();
}

}  // namespace heads
