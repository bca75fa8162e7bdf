#pragma once

#include <boost/asio/ip/address.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace safelight::http {

/// Networks whose X-Forwarded-* headers are believed: addresses or "10.0.0.0/8".
class TrustedProxies {
 public:
  /// Errors: kInvalidArgument naming the entry.
  static Result<TrustedProxies> parse(const std::vector<std::string>& entries);

  bool contains(const boost::asio::ip::address& address) const;
  bool empty() const { return networks_.empty(); }

 private:
  struct Network {
    boost::asio::ip::address address;
    unsigned bits = 0;
  };
  std::vector<Network> networks_;
};

/// The client of an X-Forwarded-For list: the last address that is not of a trusted proxy.
/// `peer` when the list has none that can be read.
std::string forwarded_client(const TrustedProxies& proxies, std::string_view forwarded_for,
                             std::string_view peer);

/// Whether a request id that a client chose may be used: 1 to 64 letters, digits, '-', '_', '.'.
bool is_request_id(std::string_view id);
/// A new one, 16 hexadecimal digits, unlike those of other processes. Any thread.
std::string make_request_id();

/// Whether it is a W3C traceparent of version 00 with ids that are not all zero.
bool is_traceparent(std::string_view value);

}  // namespace safelight::http
