#pragma once

#include <cstdint>
#include <optional>

#include "weights/byte_reader.h"
#include "weights/pickle.h"

namespace safelight::weights {

/// Whether an opcode of pickles stands for a single value: none, a number, a text or bytes.
bool is_pickle_value(uint8_t opcode);

/// The value of such an opcode, which follows it in `in`; nothing when it is cut short or
/// malformed.
std::optional<Pickle::Node> read_pickle_value(uint8_t opcode, ByteReader& in);

}  // namespace safelight::weights
