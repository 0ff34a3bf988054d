#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/process.hpp"

namespace brokers {

/// nats-server, as many as asked for, with JetStream, on free ports of the loopback; one cluster when there are
/// several. They end with this object. Only on the thread that made it.
class nats_cluster {
public:
    /// Whether a nats-server is installed, or NATS_SERVER names one.
    static bool possible();

    /// Whether that one knows batches that are stored whole or not at all, as nats-server from 2.12 on does.
    static bool knows_batches();

    /// `more` goes into each server's configuration, `of_jetstream` into the part of it that is about JetStream.
    explicit nats_cluster(std::size_t servers, const std::string& more = {}, const std::string& of_jetstream = {});

    /// For the servers, those that do not run included.
    std::string urls(const std::string& scheme = "nats") const;
    const std::filesystem::path& directory() const { return root_.path(); }

    void start(std::size_t server);
    void signal(std::size_t server, int number) { servers_.at(server).process->signal(number); }
    /// SIGKILL, by its pid.
    void kill(std::size_t server);
    /// SIGTERM, and waits for its end.
    void stop(std::size_t server);
    int port(std::size_t server) const { return servers_.at(server).port; }

    /// Which server leads the stream; throws std::runtime_error when nobody says so in time.
    std::size_t leader_of(const std::string& stream) const;
    /// Has the leader hand over to another server. Blocks until it has been told.
    void step_down(const std::string& stream) const;
    void make_stream(const std::string& name, const std::string& subject, std::int64_t max_bytes,
                     bool discards_old) const;
    void delete_stream(const std::string& name) const;
    /// How often each Nats-Msg-Id is in the stream. Blocks until the cluster answers.
    std::map<std::string, int> ids_in(const std::string& stream) const;
    /// How many messages of the stream came in batches.
    std::size_t messages_of_batches(const std::string& stream) const;

private:
    void end(std::size_t server, int number);

    struct server {
        int port = 0;
        std::filesystem::path configuration;
        std::unique_ptr<support::process> process;
    };

    std::map<std::string, int> values_in(const std::string& stream, const char* header) const;

    support::temporary_directory root_;
    std::vector<server> servers_;
};

}  // namespace brokers
