#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/simulator/client.hpp"
#include "tests/simulator/disk.hpp"
#include "tests/simulator/failure.hpp"
#include "tests/simulator/kernel.hpp"
#include "tests/simulator/network.hpp"
#include "tests/simulator/plan.hpp"
#include "tests/simulator/process.hpp"
#include "tests/simulator/service.hpp"

namespace simulator {

/// What was seen to happen, for a run that gets nowhere proves nothing.
struct sights {
    std::uint64_t lives = 0, answered = 0, accepted = 0, delivered = 0, twins = 0, recovered = 0, refused = 0, cut = 0;
    std::uint64_t exits[5] = {}, killed = 0, powerless = 0, failed_calls = 0, lost_allocations = 0, not_ready = 0,
                  switches = 0;
    void add(const sights& more);
};

/// One life of the process, as the world has seen it.
struct life_seen {
    life_plan plan;
    std::unique_ptr<process> of;
    std::string log;
    std::vector<std::unique_ptr<guest>> clients;
    nanoseconds began{0}, asked_to_stop{0};
    bool ready = false, forced = false, last = false;
    life_seen* heir = nullptr;       ///< of an upgrade
    bool inherited = false;          ///< it is one
    bool left = false;               ///< by its clients too
    std::uint64_t failed_calls = 0;  ///< of the disk

    bool has(deed what) const;
    bool has(script what) const;
    bool ended_by_itself() const noexcept { return of->killed_by == 0; }
    bool over() const noexcept { return of->over && (heir == nullptr || heir->of->over); }
    /// Each POST that wanted a stop was taken back, by a DELETE that was answered.
    bool wanted() const;
    /// How far the log says so.
    std::string line(std::string_view with) const;
};

/// A machine, its clients, a sink and the manager that starts the service again, through all lives of a plan; and the
/// laws.
class world {
public:
    /// What all worlds of a process have in common; it takes a while.
    static void prepare();
    explicit world(const plan& what, bool tells = false);
    ~world();

    /// The first law that does not hold.
    std::optional<failure> run();
    const sights& seen() const noexcept { return seen_; }
    /// What has happened, for people.
    const std::string& story() const noexcept { return story_; }

    // For clients.

    std::shared_ptr<way> connect(guest& from, std::uint16_t port, nanoseconds one_way);
    nanoseconds now() const noexcept { return kernel_.now(); }
    void later(guest& of, nanoseconds delay, std::function<void()> what);
    /// As failure has it.
    void broken(std::string law, std::string how, std::string details = {});

    int new_event(std::string data);
    std::string event_id(int event) const { return "e" + std::to_string(event); }
    const std::string& event_data(int event) const { return events_[static_cast<std::size_t>(event)].data; }
    void event_sent(int event);
    void event_accepted(int event);
    std::string plain_data(std::uint64_t size);
    std::string forged_data(std::uint64_t number);
    std::string large_data(std::uint64_t kilobytes);

private:
    friend class laws;
    struct event {
        std::string data;
        std::size_t life = 0;
        bool sent = false, accepted = false;
        std::uint64_t delivered = 0;  ///< to the scripted sink, times
    };

    void live(const life_plan& of, bool last);
    void schedule(life_seen& life);
    void act(life_seen& life, const action& what);
    void add_client(life_seen& life, script what, nanoseconds one_way, std::uint64_t number);
    void add_crowd(life_seen& life);
    std::unique_ptr<process> made_process(life_seen& life);
    process* spawn(life_seen& parent, const std::vector<description_ptr>& descriptors);
    void ask_to_stop(life_seen& life);
    void must_listen(const life_seen& life);
    void end(life_seen& life);
    void wait_for_end(life_seen& life);
    void settle_last(life_seen& life);
    void set_up_service();
    void deliver(std::span<const tracker::event> batch);
    bool all_delivered() const;
    std::vector<bool> written() const;                                       ///< by the file sink, of all events
    bool has_it(std::size_t event, const std::vector<bool>& written) const;  ///< each sink
    void tell(const std::string& line);

    const plan plan_;
    const bool tells_;
    kernel kernel_;
    disk_tree disk_;
    network network_;
    service service_;
    std::vector<event> events_;
    std::vector<std::unique_ptr<life_seen>> lives_;
    sink_mode sink_ = sink_mode::takes;
    std::uint64_t sink_ms_ = 0;
    std::optional<failure> failure_;
    sights seen_;
    std::string story_;
};

/// What must be true of a life, and at the end of all.
class laws {
public:
    explicit laws(world& of) : world_(of) {}
    void of_life(const life_seen& life);
    void of_all();

private:
    void of_end(const life_seen& life);
    void of_report(const life_seen& life);
    void of_clients(const life_seen& life);
    void of_events();
    bool may_be_lost(const world::event& event) const;
    bool is_steady(const life_seen& life) const;
    void broken(const char* law, std::string how, std::string details = {}) {
        world_.broken(law, std::move(how), std::move(details));
    }

    world& world_;
};

}  // namespace simulator
