// Result<T>: a value or an Error, across every library boundary of this project. Mirrors std::expected
// (C++23).
// Threads: a plain value type.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace natsession {

// What kind of trouble it is: decides the exit status of a program and what a caller may try next.
enum class ErrorKind {
  kUsage,        // the user asked for something that cannot be: a bad value, an unknown key
  kPermission,   // the kernel said EPERM or EACCES
  kUnavailable,  // something outside is missing: a kernel feature, a socket, a directory
  kIo,           // an operation failed that normally works
  kMalformed,    // bytes that are not what they claim to be
};

struct Error {
  ErrorKind kind = ErrorKind::kIo;
  std::string message;  // operation, object and cause; no trailing full stop or newline
};

// The user asked for what cannot be.
[[nodiscard]] inline Error usage_error(std::string message) {
  return {ErrorKind::kUsage, std::move(message)};
}

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit, as in std::expected
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  [[nodiscard]] bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  // Undefined unless has_value(), as for std::expected.
  T& value() & { return *std::get_if<0>(&state_); }
  const T& value() const& { return *std::get_if<0>(&state_); }
  T&& value() && { return std::move(*std::get_if<0>(&state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // Undefined if has_value().
  [[nodiscard]] const Error& error() const { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : failed_(true), error_(std::move(error)) {}  // NOLINT

  [[nodiscard]] bool has_value() const { return !failed_; }
  explicit operator bool() const { return !failed_; }
  [[nodiscard]] const Error& error() const { return error_; }

 private:
  bool failed_ = false;
  Error error_;
};

// Describes a failed system call. `error_number` is errno as it was right after the call; it is passed in and
// never read here. EPERM and EACCES become kPermission, all others `otherwise`.
[[nodiscard]] Error system_error(std::string operation, int error_number,
                                 ErrorKind otherwise = ErrorKind::kIo);

}  // namespace natsession
