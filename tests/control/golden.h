// Golden files: texts that people have read and found right.
#pragma once

#include <fstream>
#include <iterator>
#include <string>

#include <catch2/catch.hpp>

namespace natsession::testing {

inline std::string golden(const std::string& name) {
  std::ifstream file(std::string(NATSESSION_GOLDEN) + "/" + name);
  INFO(name);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace natsession::testing
