// A session that lives on a stream, and does what a test wants: says back what it hears.
#pragma once

#include <array>
#include <string>

#include "server/wire.hpp"

namespace http2_tests {

struct guest final : server::session {
    explicit guest(server::tunnel& on, int& alive) : through(on), alive_(alive) { ++alive_; }
    ~guest() override { --alive_; }

    void begin(server::handover from, const server::moment&) override {
        path = from.asked->path;
        counted = from.counted;
    }
    server::poll_set::rest ready(const server::moment&) override { return server::poll_set::rest::unknown; }
    void tick(const server::drain_view& drain, const server::moment&) override {
        if (!drain.draining || leaves) return;
        leaves = true;
        to_say += "bye";
    }
    void make_room(char, const server::moment&) override {}
    void client_gone(const server::moment&) override { gone = true; }
    void cut(const server::moment&) override { seen_.forced = true; }
    void stop_begins() noexcept override { told = true; }
    next proceed(const server::moment&) override {
        std::array<char, 16 * 1024> bytes;
        while (reads && through.holds()) {
            const auto [how, count] = through.read(bytes);
            if (how == server::transfer_end::ended) ended = true;
            heard.append(bytes.data(), count);
            if (echoes) to_say.append(bytes.data(), count);
        }
        using interest = server::poll_set::interest;
        while (!to_say.empty()) {
            const auto [how, count] = through.write(to_say);
            to_say.erase(0, count);
            if (how == server::transfer_end::done) continue;
            through.watch(interest::both);
            if (how == server::transfer_end::ended) to_say.clear();
            break;
        }
        if (to_say.empty()) through.watch(interest::read);
        if (gone || forced() || resets) return next::reset;
        if (!to_say.empty() || (!leaves && !ended)) return next::wait;
        through.finish();
        return ended ? next::close : next::wait;
    }
    void end() noexcept override {}
    std::string_view protocol() const noexcept override { return "guest"; }
    const server::options& limits() const noexcept override { return limits_; }
    void each(visitor&) override {}
    void works(std::uint32_t handlers) { seen_.asked = handlers; }

    server::tunnel& through;
    std::string path, heard, to_say;
    bool counted = false, reads = true, echoes = true, leaves = false, resets = false;
    bool ended = false, gone = false, told = false;

private:
    int& alive_;
    server::options limits_;
};

}  // namespace http2_tests
