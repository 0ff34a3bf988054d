#include "tests/brokers/nats_cluster.hpp"

#include <fmt/format.h>
#include <nats/nats.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

#include "tests/support/eventually.hpp"
#include "tracker/descriptor.hpp"

namespace brokers {
namespace {

/// The one that NATS_SERVER names, or that of the system.
std::string program() {
    const char* const named = std::getenv("NATS_SERVER");
    return named != nullptr ? named : support::tool("nats-server");
}

/// Ports that nobody has now: bound all at once, so that they differ.
std::vector<int> free_ports(std::size_t count) {
    std::vector<tracker::descriptor> held;
    std::vector<int> ports;
    for (std::size_t i = 0; i < count; ++i) {
        held.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        if (::bind(held.back().get(), reinterpret_cast<sockaddr*>(&address), length) != 0)
            throw std::system_error(errno, std::generic_category(), "bind");
        ::getsockname(held.back().get(), reinterpret_cast<sockaddr*>(&address), &length);
        ports.push_back(ntohs(address.sin_port));
    }
    return ports;
}

/// A connection of the test's own.
class observer {
public:
    explicit observer(const std::string& urls) {
        natsOptions* options = nullptr;
        natsOptions_Create(&options);
        std::vector<std::string> all;
        for (std::size_t from = 0; from < urls.size();) {
            const auto comma = std::min(urls.find(',', from), urls.size());
            all.push_back(urls.substr(from, comma - from));
            from = comma + 1;
        }
        std::vector<const char*> servers;
        servers.reserve(all.size());
        for (const auto& each : all) servers.push_back(each.c_str());
        natsOptions_SetServers(options, servers.data(), static_cast<int>(servers.size()));
        natsOptions_SetTimeout(options, 1'000);
        connected_ = natsConnection_Connect(&connection_, options) == NATS_OK &&
                     natsConnection_JetStream(&stream_, connection_, nullptr) == NATS_OK;
        natsOptions_Destroy(options);
    }
    ~observer() {
        jsCtx_Destroy(stream_);
        natsConnection_Destroy(connection_);
    }
    observer(const observer&) = delete;
    observer& operator=(const observer&) = delete;

    /// Name of the leader, empty when there is none; and the last sequence number.
    bool look(const std::string& name, std::string& leader, std::uint64_t& last) const {
        jsStreamInfo* info = nullptr;
        if (!connected_ || js_GetStreamInfo(&info, stream_, name.c_str(), nullptr, nullptr) != NATS_OK) return false;
        leader = info->Cluster != nullptr && info->Cluster->Leader != nullptr ? info->Cluster->Leader : "";
        last = info->State.LastSeq;
        jsStreamInfo_Destroy(info);
        return true;
    }

    /// How often each value of that header is in the first `last` messages. False: they do not come. Nothing can be
    /// asked afterwards.
    ///
    /// By a consumer, since to ask for each message takes minutes, that fetches: libnats 3.4 throws away what is pushed
    /// to it beyond 65,536 messages, and it crashes when a subscription is destroyed while messages for it arrive
    /// (nats.c#637), so its reader ends first.
    bool read(const std::string& name, std::uint64_t last, const char* header, std::map<std::string, int>& values) {
        natsSubscription* all = nullptr;
        auto status = consume(name, &all);
        values.clear();
        for (std::uint64_t had = 0; had < last && status == NATS_OK;) {
            natsMsgList some{};
            status = natsSubscription_Fetch(&some, all, static_cast<int>(std::min<std::uint64_t>(last - had, 1'000)),
                                            30'000, nullptr);
            had += static_cast<std::uint64_t>(some.Count);
            for (int i = 0; i < some.Count; ++i) {
                const char* value = nullptr;
                ++values[natsMsgHeader_Get(some.Msgs[i], header, &value) == NATS_OK ? value : ""];
            }
            natsMsgList_Destroy(&some);
        }
        natsConnection_Close(connection_);
        natsSubscription_Destroy(all);
        return status == NATS_OK;
    }

    bool make(const std::string& name, const std::string& subject, std::int64_t max_bytes, bool discards_old) const {
        std::array<const char*, 1> subjects{subject.c_str()};
        jsStreamConfig config;
        jsStreamConfig_Init(&config);
        config.Name = name.c_str();
        config.Subjects = subjects.data();
        config.SubjectsLen = 1;
        config.MaxBytes = max_bytes;
        config.Discard = discards_old ? js_DiscardOld : js_DiscardNew;
        return connected_ && js_AddStream(nullptr, stream_, &config, nullptr, nullptr) == NATS_OK;
    }
    bool step_down(const std::string& name) const {
        natsMsg* answer = nullptr;
        const auto subject = "$JS.API.STREAM.LEADER.STEPDOWN." + name;
        const bool told =
            connected_ && natsConnection_RequestString(&answer, connection_, subject.c_str(), "", 2'000) == NATS_OK;
        natsMsg_Destroy(answer);
        return told;
    }
    bool remove(const std::string& name) const {
        return connected_ && js_DeleteStream(stream_, name.c_str(), nullptr, nullptr) == NATS_OK;
    }

private:
    natsStatus consume(const std::string& name, natsSubscription** made) const {
        jsStreamInfo* info = nullptr;
        if (!connected_) return NATS_CONNECTION_DISCONNECTED;
        const auto status = js_GetStreamInfo(&info, stream_, name.c_str(), nullptr, nullptr);
        if (status != NATS_OK) return status;
        const std::string subject = info->Config->Subjects[0];
        jsStreamInfo_Destroy(info);
        jsSubOptions how;
        jsSubOptions_Init(&how);
        how.Stream = name.c_str();
        how.Config.HeadersOnly = true;
        how.Config.AckPolicy = js_AckNone;
        how.Config.MemoryStorage = true;
        how.Config.Replicas = 1;
        return js_PullSubscribe(made, stream_, subject.c_str(), nullptr, nullptr, &how, nullptr);
    }

    natsConnection* connection_ = nullptr;
    jsCtx* stream_ = nullptr;
    bool connected_ = false;
};

}  // namespace

bool nats_cluster::possible() { return std::filesystem::exists(program()); }

bool nats_cluster::knows_batches() {
    if (!possible()) return false;
    const support::temporary_directory root;
    support::process::options how;
    how.program = program();
    how.arguments = {"--version"};
    how.directory = root.path();
    support::process asked(std::move(how));
    asked.wait(support::milliseconds(10'000));
    const auto said = asked.out();  // nats-server: v2.15.2
    const auto at = said.find("v2.");
    return at != said.npos && std::atoi(said.c_str() + at + 3) >= 12;
}

nats_cluster::nats_cluster(std::size_t servers, const std::string& more, const std::string& of_jetstream) {
    const auto ports = free_ports(2 * servers);
    std::string routes;
    for (std::size_t i = 0; i < servers; ++i)
        routes += fmt::format("{}\"nats://127.0.0.1:{}\"", i == 0 ? "" : ", ", ports[servers + i]);
    for (std::size_t i = 0; i < servers; ++i) {
        auto& node = servers_.emplace_back();
        node.port = ports[i];
        node.configuration = root_.path() / fmt::format("n{}.conf", i);
        auto text = fmt::format("server_name: n{}\nlisten: \"127.0.0.1:{}\"\njetstream {{ store_dir: \"{}\"\n{} }}\n",
                                i, node.port, (root_.path() / fmt::format("n{}", i)).string(), of_jetstream);
        if (servers > 1)
            text += fmt::format("cluster {{ name: c, listen: \"127.0.0.1:{}\", routes: [{}] }}\n", ports[servers + i],
                                routes);
        support::write_file(node.configuration, text + more);
        start(i);
    }
}

void nats_cluster::start(std::size_t server) {
    auto& node = servers_.at(server);
    const auto work = root_.path() / fmt::format("w{}", server);
    std::filesystem::create_directories(work);
    support::process::options how;
    how.program = program();
    how.arguments = {"-c", node.configuration.string()};
    how.directory = work;
    node.process = std::make_unique<support::process>(std::move(how));
}

void nats_cluster::end(std::size_t server, int number) {
    signal(server, number);
    servers_.at(server).process->wait(support::milliseconds(30'000));
    servers_.at(server).process.reset();
}

void nats_cluster::kill(std::size_t server) { end(server, SIGKILL); }

void nats_cluster::stop(std::size_t server) { end(server, SIGTERM); }

std::string nats_cluster::urls(const std::string& scheme) const {
    std::string all;
    for (const auto& server : servers_)
        all += fmt::format("{}{}://127.0.0.1:{}", all.empty() ? "" : ",", scheme, server.port);
    return all;
}

void nats_cluster::make_stream(const std::string& name, const std::string& subject, std::int64_t max_bytes,
                               bool discards_old) const {
    const auto made = [&] { return observer(urls()).make(name, subject, max_bytes, discards_old); };
    if (!support::eventually(made, support::milliseconds(30'000))) throw std::runtime_error("no stream " + name);
}

void nats_cluster::delete_stream(const std::string& name) const {
    const auto gone = [&] { return observer(urls()).remove(name); };
    if (!support::eventually(gone, support::milliseconds(30'000))) throw std::runtime_error("it stays: " + name);
}

std::size_t nats_cluster::leader_of(const std::string& stream) const {
    std::string leader;
    const observer eyes(urls());
    const auto known = [&] {
        std::uint64_t last = 0;
        return eyes.look(stream, leader, last) && !leader.empty();
    };
    if (!support::eventually(known, support::milliseconds(30'000))) throw std::runtime_error("nobody leads " + stream);
    return std::stoul(leader.substr(1));
}

void nats_cluster::step_down(const std::string& stream) const {
    const auto told = [&] { return observer(urls()).step_down(stream); };
    if (!support::eventually(told, support::milliseconds(30'000)))
        throw std::runtime_error("it stays leader: " + stream);
}

std::map<std::string, int> nats_cluster::values_in(const std::string& stream, const char* header) const {
    std::map<std::string, int> values;
    const auto reads = [&] {  // a cluster that is electing, or a machine that is busy, does not answer the first time
        observer eyes(urls());
        std::string leader;
        std::uint64_t last = 0;
        return eyes.look(stream, leader, last) && eyes.read(stream, last, header, values);
    };
    if (!support::eventually(reads, support::milliseconds(60'000))) throw std::runtime_error("nobody has " + stream);
    return values;
}

std::map<std::string, int> nats_cluster::ids_in(const std::string& stream) const {
    return values_in(stream, "Nats-Msg-Id");
}

std::size_t nats_cluster::messages_of_batches(const std::string& stream) const {
    std::size_t all = 0;
    for (const auto& [batch, messages] : values_in(stream, "Nats-Batch-Id"))
        if (!batch.empty()) all += static_cast<std::size_t>(messages);
    return all;
}

}  // namespace brokers
