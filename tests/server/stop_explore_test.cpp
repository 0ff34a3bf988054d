// Random orders of everything that can happen to a process that stops: signals, connections, clients that trickle,
// pipeline, close a half, reset and go at any byte, handlers that obey and others, sources that stand still, a sink
// that fails, time. What runs is the real thing on a hand-moved clock: lifecycle/stop_sequence, server/decision, the
// machine of server/http1, tracker/intake. Only what carries them is modelled: the socket and connection.cpp in
// simulated.hpp, the lists of a loop and main's thread here. A failure prints the seed of its schedule; EXPLORE_SEED=n
// runs that one alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <list>
#include <optional>
#include <random>
#include <sstream>

#include "lifecycle/stop_sequence.hpp"
#include "tests/server/simulated.hpp"
#include "tests/support/slow_build.hpp"
#include "tracker/memory_backlog.hpp"

namespace server {
namespace {

using namespace std::chrono_literals;
using lifecycle::stop_phase;
using lifecycle::stop_sequence;
using std::chrono::milliseconds;
using time_point = stop_sequence::time_point;
using state = connection_state;

constexpr std::uint64_t schedules = support::slow_build ? 5'000 : 100'000;
constexpr int steps_before_the_end = 60;

response never(const lifecycle::context&, const request&) { return {}; }  // what it says the schedule says

const router& routes() {
    static const auto made = [] {
        router all;
        all.get("/", never).post("/", never).probe("/probe", never).events("/ticks", never);
        const auto streamed = [](lifecycle::context, const request&, request_body&) -> lifecycle::awaitable<response> {
            co_return response();
        };
        all.streamed(http::verb::post, "/count", streamed, 2'000);
        all.get("/poll", never).at_stop(at_drain::notify);
        return all;
    }();
    return made;
}

lifecycle::awaitable<std::size_t> no_pieces(std::span<char>) { co_return 0; }  // nor is this called
lifecycle::awaitable<std::string> no_texts() { co_return std::string(); }      // nor this

std::size_t count_of(std::string_view what, std::string_view in) {
    std::size_t count = 0;
    for (auto at = in.find(what); at != in.npos; at = in.find(what, at + 1)) ++count;
    return count;
}

/// Bodies are all x, so no answer looks like the beginning of another.
std::size_t answers_in(std::string_view bytes) {
    return count_of("HTTP/1.1 ", bytes) - count_of("HTTP/1.1 100 ", bytes);
}

/// One client and the connection that it has.
struct client {
    client(simulated::place& on, time_point now) : connection(on, now) {}

    simulated::connection connection;
    std::string to_send;    ///< of what it has decided to ask
    int asked = 0;          ///< requests, up to what was no request
    bool patient = true;    ///< it has never gone, nor closed a half, and it reads
    bool reads = true;      ///< now and then, what it has no room for
    bool confused = false;  ///< what it sent last is none
    bool obedient = true;   ///< the handler that works for it ends with its context
    bool spoiled = false;   ///< a source of its answers has thrown
};

/// What was seen to happen, for an exploration that gets nowhere proves nothing.
struct sights {
    std::uint64_t answered = 0, in_its_place = 0, timed_out = 0, cut = 0, gone = 0, refused = 0, streamed = 0, read = 0;
    std::uint64_t told = 0, ended = 0, ended_by_us = 0, cut_streams = 0, unread = 0;
};

class schedule {
public:
    schedule(std::uint64_t seed, bool told)
        : told_(told),
          random_(seed),
          of_streams_(one_in(4)),
          options_(random_options()),
          sequence_(options_),
          queue_(queue_options()),
          place_(routes(), random_limits()) {
        sequence_.add_part("debug", lifecycle::last_share);
        sequence_.add_part("tracker", options_.flush);
        sequence_.add_part("app", lifecycle::serves_clients);
        sequence_.complete(now_);
        if (!one_in(20)) sequence_.up(app);
    }

    /// Runs to the end. The first broken promise, or nothing.
    std::optional<std::string> run() {
        for (int i = 0; i < steps_before_the_end && holds(); ++i) step();
        if (!sequence_.stopping()) signal();
        fair_since_ = now_;
        fair_ = true;  // from here on the loop ticks in time; handlers, clients and the sink are as they were
        for (int i = 0; i < 5'000 && !ended_ && holds(); ++i) step();
        expect(ended_, "a stop comes to its end");
        at_the_end();
        if (holds()) return std::nullopt;
        return fault_ + "\n" + history_.str();
    }

    const sights& seen() const { return seen_; }
    bool was_over() const { return over_; }
    std::uint64_t dropped() const { return backlog_.account().dropped.contains("deadline") ? 1 : 0; }
    bool was_withdrawn() const { return withdrawn_; }

private:
    static constexpr std::size_t debug = 0, tracker_part = 1, app = 2;

    std::uint64_t upto(std::uint64_t most) { return random_() % (most + 1); }
    bool one_in(std::uint64_t chances) { return random_() % chances == 0; }
    bool holds() const { return fault_.empty(); }
    void expect(bool promise_holds, const char* promise) {
        if (!promise_holds && fault_.empty()) fault_ = std::string("broken: ") + promise;
    }
    void expect(bool promise_holds, const char* promise, const client& of) {
        if (!promise_holds) note("its client has seen: ", of.connection.wire.to_client);
        expect(promise_holds, promise);
    }
    template <class... Parts>
    void note(const Parts&... parts) {
        if (!told_) return;
        history_ << (now_ - time_point{1h}).count() / 1'000'000 << " ms: ";
        (history_ << ... << parts) << '\n';
    }
    moment at() const { return {.now = now_, .stopping = sequence_.stopping()}; }

    lifecycle::shutdown_options random_options() {
        lifecycle::shutdown_options options;
        options.budget = milliseconds(500 + upto(5'000));
        options.lame_duck = milliseconds(one_in(2) ? 0 : upto(300));
        options.idle_grace = milliseconds(upto(200));
        options.flush = milliseconds(upto(200));
        return options;
    }
    server::options random_limits() {
        server::options limits;
        limits.header_timeout = 500ms;
        limits.body_timeout = limits.data_rate_grace = 600ms;
        limits.write_timeout = one_in(2) ? 700ms : 3'000ms;
        limits.request_timeout = 800ms;
        limits.idle_timeout = 2'000ms;
        limits.max_requests = one_in(3) ? 1 + upto(3) : 0;
        limits.max_in_flight = one_in(3) ? 1 : 1'000;
        limits.max_pipelined_bytes = one_in(3) ? 16 : 8'192;
        return limits;
    }
    static tracker::options queue_options() {
        tracker::options options;
        options.queue_capacity = 4;
        options.batch_events = 1;  // so that taking never waits
        options.overflow = tracker::overflow::reject;
        return options;
    }

    // ── the world ───────────────────────────────────────────────────────────────────────────────

    void step() {
        pass(fair_ ? 10ms : milliseconds(one_in(30) ? upto(2'000) : upto(40)));
        if (ended_) return;
        happen();
        if (fair_ || one_in(2)) look_at_sockets();
        if (fair_ || one_in(2)) tick();
        main_thread();
        after_each_step();
    }

    /// Time passes for everybody; main's thread wakes when it wants to, the loops may be starved.
    void pass(milliseconds gap) {
        const auto until = now_ + gap;
        for (auto next = sequence_.next_step(now_); next < until && !ended_; next = sequence_.next_step(now_)) {
            now_ = next;
            main_thread();
        }
        now_ = std::max(now_, until);
    }

    void happen() {
        auto* const chosen = anybody();
        switch (upto(fair_ ? 7 : 13)) {
            case 0:
            case 1:
                if (chosen != nullptr) handler_returns(*chosen);
                break;
            case 2:
            case 3:
                if (chosen != nullptr) send(*chosen);
                break;
            case 4: deliver(); break;
            case 5: sink_works_ = !one_in(3); break;
            case 6:
                if (chosen != nullptr && one_in(6)) client_goes(*chosen);
                break;
            case 7:
                if (chosen != nullptr && chosen->reads) chosen->connection.wire.client_reads();
                break;
            case 8:
            case 9:
            case 10: accept(); break;
            case 11:
                if (one_in(4)) signal();
                break;
            case 12:
                if (one_in(3)) sequence_.begin("debug", now_);
                break;
            case 13: withdraw(); break;
        }
    }

    client* anybody() {
        if (clients_.empty()) return nullptr;
        auto found = clients_.begin();
        std::advance(found, static_cast<std::ptrdiff_t>(upto(clients_.size() - 1)));
        return found->connection.over ? nullptr : &*found;
    }

    void signal() {
        note("signal");
        sequence_.signal("SIGTERM", now_);
    }

    void withdraw() {
        if (!sequence_.withdraw()) return;
        note("withdrawn");
        withdrawn_ = true;
        expect(!draining_, "what has begun to drain cannot be left");
    }

    void accept() {
        if (!listening_ || clients_.size() >= 5) return;
        note("accept");
        auto& added = clients_.emplace_back(place_, now_);
        if (one_in(3)) added.connection.shake_hands(at());
        if (sequence_.stopping()) added.connection.machine.stop_begins();
        auto& wire = added.connection.wire;
        wire.piece = one_in(3) ? 1 + upto(30) : std::string::npos;
        if (one_in(of_streams_ ? 2 : 4)) {  // reads when it likes
            wire.room = 100 + upto(one_in(2) ? 500 : 20'000);
            added.patient = false;
            added.reads = !one_in(2);
        }
    }

    // ── a client does everything that a client can do ───────────────────────────────────────────

    std::string request_of(client& client) {
        const auto id = "X-Request-Id: c" + std::to_string(100 + ++client.asked) + "\r\n";
        const auto body = std::string(upto(200), 'y');
        const auto sized = "Content-Length: " + std::to_string(body.size()) + "\r\n";
        const std::string post = one_in(2) ? "POST / " : "POST /count ";
        switch (of_streams_ && one_in(2) ? 10 : upto(13)) {
            case 0: return post + "HTTP/1.1\r\nHost: a\r\n" + id + sized + "\r\n" + body;
            case 1: return post + "HTTP/1.1\r\nHost: a\r\n" + id + sized + "Expect: 100-continue\r\n\r\n" + body;
            case 2:
                return post + "HTTP/1.1\r\nHost: a\r\n" + id +
                       "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nyyyyy\r\n0\r\nT: u\r\n\r\n";
            case 3: return "GET / HTTP/1.0\r\n" + id + "\r\n";
            case 4: return "GET / HTTP/1.0\r\n" + id + "Connection: keep-alive\r\n\r\n";
            case 5: return "GET / HTTP/1.1\r\nHost: a\r\n" + id + "Connection: close\r\n\r\n";
            case 6: return "HEAD /probe HTTP/1.1\r\nHost: a\r\n" + id + "\r\n";
            case 7: return "\r\nGET /nowhere HTTP/1.1\r\nHost: a\r\n" + id + "\r\n";
            case 8: return "GET / HTTP/1.1\r\nHost: a\r\n" + id + "X-Request-Timeout: 50ms\r\n\r\n";
            case 9: client.confused = true; return "GET  / HTTP/1.1\r\n\r\n";
            case 10: return "GET /ticks HTTP/1." + std::string(one_in(4) ? "0" : "1") + "\r\nHost: a\r\n" + id + "\r\n";
            case 11: return "GET /poll HTTP/1.1\r\nHost: a\r\n" + id + "\r\n";
            default: return "GET / HTTP/1.1\r\nHost: a\r\n" + id + "\r\n";
        }
    }

    void send(client& client) {
        auto& wire = client.connection.wire;
        if (wire.client_gone || wire.client_finished || wire.to_server.size() > 2'000) return;
        for (auto more = client.to_send.empty() ? 1 + upto(one_in(3) ? 4 : 0) : 0; more > 0 && !client.confused; --more)
            client.to_send += request_of(client);
        const auto count =
            one_in(2) ? client.to_send.size() : std::min<std::size_t>(client.to_send.size(), 1 + upto(60));
        wire.send(client.to_send.substr(0, count));
        client.to_send.erase(0, count);
        note("bytes arrive: ", count);
    }

    void client_goes(client& client) {
        client.patient = false;
        if (one_in(2)) {
            note("client closes its half");
            client.connection.wire.client_finished = true;
        } else {
            note("client resets");
            client.connection.client_goes(at());
        }
    }

    // ── handlers and their sources ──────────────────────────────────────────────────────────────

    /// The handler may have recorded an event, and answers 201 only when it was accepted.
    void handler_returns(client& client) {
        auto& connection = client.connection;
        if (!connection.asked) return;
        if (connection.reads) return;  // it goes on when there is more of the body, or will be none
        const auto* const body = connection.machine.current().incoming.get();
        const bool told = connection.machine.current().told;  // then one that obeys ends, whatever is there to be read
        if (body != nullptr && !body->is_over() && !body->has_failed() && !told && !one_in(4)) {
            note("a handler reads");
            ++seen_.read;
            return connection.read_body(1 + upto(100), at());
        }
        const bool piece = connection.machine.waits_for() == simulated::waiting::piece;
        if (!piece && one_in(2)) {
            tracker::event event{"id", {}, "data"};
            if (queue_.try_push(event) == tracker::verdict::accepted) ++promised_;
        }
        note(piece ? "a source returns" : "a handler returns");
        if (one_in(10)) {
            client.spoiled = client.spoiled || piece;
            return connection.throw_out(at());
        }
        const auto& current = connection.machine.current();
        // In a drain it was told, and every other one has said its last word.
        if (piece && current.reply.texts) {
            const auto event = "data: " + std::string(one_in(4) ? 2'000 : 3, 'x') + "\n\n";
            return connection.say(one_in(draining_ ? 2 : 4) ? "" : event, at());
        }
        if (piece) return connection.give_piece(one_in(4) ? 0 : 1 + upto(5'000), at());
        auto reply = response(http::status::ok, std::string(one_in(5) ? 30'000 : upto(20), 'x'));
        if (current.to->events) {
            reply.texts = no_texts;
            reply.body = ":\n";
        } else if (one_in(4)) {
            reply.pieces = no_pieces;
            reply.body = "first";
            if (one_in(2)) reply.length = 5 + upto(9'000);
            ++seen_.streamed;
        }
        if (one_in(15)) reply.close = true;
        connection.reply(std::move(reply), at());
    }

    // ── what a loop does ────────────────────────────────────────────────────────────────────────

    void look_at_sockets() {
        for (auto& client : clients_) {
            auto& connection = client.connection;
            const auto calls = connection.calls;
            const auto sent = connection.wire.to_client.size();
            const bool parted = connection.wire.said_farewell;
            const bool reads = connection.machine.waits_for() == simulated::waiting::room && connection.wire.writable();
            connection.ready(at());
            expect(!reads || connection.over || connection.wire.client_gone ||
                       connection.wire.to_client.size() > sent || connection.wire.said_farewell != parted,
                   "a client that has read is sent more");
            if (connection.calls != calls) client.obedient = !one_in(3);
            if (connection.asked && one_in(6)) handler_returns(client);  // a plain one, or one that does not wait
        }
        place_.host.places.look(now_, time_point::min());
    }

    void tick() {
        ++turns_;
        drain_view drain;
        if (draining_)
            drain = {.draining = true,
                     .began = drain_began_,
                     .idle_until = drain_began_ + options_.idle_grace,
                     .over = sequence_.deadline(app)};
        for (auto& client : clients_) tick(client, drain);
        clients_.remove_if([this](const client& client) { return client.connection.over && (settle(client), true); });
        if (draining_ && clients_.empty()) app_home_ = true;
    }

    void tick(client& client, const drain_view& drain) {
        using action = decision::action;
        const auto before = client.connection.machine.view();
        const bool ended_between_texts = client.connection.machine.has_workspace() &&
                                         client.connection.machine.current().reply.texts != nullptr &&
                                         !client.connection.machine.current().reply.length;
        const bool waits_for_reader = client.connection.machine.waits_for() == simulated::waiting::room;
        const auto decided = client.connection.tick(drain, at());
        const bool over = drain.draining && now_ >= drain.over;
        switch (decided.what) {
            case action::look_and_close:
                expect(!decided.by_drain || draining_, "nobody is closed for a stop before the drain");
                expect(!decided.by_drain || now_ >= std::min(drain.idle_until, drain.over), "the idle grace is kept");
                return;
            case action::tell_handler:
                expect(!before.told || decided.by_drain, "a handler is told once by its deadline");
                if (client.obedient && client.connection.asked) handler_returns(client);
                break;
            case action::answer:
                expect(before.told, "nobody is answered for whose context has not ended");
                expect(!client.obedient, "a handler that ends with its context answers for itself");
                expect(client.connection.straggled, "a handler that is answered for is named");
                ++seen_.in_its_place;
                break;
            case action::time_out: ++seen_.timed_out; break;
            case action::cut:
                if (client.obedient && client.connection.asked) handler_returns(client);
                break;
            case action::notify:
            case action::end_stream:
                expect(draining_, "nobody is told of a drain that has not begun");
                expect(decided.what == action::notify || now_ >= drain.idle_until, "who is told has the idle grace");
                expect(decided.what == action::notify || ended_between_texts,
                       "what is ended by us looks whole, and is");
                if (client.obedient && client.connection.asked) handler_returns(client);
                return;
            case action::cut_unread:
                expect(draining_ && before.has_ended && waits_for_reader && now_ >= drain.idle_until + longest_unread,
                       "before the app gives up only what is left of an ended stream is cut, if nobody reads it");
                expect(!client.patient, "who reads has the end of its stream");
                ++seen_.unread;
                return;
            default: break;
        }
        expect(!decided.by_drain || over, "a request is ended for the stop only when the app gives up");
    }

    void drain() {
        draining_ = place_.host.draining = true;
        drain_began_ = now_;
        listening_ = false;
    }

    // ── what event_tracker.cpp does ─────────────────────────────────────────────────────────────

    bool flush_over() const { return now_ >= sequence_.deadline(tracker_part); }

    void deliver() {
        if (queue_.depth() == 0 || (!sink_works_ && !flush_over())) return;
        tracker::batch taken(queue_options());
        backlog_.take(taken);
        settle(taken);
    }

    void flush() {
        if (!queue_.closed() || tracker_home_) return;
        if (sink_works_ || flush_over())
            while (queue_.depth() > 0) deliver();
        tracker_home_ = queue_.depth() == 0;
    }

    // ── what done_collector.cpp does ────────────────────────────────────────────────────────────

    void main_thread() {
        using enum stop_sequence::happening;
        bool all_have_ended = false, budget_over = false;
        for (const auto& event : sequence_.step(now_, turns_)) {
            all_have_ended = all_have_ended || event.what == finished;
            budget_over = budget_over || event.what == over;
            if (event.what != ask) continue;
            note("asked: ", event.part);
            if (event.part == app) drain();
            if (event.part == tracker_part) queue_.close();
            if (event.part == debug) debug_home_ = true;
        }
        flush();
        if (app_home_) home(app);
        if (tracker_home_) home(tracker_part);
        if (debug_home_) home(debug);
        ended_ = ended_ || all_have_ended || budget_over;
        over_ = over_ || budget_over;
        if (all_have_ended) expect(clients_.empty(), "it is not finished while a connection is open");
        expect(!ended_ || now_ <= sequence_.end(), "it ends in its budget");
    }

    void home(std::size_t part) {
        if (reported_[part]) return;
        reported_[part] = true;
        sequence_.part_ended(part, now_);
    }

    // ── what must be true ───────────────────────────────────────────────────────────────────────

    /// Of one connection, at every moment.
    void look_at(const client& client) {
        const auto& connection = client.connection;
        const auto account = connection.account();
        const auto ended = account.finished + account.cut + account.gone;
        const auto answers = answers_in(connection.wire.to_client);
        expect(ended <= account.began, "no request ends twice");
        expect(answers <= account.began, "nobody is answered who has not asked");
        expect(!connection.asked || connection.machine.has_workspace(),
               "what a handler reads is there until it returns");
        if (client.patient && !client.confused && client.to_send.empty() && connection.wire.to_server.empty() &&
            !connection.over && connection.machine.now_in() == connection_state::idle)
            expect(answers == static_cast<std::size_t>(client.asked), "an idle client has all its answers", client);
        if (draining_ && now_ < sequence_.deadline(app)) expect(account.cut == 0, "nobody is cut early");
        std::string_view last;
        const std::string_view bytes = connection.wire.to_client;
        for (auto id = bytes.find("Id: c"); id != bytes.npos; id = bytes.find("Id: c", id + 1)) {
            const auto name = bytes.substr(id + 5, 4);
            if (name.size() < 4) break;  // the rest of it is on its way
            expect(last < name, "answers come in the order of their requests, each once", client);
            last = name;
        }
    }

    /// Of one that has ended.
    void settle(const client& client) {
        look_at(client);
        const auto& connection = client.connection;
        const auto account = connection.account();
        const auto& wire = connection.wire;
        expect(account.began == account.finished + account.cut + account.gone, "each request ends in one column");
        expect(!connection.asked, "nobody's handler is left behind");
        expect(!connection.machine.has_workspace(), "nothing is left of what was lent");
        expect(wire.unlooked == 0, "what has come before a FIN is looked at", client);
        expect(!client.spoiled || wire.resets || wire.client_gone, "what was cut does not look whole", client);
        if (client.patient) {
            expect(account.gone == 0, "who stays is not gone");
            expect(answers_in(wire.to_client) + account.cut >= account.began,
                   "a client that has begun and stays is answered", client);
        }
        const auto ended = account.ended + account.ended_by_us + account.cut_stream;
        expect(ended <= account.told, "a stream that was told ends once");
        expect(ended == account.told || account.gone > 0 || !client.patient,
               "each stream that was told ends in one column");
        seen_.told += account.told;
        seen_.ended += account.ended;
        seen_.ended_by_us += account.ended_by_us;
        seen_.cut_streams += account.cut_stream;
        seen_.answered += account.finished;
        seen_.cut += account.cut;
        seen_.gone += account.gone;
        seen_.refused += static_cast<std::uint64_t>(connection.refused);
    }

    void after_each_step() {
        const auto account = backlog_.account();
        expect(account.balanced(), "the account of the events balances at every moment");
        expect(account.accepted == promised_, "every event that was promised is in the account");
        for (const auto& client : clients_) look_at(client);
        expect(listening_ || sequence_.phase() >= stop_phase::stopping, "through the lame duck everybody is let in");
        if (!fair_ || !draining_) return;
        const auto grace = drain_began_ + options_.idle_grace;
        for (const auto& client : clients_) {
            // A client that has just shaken hands has a second for the first request; and the next tick sees one that
            // has become idle by an empty line after the last one.
            const auto& machine = client.connection.machine;
            expect(!machine.waits_for_request() || client.connection.over || client.connection.wire.readable() ||
                       now_ < std::max({grace, machine.view().awaited, machine.since()}) + 20ms,
                   "an idle client does not hold the drain beyond the idle grace");
            expect(!machine.view().has_ended || now_ < std::max(grace, machine.since()) + longest_unread + 20ms,
                   "a client that does not read the end of its stream does not hold the drain");
        }
    }

    void at_the_end() {
        const auto account = backlog_.account();
        if (!over_) expect(account.queued == 0, "no event is left between two columns");
        if (fair_since_ + 40ms > sequence_.deadline(app)) return;  // the loop was starved when it mattered
        for (const auto& client : clients_) {
            if (client.connection.over) continue;
            expect(client.connection.asked, "what is left at the end waits for a handler, or a source");
            expect(!client.obedient, "what obeys has ended before the budget ends");
        }
    }

    void settle(const tracker::batch& taken) {
        const bool delivered = sink_works_ && !flush_over();
        backlog_.settle(taken, delivered ? tracker::outcome::delivered : tracker::outcome::given_up);
    }

    bool told_;  ///< keeps a history
    std::mt19937_64 random_;
    const bool of_streams_;  ///< of events, mostly
    lifecycle::shutdown_options options_;
    stop_sequence sequence_;
    tracker::intake queue_;
    tracker::memory_backlog backlog_{queue_options(), queue_};
    simulated::place place_;
    std::list<client> clients_;
    sights seen_;
    time_point now_{1h}, drain_began_{}, fair_since_{};
    std::uint64_t turns_ = 0, promised_ = 0;
    bool listening_ = true, draining_ = false, sink_works_ = true, fair_ = false;
    bool app_home_ = false, tracker_home_ = false, debug_home_ = false;
    bool reported_[3] = {};
    bool withdrawn_ = false, ended_ = false, over_ = false;
    std::string fault_;
    std::ostringstream history_;
};

TEST(Stop, KeepsItsPromisesInEveryOrderExplored) {
    std::uint64_t first = 1, last = schedules;
    if (const char* seed = std::getenv("EXPLORE_SEED")) first = last = std::strtoull(seed, nullptr, 10);
    sights all;
    std::uint64_t over = 0, withdrawn = 0, dropped = 0;
    for (auto seed = first; seed <= last; ++seed) {
        schedule life(seed, false);
        if (life.run()) FAIL() << "EXPLORE_SEED=" << seed << "\n" << schedule(seed, true).run().value_or("");
        const auto& seen = life.seen();
        all.answered += seen.answered > 0;
        all.in_its_place += seen.in_its_place > 0;
        all.timed_out += seen.timed_out > 0;
        all.cut += seen.cut > 0;
        all.gone += seen.gone > 0;
        all.refused += seen.refused > 0;
        all.read += seen.read > 0;
        all.streamed += seen.streamed > 0;
        all.told += seen.told > 0;
        all.ended += seen.ended > 0;
        all.ended_by_us += seen.ended_by_us > 0;
        all.cut_streams += seen.cut_streams > 0;
        all.unread += seen.unread > 0;
        over += life.was_over();
        withdrawn += life.was_withdrawn();
        dropped += life.dropped();
    }
    if (first == last) return;
    // An exploration that does not get anywhere proves nothing.
    for (const auto seen : {all.answered, all.in_its_place, all.timed_out, all.cut, all.gone, all.refused, all.streamed,
                            all.read, all.told, all.ended, all.ended_by_us, all.cut_streams, over, withdrawn})
        EXPECT_GT(seen, schedules / 100);
    EXPECT_GT(dropped, schedules / 1'000);
    EXPECT_GT(all.unread, schedules / 2'000);
}

}  // namespace
}  // namespace server
