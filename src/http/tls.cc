#include "http/tls.h"

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <fstream>

namespace safelight::http {
namespace {

namespace ssl = boost::asio::ssl;

Status check_readable(const std::filesystem::path& path, const char* what) {
  if (std::ifstream(path).good()) return {};
  return Error{ErrorCode::kIo, fmt::format("TLS {} {} cannot be read; does it exist, and may this "
                                           "user read it?",
                                           what, path.string())};
}

Error unusable(const std::filesystem::path& path, const char* what,
               const boost::system::error_code& failure) {
  return {ErrorCode::kInvalidArgument,
          fmt::format("TLS {} {} cannot be used: {}; a PEM file is needed, and key and certificate "
                      "must belong together",
                      what, path.string(), failure.message())};
}

}  // namespace

Result<std::shared_ptr<ssl::context>> make_tls_context(const TlsFiles& files) {
  if (const Status s = check_readable(files.certificate, "certificate"); !s) return s.error();
  if (const Status s = check_readable(files.key, "key"); !s) return s.error();
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                  SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  // Thousands of idle connections keep no buffers.
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_cipher_list(native, "ECDHE+AESGCM:ECDHE+CHACHA20");
  boost::system::error_code failure;
  context->use_certificate_chain_file(files.certificate.string(), failure);
  if (failure) return unusable(files.certificate, "certificate", failure);
  context->use_private_key_file(files.key.string(), ssl::context::pem, failure);
  if (failure) return unusable(files.key, "key", failure);
  return context;
}

}  // namespace safelight::http
