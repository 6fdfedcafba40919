// Golden files: texts that people have read and found right.
#pragma once

#include <cstdlib>
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

// With NATSESSION_GOLDEN_WRITE=1 the file is written anew, for people to read and find right.
inline void check_golden(const std::string& name, const std::string& text) {
  if (std::getenv("NATSESSION_GOLDEN_WRITE") != nullptr) {
    std::ofstream(std::string(NATSESSION_GOLDEN) + "/" + name) << text;
  }
  CHECK(text == golden(name));
}

}  // namespace natsession::testing
