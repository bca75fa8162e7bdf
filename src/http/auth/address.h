#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace safelight::http {

/// An IPv6 address, or an IPv4 one mapped into IPv6.
using IpAddress = std::array<uint8_t, 16>;

/// A literal such as "127.0.0.1" or "fe80::1%eth0"; nothing for names and anything else.
std::optional<IpAddress> parse_address(std::string_view text);

/// 127.0.0.0/8 or ::1.
bool is_loopback(const IpAddress& address);

/// Addresses that share their first bits.
struct Network {
  IpAddress first{};
  int bits = 128;  ///< of the IPv6 form

  bool contains(const IpAddress& address) const;
};

/// "10.0.0.0/8", "fd00::/8" or a single address. Errors: kInvalidArgument.
Result<Network> parse_network(std::string_view text);

/// Who really asks: `peer`, or where `peer` is a trusted proxy the last address in X-Forwarded-For
/// that is none.
std::string client_address(std::string_view peer, std::string_view forwarded_for,
                           const std::vector<Network>& trusted);

/// What counts as one client for limits: an IPv4 address, or an IPv6 network of 64 bits, of which a
/// client has all.
std::string limit_key(std::string_view address);

}  // namespace safelight::http
