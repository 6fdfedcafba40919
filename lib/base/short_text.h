// ShortText: a text of up to 255 bytes in place, for what is filled for each record: nothing is allocated,
// and usual lengths are copied without a loop.
// Errors: a longer text is cut.
// Threads: a plain value type.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace natsession {

class ShortText {
 public:
  static constexpr std::size_t kMax = 255;
  static constexpr std::size_t kAtOnce = 32;  // bytes that are copied whole

  ShortText() {}  // NOLINT(modernize-use-equals-default): the bytes stay as they are
  template <std::convertible_to<std::string_view> Text>
  ShortText(const Text& text) {  // NOLINT(google-explicit-constructor): as a string takes one
    assign(text);
  }
  ShortText(const ShortText& other) { assign_readable(other.text_, other.size_); }
  ShortText& operator=(const ShortText& other) {
    if (this != &other) assign_readable(other.text_, other.size_);
    return *this;
  }

  void assign(std::string_view text) {
    size_ = static_cast<std::uint8_t>(std::min(text.size(), kMax));
    if (size_ > 0) std::memcpy(text_, text.data(), size_);
  }
  // Of a text behind which memory can be read up to kAtOnce bytes from its beginning. `size` is kMax at most.
  void assign_readable(const char* text, std::size_t size) {
    size_ = static_cast<std::uint8_t>(size);
    if (size <= kAtOnce)
      std::memcpy(text_, text, kAtOnce);
    else
      std::memcpy(text_, text, size);
  }
  // Room for kMax bytes; resize() says how many were written.
  [[nodiscard]] char* data() { return text_; }
  void resize(std::size_t size) { size_ = static_cast<std::uint8_t>(size); }
  void clear() { size_ = 0; }

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::string_view view() const { return {text_, size_}; }
  operator std::string_view() const { return view(); }  // NOLINT(google-explicit-constructor): likewise
  template <std::convertible_to<std::string_view> Text>
  friend bool operator==(const ShortText& one, const Text& other) {
    return one.view() == std::string_view(other);
  }

 private:
  std::uint8_t size_ = 0;
  char text_[kMax];
};
static_assert(sizeof(ShortText) == 256);

}  // namespace natsession
