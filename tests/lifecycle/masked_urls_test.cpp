#include "lifecycle/masked_urls.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace {

using lifecycle::masked_urls;
using lifecycle::url_text;
using trials = std::vector<std::pair<std::string, std::string>>;

TEST(MaskedUrls, HaveNeitherUserNorQueryNorFragment) {
    const trials all = {{"http://a/", "http://a/"},
                        {"http://user:word@a:1/p", "http://***@a:1/p"},
                        {"http://token@a", "http://***@a"},
                        {"http://a/p?token=word&b=c", "http://a/p?***"},
                        {"http://a?word", "http://a?***"},
                        {"http://a/p#word", "http://a/p#***"},
                        {"http://u:w@a/p?q#f", "http://***@a/p?***"},
                        {"http://a/p?", "http://a/p?"},
                        {"http://[::1]:80/?q", "http://[::1]:80/?***"},
                        {"http://[fe80::1]/p", "http://[fe80::1]/p"},
                        {"http://a/p?to=http://b/c", "http://a/p?***"},
                        {"http://a/p?mail=c@d", "http://a/p?***"}};
    for (const auto& [text, shown] : all) {
        EXPECT_EQ(masked_urls(text), shown);
        EXPECT_EQ(masked_urls(text, url_text::urls), shown);
        EXPECT_EQ(masked_urls(shown), shown) << "once more";
    }
}

TEST(MaskedUrls, EachOfAListIsMasked) {
    EXPECT_EQ(masked_urls("nats://u:w@a:1,tls://t@b:2,nats://c:3,"), "nats://***@a:1,tls://***@b:2,nats://c:3,");
    EXPECT_EQ(masked_urls("http://a, http://b/?w http://c"), "http://a, http://b/?*** http://c");
    EXPECT_EQ(masked_urls("http://a/?w,w,http://b"), "http://a/?***,http://b");
}

TEST(MaskedUrls, WhatIsNotEncodedAsItShouldBeIsMaskedAllTheSame) {
    for (const std::string word : {"wo/rd", "wo?rd", "wo#rd", "wo@rd", "wo,rd", "wo rd", "wo//rd", ":", "wo://rd"})
        EXPECT_EQ(masked_urls("http://user:" + word + "@a:1/p"), "http://***@a:1/p") << word;
    EXPECT_EQ(masked_urls("nats://a:1,user:word@b:2"), "nats://***@b:2") << "the second has no scheme";
}

TEST(MaskedUrls, ASchemeMayBeMissingWhereTheTextIsAUrl) {
    const trials all = {{"user:word@a:1", "***@a:1"},
                        {"user:wo://rd@a", "***@a"},
                        {"a:1,b:2", "a:1,b:2"},
                        {"a", "a"},
                        {"", ""},
                        {"u:w@a,nats://u:w@b", "***@a,nats://***@b"},
                        {"a/p?q", "a/p?***"}};
    for (const auto& [text, shown] : all) EXPECT_EQ(masked_urls(text, url_text::urls), shown);
}

TEST(MaskedUrls, AnyOtherTextStaysAsItIs) {
    for (const char* text : {"", "somebody@a", "what?", "a: //b?c", "/a/b?c", "unix:/run/a@b", "10.0.0.0/8,::1"})
        EXPECT_EQ(masked_urls(text), text);
    EXPECT_EQ(masked_urls("see http://a/?w"), "see http://a/?***");
}

}  // namespace
