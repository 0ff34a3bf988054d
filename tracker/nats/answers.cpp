#include "tracker/nats/answers.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <stdexcept>
#include <string_view>

namespace tracker {
namespace {

void check(natsStatus status) {
    if (status != NATS_OK) throw std::runtime_error(fmt::format("inbox: {}", natsStatus_GetText(status)));
}

constexpr int no_limit = -1;

}  // namespace

answers::answers(natsConnection* broker) {
    natsInbox* made = nullptr;
    check(natsInbox_Create(&made));
    const std::unique_ptr<natsInbox, void (*)(natsInbox*)> inbox(made, natsInbox_Destroy);
    subject_ = fmt::format("{}.*", inbox.get());
    check(natsConnection_SubscribeSync(&subscription_, broker, subject_.c_str()));
    subject_.pop_back();
    prefix_ = subject_.size();
    natsSubscription_SetPendingLimits(subscription_, no_limit, no_limit);  // it is tracker.nats_in_flight
}

answers::~answers() { natsSubscription_Destroy(subscription_); }

const char* answers::subject_of(std::uint64_t number) {
    std::array<char, std::numeric_limits<std::uint64_t>::digits10 + 1> digits{};
    const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr - digits.data();
    subject_.resize(prefix_);
    subject_.append(digits.data(), static_cast<std::size_t>(written));
    return subject_.c_str();
}

std::size_t answers::arrived() const noexcept {
    int messages = 0;
    natsSubscription_GetPending(subscription_, &messages, nullptr);
    return static_cast<std::size_t>(messages);
}

message_ptr answers::next(std::chrono::milliseconds at_most, natsStatus& status) {
    natsMsg* made = nullptr;
    status = natsSubscription_NextMsg(&made, subscription_, at_most.count());
    return message_ptr(status == NATS_OK ? made : nullptr);
}

std::uint64_t answers::number_of(natsMsg* answer) const noexcept {
    constexpr auto none = std::numeric_limits<std::uint64_t>::max();
    const std::string_view subject = natsMsg_GetSubject(answer);
    if (subject.size() <= prefix_) return none;
    const auto* const end = subject.data() + subject.size();
    std::uint64_t number = 0;
    const auto read = std::from_chars(subject.data() + prefix_, end, number);
    return read.ec == std::errc() && read.ptr == end ? number : none;
}

}  // namespace tracker
