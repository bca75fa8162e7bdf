#pragma once

#include <random>
#include <string>

#include "request/request.h"

namespace safelight::request {

/// Text of the pieces that generation text is made of, in any order.
inline std::string random_text(std::mt19937& random) {
  static const std::string kPieces[] = {"a red apple",
                                        "\n",
                                        "\nNegative prompt: ",
                                        "Negative prompt:",
                                        "Steps: 20, ",
                                        "Sampler: Euler",
                                        ": ",
                                        ", ",
                                        "\"",
                                        "\\",
                                        "\\n",
                                        " ",
                                        "  ",
                                        "\t",
                                        "\r",
                                        "(word:1.2)",
                                        "[a|b]",
                                        "BREAK",
                                        "é",
                                        "一个",
                                        "🍎",
                                        "\x01",
                                        "\n\n",
                                        "Seed: 1",
                                        "Size: 512x512",
                                        "Safelight request: \"{}\"",
                                        "RNG: GPU",
                                        "AND",
                                        "{",
                                        "}",
                                        "Version: 1",
                                        "\xE2\x80\xA8"};
  std::string text;
  for (size_t count = random() % 7; count > 0; --count) {
    text += kPieces[random() % std::size(kPieces)];
  }
  return text;
}

/// A request with some fields set to random values within their ranges, often nasty ones.
inline Request random_request(uint32_t seed) {
  std::mt19937 random(seed);
  Request request;
  for (const Field& field : fields()) {
    if (random() % 3 == 0) continue;
    const double fraction = std::uniform_real_distribution<double>(0, 1)(random);
    const double most = std::min(field.maximum, 1e6);
    const double number = field.minimum + fraction * (most - field.minimum);
    if (auto* text = std::get_if<std::string Request::*>(&field.member)) {
      request.** text = random_text(random);
    } else if (auto* whole = std::get_if<int64_t Request::*>(&field.member)) {
      request.** whole = static_cast<int64_t>(number);
    } else if (auto* real = std::get_if<double Request::*>(&field.member)) {
      request.** real = number;
    } else if (auto* list = std::get_if<Texts Request::*>(&field.member)) {
      for (size_t count = random() % 3; count > 0; --count)
        (request.**list).push_back(random_text(random));
    } else {
      request.*std::get<std::optional<double> Request::*>(field.member) = number;
    }
  }
  if (random() % 2 == 0) request.noise_source = random() % 2 ? "nv" : "cpu";
  if (random() % 2 == 0) request.emphasis = random() % 2 ? "no-norm" : "ignore";
  return request;
}

}  // namespace safelight::request
