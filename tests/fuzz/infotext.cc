// Fuzzes the generation text: what is read and valid can be written and read again as the same
// request.
#include "request/infotext.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace safelight::request;
  const Request request = parse_infotext({reinterpret_cast<const char*>(data), size}).request;
  if (!validate(request)) return 0;
  if (!(parse_infotext(to_infotext(request, "0123456789", "fuzz")).request == request))
    std::abort();
  return 0;
}
