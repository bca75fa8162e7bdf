#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "base/result.h"
#include "http/server.h"

namespace safelight::http {

/// A context for TLS 1.2 and newer. Errors: kIo and kInvalidArgument naming the file, for files
/// that cannot be read, hold no PEM, or do not belong together.
Result<std::shared_ptr<boost::asio::ssl::context>> make_tls_context(const TlsFiles& files);

}  // namespace safelight::http
