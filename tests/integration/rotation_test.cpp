// A secret that changes while the real binary delivers with it: its file is swapped, as the kubelet does, and SIGHUP.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>

#include "tests/integration/service.hpp"
#include "tests/sinks/fake_server.hpp"

namespace integration {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// A volume of secrets: a link that is moved from one folder to the next.
class volume {
public:
    void swap(const std::string& token, const std::string& url) {
        const auto next = root_.path() / std::to_string(++swaps_);
        std::filesystem::create_directory(next);
        for (const auto& [name, text] : {std::pair("token", token), std::pair("url", url)}) {
            support::write_file(next / name, text + "\n");
            ::chmod((next / name).c_str(), 0600);
        }
        std::filesystem::create_symlink(next, root_.path() / ".new");
        std::filesystem::rename(root_.path() / ".new", root_.path() / "now");
    }
    std::string path(const std::string& name) const { return root_.path() / "now" / name; }

private:
    support::temporary_directory root_;
    int swaps_ = 0;
};

/// The service with the sink http, and the server that it delivers to.
class Rotation : public testing::Test {
protected:
    Rotation() {
        secrets_.swap("Bearer hunter1", url("hunter1"));
        service_.emplace(service::options{
            .flags = {"--tracker.sink=http", "--tracker.http_authorization_file=" + secrets_.path("token"),
                      "--tracker.http_url_file=" + secrets_.path("url")},
            .program = SERVICE_WITH_MODULES});
    }
    std::string url(const std::string& token) const { return server_.url() + "&token=" + token; }
    /// What the delivery of an event proves itself by.
    std::string proof_of(const std::string& event) {
        const auto before = server_.requests().size();
        EXPECT_EQ(service_->ask(post(event)).status, 201);
        EXPECT_TRUE(eventually([&] { return server_.requests().size() > before; })) << service_->err();
        return server_.requests().back().header("Authorization");
    }
    void hang_up(const std::string& line) {
        service_->process().signal(SIGHUP);
        EXPECT_TRUE(service_->logs(line)) << service_->err();
    }

    fakes::fake_server server_{[](std::size_t, const auto&) { return fakes::fake_server::reply(); }};
    volume secrets_;
    std::optional<service> service_;
};

TEST_F(Rotation, TheNextDeliveryHasTheNewAuthorization) {
    EXPECT_EQ(proof_of("one"), "Bearer hunter1");
    secrets_.swap("Bearer hunter2", url("hunter1"));
    EXPECT_EQ(proof_of("two"), "Bearer hunter1") << "until somebody says that it has changed";
    hang_up("reloaded: 1 settings have changed");
    EXPECT_EQ(proof_of("three"), "Bearer hunter2");
    EXPECT_THAT(service_->err(), AllOf(HasSubstr("reload: tracker.http_authorization is ***, was ***"),
                                       Not(HasSubstr("needs a restart")), Not(HasSubstr("hunter"))));
}

TEST_F(Rotation, WhatCannotChangeWhileItRunsIsNamedAndTheRestIsApplied) {
    secrets_.swap("Bearer hunter2", url("hunter2"));
    hang_up("reloaded: 1 settings have changed");
    EXPECT_THAT(service_->err(), HasSubstr("reload: tracker.http_url stays http://127.0.0.1:"));
    EXPECT_THAT(service_->err(), HasSubstr("/in?***: http://127.0.0.1:"));
    EXPECT_THAT(service_->err(), AllOf(HasSubstr("/in?*** needs a restart"), Not(HasSubstr("hunter"))));
    EXPECT_EQ(proof_of("one"), "Bearer hunter2");
    EXPECT_THAT(server_.requests().back().head, HasSubstr("token=hunter1"));
}

TEST_F(Rotation, AFileThatIsGoneOrWrongKeepsWhatIsInForce) {
    std::filesystem::remove(secrets_.path("token"));
    hang_up("it cannot be read: No such file");
    support::write_file(secrets_.path("token"), "Bearer hunter2\nBearer hunter3\n");
    hang_up("it holds more than one line");
    EXPECT_EQ(proof_of("one"), "Bearer hunter1");
    EXPECT_EQ(metric(*service_, "config_reloads_total{result=\"refused\"}"), 2);
    EXPECT_THAT(service_->err(), AllOf(HasSubstr("tracker.http_authorization_file = "), Not(HasSubstr("hunter"))));
}

TEST(RotationStart, AUrlThatTheSinkRefusesIsShownWithoutItsSecrets) {
    service service({.flags = {"--tracker.sink=http", "--tracker.http_url=ftp://user:hunter2@a/?hunter2"},
                     .wait_until_ready = false,
                     .program = SERVICE_WITH_MODULES});
    EXPECT_EQ(service.exit_code(), 1);
    EXPECT_THAT(service.err(), AllOf(HasSubstr("tracker.http_url 'ftp://***@a/?***'"), Not(HasSubstr("hunter"))));
}

}  // namespace
}  // namespace integration
