#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace safelight::http {

/// An IPv6 address, or an IPv4 one mapped into IPv6.
using IpAddress = std::array<uint8_t, 16>;

/// A literal such as "127.0.0.1" or "fe80::1%eth0"; nothing for names and anything else.
std::optional<IpAddress> parse_address(std::string_view text);

/// 127.0.0.0/8 or ::1.
bool is_loopback(const IpAddress& address);

/// What counts as one client for limits: an IPv4 address, or an IPv6 network of 64 bits, of which a
/// client has all.
std::string limit_key(std::string_view address);

}  // namespace safelight::http
