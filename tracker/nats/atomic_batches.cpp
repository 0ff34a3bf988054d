#include "tracker/nats/atomic_batches.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <string_view>
#include <utility>

#include "tracker/nats/stream_info.hpp"

namespace tracker {
namespace {

constexpr int look_again_ms = 20;

void check(natsStatus status, std::string_view what) {
    if (status != NATS_OK) throw std::runtime_error(fmt::format("{}: {}", what, natsStatus_GetText(status)));
}

}  // namespace

atomic_batches::atomic_batches(natsConnection* broker, const options& options, std::function<bool()> given_up)
    : broker_(broker), options_(options.nats), messages_(options), given_up_(std::move(given_up)) {
    natsInbox* made = nullptr;
    check(natsInbox_Create(&made), "inbox");
    const std::unique_ptr<natsInbox, void (*)(natsInbox*)> inbox(made, natsInbox_Destroy);
    inbox_ = inbox.get();
    check(natsConnection_SubscribeSync(&answers_, broker_, inbox_.c_str()), "inbox");
}

atomic_batches::~atomic_batches() { natsSubscription_Destroy(answers_); }

bool atomic_batches::may_hold(const event& event, std::size_t text) const noexcept {
    const auto size = text + event.id.size() + options_.stream.size() + headers;
    return size <= static_cast<std::size_t>(natsConnection_GetMaxPayload(broker_));
}

std::string atomic_batches::publish(std::span<const event> batch, std::span<const std::size_t> chosen) {
    id_ = make_id();
    for (std::size_t i = 0; i < chosen.size(); ++i) send(batch[chosen[i]], i + 1, i + 1 == chosen.size());
    return wait_for_answer(chosen.size());
}

/// Only the last asks for an answer: what was wrong with one before it is wrong with the batch.
void atomic_batches::send(const event& event, std::size_t sequence, bool last) {
    number_ = std::to_string(sequence);
    auto status = NATS_OK;
    const auto message = messages_.make(event, last ? inbox_.c_str() : nullptr, status);
    const auto set = [&](const char* name, const std::string& value) {
        if (status == NATS_OK) status = natsMsgHeader_Set(message.get(), name, value.c_str());
    };
    set("Nats-Batch-Id", id_);
    set("Nats-Batch-Sequence", number_);
    if (last) set("Nats-Batch-Commit", "1");
    if (status == NATS_OK) status = natsConnection_PublishMsg(broker_, message.get());
    check(status, "publish");
}

/// There is one batch at a time, and a connection that was waited on in vain is given up: an answer is the batch's.
std::string atomic_batches::wait_for_answer(std::size_t messages) {
    natsMsg* made = nullptr;
    auto status = NATS_TIMEOUT;
    while (status == NATS_TIMEOUT && !given_up_()) status = natsSubscription_NextMsg(&made, answers_, look_again_ms);
    if (status == NATS_TIMEOUT)
        throw std::runtime_error(fmt::format("a batch of {} messages has not been acknowledged", messages));
    check(status, "acknowledgement of a batch");
    const message_ptr message(made);
    if (natsMsg_IsNoResponders(made)) throw std::runtime_error(natsStatus_GetText(NATS_NO_RESPONDERS));
    const auto answer =
        read_batch_answer({natsMsg_GetData(made), static_cast<std::size_t>(natsMsg_GetDataLength(made))});
    if (answer.error != 0) return fmt::format("{} ({})", answer.why, answer.error);
    // A server that does not know such batches has stored message by message, and answers for the last.
    if (answer.batch != id_ || answer.count != messages) return "it has been acknowledged as one message";
    return {};
}

}  // namespace tracker
