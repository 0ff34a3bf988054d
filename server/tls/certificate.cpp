#include "server/tls/certificate.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "server/tls/fault.hpp"

namespace server::tls {
namespace {

constexpr std::string_view certificate_key = "tls_certificate", key_key = "tls_key";
constexpr std::string_view a_chain =
    "a PEM file, the server's own certificate first, then that of its issuer, and so on";
constexpr std::size_t most_bytes = 1024 * 1024;

/// Without it OpenSSL asks on the terminal, and a start would hang.
int no_password(char*, int, int, void* asked) {
    *static_cast<bool*>(asked) = true;
    return -1;
}

bio_pointer reader_of(std::string_view bytes) {
    bio_pointer made(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
    if (!made) throw std::bad_alloc();
    return made;
}

/// The last error of OpenSSL; its queue of errors is empty afterwards.
std::string last_error() {
    const auto error = ERR_peek_last_error();
    const char* const reason = ERR_reason_error_string(error);
    ERR_clear_error();
    return reason != nullptr ? reason : "no reason is given";
}

std::time_t time_of(const ASN1_TIME* time) {
    std::tm parts{};
    return ASN1_TIME_to_tm(time, &parts) == 1 ? ::timegm(&parts) : 0;
}

std::string lower(std::string_view text) {
    std::string low(text);
    for (auto& c : low) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return low;
}

/// Those of the alternative names; a certificate that has none of them goes by its subject, as of old.
std::vector<std::string> names_of(const X509& leaf) {
    std::vector<std::string> names;
    auto* const found = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&leaf, NID_subject_alt_name, nullptr, nullptr));
    for (int nth = 0; nth < sk_GENERAL_NAME_num(found); ++nth) {
        const auto* const name = sk_GENERAL_NAME_value(found, nth);
        if (name->type != GEN_DNS) continue;
        const auto* const text = reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName));
        names.push_back(lower({text, static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName))}));
    }
    GENERAL_NAMES_free(found);
    char common[256];
    if (names.empty() &&
        X509_NAME_get_text_by_NID(X509_get_subject_name(&leaf), NID_commonName, common, sizeof common) > 0)
        names.push_back(lower(common));
    ERR_clear_error();
    return names;
}

void check_order(const certificate& certificate) {
    auto* before = certificate.leaf.get();
    std::size_t nth = 2;
    for (const auto& next : certificate.chain) {
        if (X509_check_issued(next.get(), before) != X509_V_OK)
            throw fault(certificate_key,
                        fmt::format("certificate {} in {}, of {}, has not issued the one before it, of {}", nth,
                                    certificate.file, subject_of(*next), subject_of(*before)),
                        a_chain);
        before = next.get();
        ++nth;
    }
}

void check_time(const certificate& certificate) {
    const auto now = std::time(nullptr);
    const auto from = time_of(X509_get0_notBefore(certificate.leaf.get()));
    if (now >= certificate.not_after)
        throw fault(certificate_key,
                    fmt::format("the certificate of {} in {} has expired, at {}", certificate.subject, certificate.file,
                                in_words(certificate.not_after)),
                    "a certificate that is in force");
    if (now < from)
        throw fault(certificate_key,
                    fmt::format("the certificate of {} in {} is not in force before {}", certificate.subject,
                                certificate.file, in_words(from)),
                    "a certificate that is in force");
}

key_pointer key_of(const std::string& file, std::string_view pem) {
    bool asked = false;
    ERR_clear_error();
    key_pointer key(PEM_read_bio_PrivateKey(reader_of(pem).get(), nullptr, no_password, &asked));
    if (key) return key;
    const auto reason = last_error();
    throw fault(key_key,
                asked ? fmt::format("the key in {} is encrypted", file)
                      : fmt::format("{} holds no private key that can be read ({})", file, reason),
                "a PEM file with a private key that no password protects");
}

void check_key(const certificate& certificate, const std::string& file) {
    if (X509_check_private_key(certificate.leaf.get(), certificate.key.get()) == 1) return;
    ERR_clear_error();
    const bool of_another = std::ranges::any_of(certificate.chain, [&](const auto& other) {
        return X509_check_private_key(other.get(), certificate.key.get()) == 1;
    });
    ERR_clear_error();
    if (of_another)
        throw fault(certificate_key,
                    fmt::format("the first certificate in {} is that of {}, and the key in {} that of a later one",
                                certificate.file, certificate.subject, file),
                    a_chain);
    throw fault(key_key,
                fmt::format("the key in {} does not fit the certificate of {} in {}, valid until {}", file,
                            certificate.subject, certificate.file, in_words(certificate.not_after)),
                "the private key of that certificate");
}

std::string text_of(const X509_NAME& name) {
    const bio_pointer text(BIO_new(BIO_s_mem()));
    if (!text) throw std::bad_alloc();
    X509_NAME_print_ex(text.get(), &name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    const char* bytes = nullptr;
    const auto count = BIO_get_mem_data(text.get(), &bytes);
    return {bytes, static_cast<std::size_t>(count)};
}

std::vector<certificate_pointer> authorities_beside(const std::string& file) {
    const auto beside = (std::filesystem::path(file).parent_path() / "ca.crt").string();
    try {
        return certificates_of(certificate_key, beside, bytes_of(certificate_key, beside));
    } catch (const fault&) {
        return {};  // it is not asked for
    }
}

/// By OpenSSL's own places of authorities.
bool is_trusted_here(X509& leaf) {
    const std::unique_ptr<X509_STORE, freed_by<X509_STORE_free>> store(X509_STORE_new());
    const std::unique_ptr<X509_STORE_CTX, freed_by<X509_STORE_CTX_free>> lookup(X509_STORE_CTX_new());
    X509* found = nullptr;
    const bool is_there = store && lookup && X509_STORE_set_default_paths(store.get()) == 1 &&
                          X509_STORE_CTX_init(lookup.get(), store.get(), &leaf, nullptr) == 1 &&
                          X509_STORE_CTX_get1_issuer(&found, lookup.get(), &leaf) == 1;
    X509_free(found);
    ERR_clear_error();
    return is_there;
}

}  // namespace

std::string in_words(std::time_t time) { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(time)); }

std::string subject_of(const X509& certificate) { return text_of(*X509_get_subject_name(&certificate)); }

bool is_open_to_all(const std::string& file) {
    struct stat status {};
    return ::stat(file.c_str(), &status) == 0 && (status.st_mode & S_IROTH) != 0;
}

std::string missing_issuer(const certificate& certificate, const std::vector<certificate_pointer>& trusted) {
    auto& leaf = *certificate.leaf;
    const auto issues = [&leaf](const auto& other) { return X509_check_issued(other.get(), &leaf) == X509_V_OK; };
    if (!certificate.chain.empty() || issues(certificate.leaf) || std::ranges::any_of(trusted, issues) ||
        std::ranges::any_of(authorities_beside(certificate.file), issues) || is_trusted_here(leaf))
        return {};
    return text_of(*X509_get_issuer_name(&leaf));
}

std::string bytes_of(std::string_view key, const std::string& file, std::string_view allowed) {
    const auto wrong = [&](std::string_view why) {
        return fault(key, fmt::format("{} cannot be read: {}", file, why), std::string(allowed));
    };
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // so that a pipe does not block
    if (descriptor < 0) throw wrong(std::strerror(errno));
    struct closes {
        int what;
        ~closes() { ::close(what); }
    } const in_the_end{descriptor};
    struct stat status {};
    if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) throw wrong("it is not a regular file");
    std::string bytes;
    char piece[4096];
    for (ssize_t count = 0; (count = ::read(descriptor, piece, sizeof piece)) != 0;) {
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) throw wrong(std::strerror(errno));
        bytes.append(piece, static_cast<std::size_t>(count));
        if (bytes.size() > most_bytes) throw wrong("it is too large");
    }
    return bytes;
}

std::vector<certificate_pointer> certificates_of(std::string_view key, const std::string& file, std::string_view pem) {
    std::vector<certificate_pointer> all;
    const auto reader = reader_of(pem);
    bool asked = false;
    ERR_clear_error();
    while (auto* const read = PEM_read_bio_X509(reader.get(), nullptr, no_password, &asked)) all.emplace_back(read);
    const auto error = ERR_peek_last_error();
    const bool at_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    const auto reason = last_error();
    if (!at_end)
        throw fault(key, fmt::format("certificate {} in {} cannot be read ({})", all.size() + 1, file, reason),
                    "a PEM file of certificates");
    if (all.empty()) throw fault(key, fmt::format("{} holds no certificate", file), "a PEM file of certificates");
    return all;
}

certificate read_certificate(const std::string& certificate_file, const std::string& key_file) {
    certificate made;
    made.file = certificate_file;
    auto pem = bytes_of(certificate_key, certificate_file);
    auto key_pem = bytes_of(key_key, key_file);
    auto all = certificates_of(certificate_key, certificate_file, pem);
    made.leaf = std::move(all.front());
    std::move(all.begin() + 1, all.end(), std::back_inserter(made.chain));
    made.subject = subject_of(*made.leaf);
    made.names = names_of(*made.leaf);
    made.not_after = time_of(X509_get0_notAfter(made.leaf.get()));
    made.key = key_of(key_file, key_pem);
    check_key(made, key_file);
    check_order(made);
    check_time(made);
    made.key_is_open = is_open_to_all(key_file);
    made.bytes = std::move(pem) + key_pem;
    OPENSSL_cleanse(key_pem.data(), key_pem.size());
    return made;
}

}  // namespace server::tls
