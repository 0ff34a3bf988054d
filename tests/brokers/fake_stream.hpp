// The stream of a nats-server 2.15 as a publisher meets it: ids that it knows, and batches by headers that it stores
// whole or not at all. As strict as that one, with its numbers of errors.
#pragma once

#include <charconv>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace brokers {

class fake_stream {
public:
    /// Answers as such a stream does to a message with these headers; empty: it says nothing.
    std::string take(const std::string& headers) {
        const std::scoped_lock lock(mutex_);
        last_ = headers;
        const auto id = value_of(headers, "Nats-Msg-Id");
        const auto batch = value_of(headers, "Nats-Batch-Id");
        if (value_of(headers, "Nats-Expected-Stream") != "EVENTS")
            return error(10060, "expected stream does not match");
        if (batch.empty() || no_batches_) {
            ++singly_;
            const bool fresh = ++ids_[id] == 1;
            if (!fresh) ids_[id] = 1;
            return R"({"stream":"EVENTS","seq":1)" + std::string(fresh ? "}" : R"(,"duplicate":true})");
        }
        if (batch.size() > 64) return error(10179, "atomic publish batch ID is invalid");
        return take_of_batch(batch, id, value_of(headers, "Nats-Batch-Sequence"),
                             value_of(headers, "Nats-Batch-Commit"));
    }

    /// As a client's connection that ends leaves them: they are never committed.
    void forget_open() {
        const std::scoped_lock lock(mutex_);
        open_.clear();
    }
    void knows(const std::string& id) {
        const std::scoped_lock lock(mutex_);
        ids_[id] = 1;
    }
    /// As a server before 2.12: the headers mean nothing to it.
    void knows_no_batches() {
        const std::scoped_lock lock(mutex_);
        no_batches_ = true;
    }
    /// How many of a batch it takes at most.
    void takes_at_most(std::size_t messages) {
        const std::scoped_lock lock(mutex_);
        most_ = messages;
    }

    /// How often each id is in it.
    std::map<std::string, int> ids() const {
        const std::scoped_lock lock(mutex_);
        return ids_;
    }
    /// Sizes of the batches that it has stored.
    std::vector<std::size_t> stored() const {
        const std::scoped_lock lock(mutex_);
        return stored_;
    }
    /// What the last message had of that name.
    std::string last(const std::string& name) const {
        const std::scoped_lock lock(mutex_);
        return value_of(last_, name);
    }
    std::size_t refused() const {
        const std::scoped_lock lock(mutex_);
        return refused_;
    }
    std::size_t singly() const {
        const std::scoped_lock lock(mutex_);
        return singly_;
    }

private:
    static std::string value_of(const std::string& headers, const std::string& name) {
        const auto at = headers.find("\r\n" + name + ": ");
        if (at == headers.npos) return "";
        const auto from = at + name.size() + 4;
        return headers.substr(from, headers.find("\r\n", from) - from);
    }
    std::string error(int code, const std::string& why) {
        ++refused_;
        return R"({"error":{"code":400,"err_code":)" + std::to_string(code) + R"(,"description":")" + why +
               R"("},"stream":"EVENTS","seq":0})";
    }

    std::string take_of_batch(const std::string& batch, const std::string& id, const std::string& number,
                              const std::string& commit) {
        std::size_t sequence = 0;
        std::from_chars(number.data(), number.data() + number.size(), sequence);
        if (sequence == 0) return error(10175, "atomic publish sequence is missing");
        if (sequence == 1) open_[batch];
        const auto found = open_.find(batch);
        const auto incomplete = [&] {
            return commit.empty() ? "" : error(10176, "atomic publish batch is incomplete");
        };
        if (found == open_.end()) return incomplete();
        found->second.push_back(id);
        if (found->second.size() != sequence) {
            open_.erase(found);
            return incomplete();
        }
        if (sequence > most_) {
            open_.erase(found);
            return commit.empty() ? "" : error(10199, "atomic publish batch is too large");
        }
        if (commit.empty()) return "";
        const auto members = std::move(found->second);
        open_.erase(found);
        if (commit != "1") return error(10200, "atomic publish batch commit is invalid");
        std::set<std::string> twins;
        for (const auto& each : members)
            if (ids_.contains(each) || !twins.insert(each).second)
                return error(10201, "atomic publish batch contains duplicate message id");
        for (const auto& each : members) ids_[each] = 1;
        stored_.push_back(members.size());
        return R"({"stream":"EVENTS","seq":1,"batch":")" + batch + R"(","count":)" + std::to_string(members.size()) +
               "}";
    }

    mutable std::mutex mutex_;
    std::map<std::string, int> ids_;
    std::map<std::string, std::vector<std::string>> open_;  ///< batches that have not been committed
    std::vector<std::size_t> stored_;
    bool no_batches_ = false;
    std::string last_;
    std::size_t most_ = 1'000, refused_ = 0, singly_ = 0;
};

}  // namespace brokers
