#include "http/tls.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <cstdio>
#include <filesystem>

#include "live_server.h"

namespace safelight::http {
namespace {

namespace asio = boost::asio;

/// A key and a certificate for it, valid for an hour, signed by itself.
TlsFiles make_files(const std::filesystem::path& folder, const std::string& name) {
  const TlsFiles files{folder / (name + ".pem"), folder / (name + ".key")};
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate, subject);
  X509_sign(certificate, key, EVP_sha256());
  std::FILE* out = std::fopen(files.certificate.c_str(), "w");
  PEM_write_X509(out, certificate);
  std::fclose(out);
  out = std::fopen(files.key.c_str(), "w");
  PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(out);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return files;
}

struct TlsTest : testing::Test {
  TlsTest() {
    std::filesystem::create_directories(folder);
    server.options.tls = make_files(folder, "first");
    server.router.get("/a", {}, [](Exchange& exchange) -> Awaitable<Reply> {
      co_return Reply{.body = exchange.base_url()};
    });
    server.router.get("/large", {}, [](Exchange&) -> Awaitable<Reply> {
      co_return Reply{.content_type = "image/png", .body = std::string(3'000'000, 'x')};
    });
  }
  ~TlsTest() override { std::filesystem::remove_all(folder); }

  std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / ("safelight_tls_" + std::to_string(::getpid()));
  LiveServer server;
};

/// What a TLS client sees: the name in the certificate and the answer's text; the error's text
/// when there is no handshake.
struct TlsClient {
  explicit TlsClient(uint16_t port,
                     asio::ssl::context::method method = asio::ssl::context::tls_client)
      : tls(method), stream(context, tls) {
    asio::ip::tcp::endpoint endpoint(asio::ip::address_v4::loopback(), port);
    stream.next_layer().connect(endpoint);
    stream.handshake(asio::ssl::stream_base::client, failure);
  }
  std::string name() {
    X509* certificate = SSL_get1_peer_certificate(stream.native_handle());
    char text[64] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text,
                              sizeof text);
    X509_free(certificate);
    return text;
  }
  std::string ask(const std::string& request_text) {
    asio::write(stream, asio::buffer(request_text), failure);
    std::string text;
    asio::read(stream, asio::dynamic_buffer(text), failure);
    return text;
  }

  asio::io_context context;
  asio::ssl::context tls;
  asio::ssl::stream<asio::ip::tcp::socket> stream;
  boost::system::error_code failure;
};

TEST_F(TlsTest, ServesOverTls) {
  server.start();
  EXPECT_TRUE(server.server->url().starts_with("https://127.0.0.1:"));
  TlsClient client(server.port);
  ASSERT_FALSE(client.failure) << client.failure.message();
  const std::string text =
      client.ask(request("GET", "/a") + request("GET", "/large", "Connection: close\r\n"));
  EXPECT_NE(text.find("https://localhost"), std::string::npos) << text.substr(0, 500);
  EXPECT_GT(text.size(), 3'000'000U);
  EXPECT_TRUE(text.ends_with("xxx"));
}

TEST_F(TlsTest, OldVersionsAreRefused) {
  server.start();
  EXPECT_TRUE(TlsClient(server.port, asio::ssl::context::tlsv11_client).failure);
  EXPECT_FALSE(TlsClient(server.port, asio::ssl::context::tlsv12_client).failure);
  EXPECT_FALSE(TlsClient(server.port, asio::ssl::context::tlsv13_client).failure);
}

TEST_F(TlsTest, PlainTextAndSilenceAreDropped) {
  server.options.header_timeout = 200ms;
  server.start();
  RawClient plain(server.port);
  plain.send(request("GET", "/a"));
  EXPECT_TRUE(plain.closes());
  RawClient silent(server.port);
  EXPECT_TRUE(silent.closes(2s));
}

TEST_F(TlsTest, CertificatesAreReadAgain) {
  server.start();
  EXPECT_EQ(TlsClient(server.port).name(), "first");
  const TlsFiles second = make_files(folder, "second");
  std::filesystem::rename(second.certificate, folder / "first.pem");
  EXPECT_FALSE(server.server->reload_tls()) << "the key belongs to another certificate";
  EXPECT_EQ(TlsClient(server.port).name(), "first");
  std::filesystem::rename(second.key, folder / "first.key");
  EXPECT_TRUE(server.server->reload_tls());
  EXPECT_EQ(TlsClient(server.port).name(), "second");
}

TEST_F(TlsTest, FilesThatCannotBeUsedAreNamed) {
  TlsFiles files = *server.options.tls;
  files.certificate = folder / "none.pem";
  const auto missing = make_tls_context(files);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("none.pem"), std::string::npos);
  files = *server.options.tls;
  std::swap(files.certificate, files.key);
  EXPECT_FALSE(make_tls_context(files));
}

}  // namespace
}  // namespace safelight::http
