// Arbitrary bytes after the preface of HTTP/2, in arbitrary pieces, with ticks in between and a drain after them: no
// request is lost from the account, nothing is held when the client has gone, and what is sent is HTTP/2; and a handler
// is asked the same as when all of it comes at once. The first byte chooses the cuts, the second what handlers do. In
// the corpus, from_* are what real clients have sent, by tests/all/http2_captures.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/http2/machine.hpp"
#include "tests/http2/guest.hpp"
#include "tests/server/simulated.hpp"

namespace {

using namespace std::chrono_literals;
using server::http2::stream;

const server::router& routes() {
    static const auto made = [] {
        const auto nothing = [](const lifecycle::context&, const server::request&) { return server::response(); };
        server::router all;
        all.get("/", nothing).post("/", nothing);
        const auto takes = [](lifecycle::context, const server::request&,
                              server::request_body&) -> lifecycle::awaitable<server::response> {
            co_return server::response();
        };
        all.get("/s", nothing).becomes([](server::wire) { return std::unique_ptr<server::session>(); });
        all.streamed(server::http::verb::post, "/b", takes);
        // Of the captures (tests/all/http2_captures).
        all.post("/echo", nothing).post("/greeter.v1.Greeter/Greet", nothing);
        all.get("/ws", nothing).becomes([](server::wire) { return std::unique_ptr<server::session>(); });
        all.streamed(server::http::verb::post, "/count", takes);
        return all;
    }();
    return made;
}

/// Handlers answer at once, or when the next piece has been read; every other answer is a stream.
class driven final : private server::http2::duties {
public:
    explicit driven(const server::options& limits, bool waits) : waits_(waits), place_(routes(), limits) {
        machine.begin({.work = nullptr, .bytes = {}}, at());
    }
    void receive(std::string_view bytes) {
        machine.receive(bytes, at());
        settle();
    }
    void tick(const server::drain_view& drain) {
        now_ += 700ms;
        machine.tick(drain, at());
        settle();
    }
    server::drain_view drain() const {
        return {.draining = true, .began = now_, .idle_until = now_ + 1s, .over = now_ + 2s};
    }
    void end() {
        machine.lost(at());
        return_all();
        machine.end();
        add();
        const bool balanced = began_ == ended_;
        if (balanced && machine.idle() && depot_.held == 0 && guests_ == 0) return;
        std::fprintf(stderr, "began %u, ended %u, held %zu, guests %d\n", began_, ended_, depot_.held, guests_);
        std::abort();
    }

private:
    server::moment at() const { return {.now = now_, .stopping = false, .parting = true}; }
    void settle() {
        std::string out;
        machine.wake(at());
        machine.fill(out, 1 << 20, at());
        machine.flushed();
        return_all();
        machine.wake(at());
        machine.fill(out, 1 << 21, at());
        machine.flushed();
        add();
    }
    void return_all() {
        for (auto* each : std::exchange(asked_, {})) {
            each->current.piece = 0;
            each->current.reply = answer_of(*each, "later");
            each->returned();
        }
    }
    void add() {
        const auto some = machine.take_changes();
        began_ += some.began;
        ended_ += some.finished + some.cut + some.gone;
    }
    void introduce(stream&) override {}
    bool ask(server::asked, stream& of) override {
        heads.try_emplace(of.id, head_of(of.asked));
        if (waits_) {
            asked_.push_back(&of);
            return false;
        }
        of.current.piece = 0;
        of.current.reply = answer_of(of, "now");
        return true;
    }
    static std::string head_of(const server::request& asked) {
        std::string all;
        for (const auto text : {asked.method_name, asked.target, asked.protocol, asked.host}) all.append(text) += '\n';
        for (const auto& field : asked.fields) all.append(field.name).append(": ").append(field.value) += '\n';
        return all;
    }
    static server::response answer_of(const stream& of, const char* text) {
        if (of.current.to != nullptr && of.current.to->becomes)
            return server::response(server::http::status::switching_protocols);
        return server::response(server::http::status::ok, text);
    }
    std::unique_ptr<server::session> becomes(stream&, server::http2::tunnel& through) override {
        return std::make_unique<http2_tests::guest>(through, guests_);
    }
    void left(stream&, const server::moment&) override {}
    void note(stream&, const server::answer_row&) override {}
    void answered(stream&, server::http::status) override {}
    void log_failure(stream&, const std::exception_ptr&) override {}
    void straggles(stream&) override {}
    void returned_late(stream&) override {}
    void proceed() noexcept override {}
    server::moment now() override { return at(); }

    lifecycle::clock::time_point now_{1'000'000h};
    bool waits_;
    std::vector<stream*> asked_;
    std::uint32_t began_ = 0, ended_ = 0;
    int guests_ = 0;  ///< sessions on streams that are alive
    simulated::place place_;
    server::http2::depot depot_;

public:
    std::map<std::int32_t, std::string> heads;  ///< of the requests that a handler was asked, by stream
    server::http2::machine machine{place_.host, *this, depot_};
};

/// What handlers are asked.
auto run(std::string_view bytes, std::size_t cut, bool waits, bool ticks) {
    server::options limits;
    limits.max_header_bytes = 1024;
    limits.max_body_bytes = 512;
    limits.http2_max_streams = 8;
    driven driven(limits, waits);
    driven.receive(std::string_view("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33));
    while (!bytes.empty()) {
        const auto some = bytes.substr(0, cut);
        driven.receive(some);
        bytes.remove_prefix(some.size());
        if (ticks) driven.tick({});
    }
    const auto drain = driven.drain();
    for (int nth = 0; nth < 4; ++nth) driven.tick(drain);
    driven.end();
    return std::move(driven.heads);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
    const bool waits = (data[1] & 1) != 0;
    const auto in_pieces = run(bytes, std::max<std::size_t>(1, data[0]), waits, (data[1] & 2) != 0);
    const auto at_once = run(bytes, std::max<std::size_t>(1, bytes.size()), waits, false);
    for (const auto& [id, head] : in_pieces) {
        // What comes at once may be too much at a time, and what comes slowly too late.
        const auto same = at_once.find(id);
        if (same == at_once.end() || same->second == head) continue;
        std::fprintf(stderr, "stream %d, in pieces:\n%s\nat once:\n%s", id, head.c_str(), same->second.c_str());
        std::abort();
    }
    return 0;
}
