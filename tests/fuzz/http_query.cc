// Fuzzes targets and queries: what is decoded can be encoded and is then decoded to the same.
#include <cstdint>
#include <cstdlib>

#include "http/provenance.h"
#include "http/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace safelight::http;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto target = parse_target(text);
  if (target && target->path != "*") {
    const auto again = parse_target(percent_encoded(target->path, "/"));
    if (!again || again->path != target->path) std::abort();
  }
  const auto query = parse_query(text);
  if (query) {
    std::string encoded;
    for (const auto& [name, value] : *query) {
      encoded += percent_encoded(name) + "=" + percent_encoded(value) + "&";
    }
    const auto again = parse_query(encoded);
    if (!again || *again != *query) std::abort();
  }
  static const TrustedProxies proxies = *TrustedProxies::parse({"10.0.0.0/8", "::1"});
  forwarded_client(proxies, text, "127.0.0.1");
  return 0;
}
