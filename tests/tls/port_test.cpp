// How certificates are replaced while a port serves: by order, and by itself.

#include "server/tls/port.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <filesystem>
#include <sstream>

#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/tls/authority.hpp"

namespace {

using namespace std::chrono_literals;
using server::tls::pace;
using server::tls::port;
using support::eventually;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;
using tls_tests::authority;
namespace fs = std::filesystem;

struct TlsPort : testing::Test {
    support::temporary_directory folder;
    authority ours;
    lifecycle::workers workers;
    std::ostringstream written;
    spdlog::logger log{"test", std::make_shared<spdlog::sinks::ostream_sink_mt>(written)};
    server::tls_options by;
    const pace quick{
        .quiet = 20ms, .at_most = 200ms, .poll = 10s, .again = std::vector<std::chrono::milliseconds>(100, 50ms)};

    TlsPort() {
        by.certificate = {path("a.crt")};
        by.key = {path("a.key")};
        write("first");
    }

    std::string path(const std::string& name) const { return (folder.path() / name).string(); }
    void write(const std::string& subject) { write(subject, authority::wish()); }
    void write(const std::string& subject, authority::wish wanted) {
        wanted.subject = subject;
        authority::write(folder.path(), "a", ours.issue(wanted));
    }
    static std::string shown(std::string_view key) { return "app." + std::string(key) + " = … (--here)"; }
    std::unique_ptr<port> made() { return std::make_unique<port>("app", by, shown, log, quick); }
    /// By the metric, which any thread may ask for.
    static bool serves(const port& port, const std::string& subject) {
        return metrics(port).find("name=\"CN=" + subject + "\"") != std::string::npos;
    }
    static std::ptrdiff_t open_descriptors() {
        return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
    }
    static std::string metrics(const port& served) {
        server::metrics_text out;
        port::write_metrics(out, {&served});
        return out.take();
    }
};

TEST_F(TlsPort, WithoutCertificatesThereIsNoLayer) {
    by = {};
    EXPECT_EQ(made()->layers(), nullptr);
}

TEST_F(TlsPort, AFaultIsOneLineWithTheSettingItsPlaceAndWhatIsAllowed) {
    by.key = {path("none.key")};
    EXPECT_THAT([&] { made(); },
                ThrowsMessage<std::runtime_error>("app.tls_key = … (--here): " + path("none.key") +
                                                  " cannot be read: No such file or directory: allowed is a PEM file "
                                                  "of at most 1 MiB"));
}

TEST_F(TlsPort, AReloadPutsWhatIsWellInForce) {
    const auto port = made();
    EXPECT_TRUE(serves(*port, "first"));
    write("second");
    port->reload();
    EXPECT_TRUE(serves(*port, "second"));
    EXPECT_THAT(metrics(*port), HasSubstr("tls_reloads_total{server=\"app\",result=\"applied\"} 1"));
}

TEST_F(TlsPort, AFaultLeavesWhatIsInForceAndIsSaid) {
    const auto port = made();
    support::write_file(path("a.key"), authority().issue().key);
    port->reload();
    EXPECT_TRUE(serves(*port, "first"));
    EXPECT_THAT(written.str(),
                HasSubstr("app: the certificates stay as they are: app.tls_key = … (--here): the key in " +
                          path("a.key") + " does not fit the certificate of CN=first in "));
    EXPECT_THAT(metrics(*port), HasSubstr("result=\"refused\"} 1"));
}

TEST_F(TlsPort, OneThatHasExpiredDoesNotTakeThePlaceOfOneThatIsInForce) {
    const auto port = made();
    write("late", {.from = -48h, .until = -24h});
    port->reload();
    EXPECT_TRUE(serves(*port, "first"));
    EXPECT_THAT(written.str(), HasSubstr("has expired"));
}

TEST_F(TlsPort, WarnsTwoWeeksBeforeTheEnd) {
    write("short", {.until = 24h * 13});
    made();
    EXPECT_THAT(written.str(), HasSubstr("the certificate of CN=short in " + path("a.crt") + " expires at "));
}

/// Also of those that do not end first, and of each as often as there are reasons to.
TEST_F(TlsPort, WarnsOfTheEndOfEachCertificate) {
    write("first", {.until = 20h});
    by.certificate.push_back(path("b.crt"));
    by.key.push_back(path("b.key"));
    authority::write(folder.path(), "b", ours.issue({.subject = "second", .until = 24h * 13}));
    const auto port = made();
    EXPECT_THAT(written.str(), HasSubstr("the certificate of CN=first in " + path("a.crt") + " expires at "));
    EXPECT_THAT(written.str(), HasSubstr("the certificate of CN=second in " + path("b.crt") + " expires at "));
    const auto said = written.str().size();
    port->reload();
    EXPECT_THAT(written.str().substr(said), Not(HasSubstr("expires at"))) << "nothing has changed";
}

/// A series is there once: of two kinds of key for one name the end is that of whichever ends first.
TEST_F(TlsPort, TwoCertificatesOfOneSubjectAreOneSeries) {
    by.certificate.push_back(path("b.crt"));
    by.key.push_back(path("b.key"));
    const auto end_of_both = [&](std::chrono::hours first, std::chrono::hours second) {
        write("both", {.until = first});
        authority::write(folder.path(), "b",
                         ours.issue({.subject = "both", .until = second, .key = authority::kind::rsa}));
        const auto shown = metrics(*made());
        const std::string series = "tls_certificate_not_after_seconds{server=\"app\",name=\"CN=both\"} ";
        const auto found = shown.find(series);
        EXPECT_NE(found, shown.npos) << shown;
        EXPECT_EQ(shown.find(series, found + 1), shown.npos) << shown;
        return std::stod(shown.substr(found + series.size())) - static_cast<double>(std::time(nullptr));
    };
    const double hour = 3'600;
    EXPECT_NEAR(end_of_both(24h * 40, 24h * 20), 24 * 20 * hour, hour);
    EXPECT_NEAR(end_of_both(24h * 20, 24h * 40), 24 * 20 * hour, hour);
}

TEST_F(TlsPort, DoesNotWarnBefore) {
    write("long", {.until = 24h * 15});
    made();
    EXPECT_THAT(written.str(), Not(HasSubstr("expires at")));
}

TEST_F(TlsPort, AKeyThatEverybodyMayReadIsAWarning) {
    fs::permissions(path("a.key"), fs::perms::others_read, fs::perm_options::add);
    made();
    EXPECT_THAT(written.str(), HasSubstr("everybody may read the key of the certificate in " + path("a.crt")));
}

TEST_F(TlsPort, KeysOfTicketsThatEverybodyMayReadAreAWarning) {
    support::write_file(path("tickets"), std::string(80, 't'));
    by.ticket_key = path("tickets");
    fs::permissions(path("tickets"), fs::perms::owner_read | fs::perms::group_read);
    made();
    EXPECT_THAT(written.str(), Not(HasSubstr("everybody may read")));
    fs::permissions(path("tickets"), fs::perms::others_read, fs::perm_options::add);
    made();
    EXPECT_THAT(written.str(), HasSubstr("everybody may read the keys of tickets in " + path("tickets")));
}

TEST_F(TlsPort, SeesFilesThatAreWrittenAnew) {
    const auto port = made();
    const auto watching = port->watch(workers);
    write("second");  // it may be seen by the first look, which is before anything is told
    EXPECT_TRUE(eventually([&] { return serves(*port, "second"); }));
    write("third");
    EXPECT_TRUE(eventually([&] { return serves(*port, "third"); }));
}

/// What the kubelet does with the volume of a Secret: a new folder, and a link that is moved.
TEST_F(TlsPort, SeesTheSwapOfAKubelet) {
    const auto swap = [&](const std::string& version, const std::string& subject) {
        const auto place = folder.path() / version;
        fs::create_directory(place);
        authority::write(place, "tls", ours.issue({.subject = subject}));
        fs::create_directory_symlink(version, folder.path() / "..data_tmp");
        fs::rename(folder.path() / "..data_tmp", folder.path() / "..data");
    };
    swap("..1", "one");
    fs::create_symlink("..data/tls.crt", folder.path() / "tls.crt");
    fs::create_symlink("..data/tls.key", folder.path() / "tls.key");
    by.certificate = {path("tls.crt")};
    by.key = {path("tls.key")};
    const auto port = made();
    const auto watching = port->watch(workers);
    swap("..first", "first");
    EXPECT_TRUE(eventually([&] { return serves(*port, "first"); }));
    const auto open = open_descriptors();
    for (int nth = 2; nth <= 50; ++nth) {
        swap(".." + std::to_string(nth), "number " + std::to_string(nth));
        fs::remove_all(folder.path() / (".." + std::to_string(nth - 1)));
    }
    EXPECT_TRUE(eventually([&] { return serves(*port, "number 50"); })) << metrics(*port);
    EXPECT_TRUE(eventually([&] { return open_descriptors() == open; })) << open_descriptors() << " for " << open;
}

/// What certbot does in its folder live/NAME: links are removed and made, one by one.
TEST_F(TlsPort, SeesTheLinksOfCertbot) {
    const auto archive = folder.path() / "archive";
    fs::create_directory(archive);
    authority::write(archive, "one", ours.issue({.subject = "one"}));
    authority::write(archive, "two", ours.issue({.subject = "two"}));
    fs::create_directory(folder.path() / "live");
    const auto certificate = folder.path() / "live/fullchain.pem", key = folder.path() / "live/privkey.pem";
    fs::create_symlink("../archive/one.crt", certificate);
    fs::create_symlink("../archive/one.key", key);
    by.certificate = {certificate.string()};
    by.key = {key.string()};
    const auto port = made();
    const auto watching = port->watch(workers);
    for (const std::string to : {"two", "one"}) {
        fs::remove(key);
        fs::create_symlink("../archive/" + to + ".key", key);
        fs::remove(certificate);
        fs::create_symlink("../archive/" + to + ".crt", certificate);
        EXPECT_TRUE(eventually([&] { return serves(*port, to); })) << metrics(*port);
    }
}

/// Whole folders that take each other's place: by their names, or as what a link above them leads to.
TEST_F(TlsPort, SeesThatAFolderIsAnother) {
    const auto fill = [&](const fs::path& place, const std::string& subject) {
        fs::create_directories(place);
        authority::write(place, "tls", ours.issue({.subject = subject}));
    };
    const auto serve_from = [&](const fs::path& place) {
        by.certificate = {(place / "tls.crt").string()};
        by.key = {(place / "tls.key").string()};
        return made();
    };
    const auto renamed = folder.path() / "renamed", aside = folder.path() / "aside";
    fill(renamed, "one");
    fill(aside, "two");
    {
        const auto port = serve_from(renamed);
        const auto watching = port->watch(workers);
        for (const std::string to : {"two", "one", "two", "one"}) {  // the first may be seen by the first look
            fs::rename(renamed, folder.path() / "meanwhile");
            fs::rename(aside, renamed);
            fs::rename(folder.path() / "meanwhile", aside);
            EXPECT_TRUE(eventually([&] { return serves(*port, to); }, 5s)) << metrics(*port);
        }
    }
    fill(folder.path() / "releases/one/tls", "one");
    fill(folder.path() / "releases/two/tls", "two");
    fs::create_directory_symlink("releases/one", folder.path() / "current");
    const auto port = serve_from(folder.path() / "current/tls");
    const auto watching = port->watch(workers);
    for (const std::string to : {"two", "one", "two"}) {
        fs::create_directory_symlink("releases/" + to, folder.path() / "next");
        fs::rename(folder.path() / "next", folder.path() / "current");
        EXPECT_TRUE(eventually([&] { return serves(*port, to); }, 5s)) << metrics(*port);
    }
}

/// What links lead to is in a folder that nobody watches, so nothing tells of the key.
TEST_F(TlsPort, TriesAgainWhatDoesNotFitYet) {
    const auto archive = folder.path() / "archive", live = folder.path() / "live";
    fs::create_directory(archive);
    fs::create_directory(live);
    authority::write(archive, "one", ours.issue({.subject = "one"}));
    fs::create_symlink("../archive/one.crt", live / "a.crt");
    fs::create_symlink("../archive/one.key", live / "a.key");
    by.certificate = {(live / "a.crt").string()};
    by.key = {(live / "a.key").string()};
    const auto port = made();
    const auto watching = port->watch(workers);
    const auto next = ours.issue({.subject = "two"});
    support::write_file(archive / "new.crt", next.certificate);
    fs::remove(live / "a.crt");
    fs::create_symlink("../archive/new.crt", live / "a.crt");
    EXPECT_TRUE(eventually([&] { return metrics(*port).find("result=\"refused\"} 1") != std::string::npos; }));
    support::write_file(archive / "one.key", next.key);
    EXPECT_TRUE(eventually([&] { return serves(*port, "two"); }));
}

/// No event comes from where a link leads, or from some file systems.
TEST_F(TlsPort, LooksNowAndThenWhateverItIsTold) {
    const auto elsewhere = folder.path() / "elsewhere", live = folder.path() / "live";
    fs::create_directory(elsewhere);
    fs::create_directory(live);
    authority::write(elsewhere, "one", ours.issue({.subject = "one"}));
    fs::create_symlink("../elsewhere/one.crt", live / "a.crt");
    fs::create_symlink("../elsewhere/one.key", live / "a.key");
    by.certificate = {(live / "a.crt").string()};
    by.key = {(live / "a.key").string()};
    auto often = quick;
    often.poll = 50ms;
    const server::tls::port port("app", by, shown, log, often);
    const auto watching = port.watch(workers);
    for (const std::string to : {"two", "three"}) {  // the first may be seen by the first look
        authority::write(elsewhere, "one", ours.issue({.subject = to}));
        EXPECT_TRUE(eventually([&] { return serves(port, to); })) << metrics(port);
    }
}

TEST_F(TlsPort, AThreadThatWatchesEndsWhenItIsToldTo) {
    const auto port = made();
    { const auto watching = port->watch(workers); }
    EXPECT_EQ(workers.live(), 0U);
}

}  // namespace
