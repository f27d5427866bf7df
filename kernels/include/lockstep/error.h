#pragma once

#include <stdexcept>

#include "lockstep/export.h"

namespace lockstep {

/// What kind of failure an exception reports. The statuses of the functions for C have the same
/// numbers.
enum class ErrorCode {
  invalid_argument = 1,  ///< an argument that the documentation excludes
  out_of_memory = 2,     ///< std::bad_alloc, or a size that no memory can hold
  file = 3,              ///< cannot be read or written, or is not what it should be
  internal = 4,          ///< a defect of Lockstep, or what a callback threw
  unsupported = 5,       ///< this build or this CPU cannot do it
};

/// What every exception that Lockstep makes has beside its class of the standard library, so that a
/// program may catch either. (std::bad_alloc is passed on as it is.)
class LOCKSTEP_API Error {
 public:
  virtual ~Error();
  /// The kind of failure.
  [[nodiscard]] virtual ErrorCode code() const noexcept = 0;
  /// One sentence: what, where and what was expected.
  [[nodiscard]] virtual const char* what() const noexcept = 0;

 protected:
  Error() = default;
  Error(const Error&) = default;             ///< as every exception
  Error& operator=(const Error&) = default;  ///< as every exception
};

/// ErrorCode::invalid_argument.
class LOCKSTEP_API InvalidArgument : public std::invalid_argument, public Error {
 public:
  using std::invalid_argument::invalid_argument;
  ~InvalidArgument() override;
  [[nodiscard]] ErrorCode code() const noexcept override { return ErrorCode::invalid_argument; }
  [[nodiscard]] const char* what() const noexcept override { return invalid_argument::what(); }
};

/// ErrorCode::unsupported.
class LOCKSTEP_API Unsupported : public std::invalid_argument, public Error {
 public:
  using std::invalid_argument::invalid_argument;
  ~Unsupported() override;
  [[nodiscard]] ErrorCode code() const noexcept override { return ErrorCode::unsupported; }
  [[nodiscard]] const char* what() const noexcept override { return invalid_argument::what(); }
};

/// ErrorCode::file.
class LOCKSTEP_API FileError : public std::runtime_error, public Error {
 public:
  using std::runtime_error::runtime_error;
  ~FileError() override;
  [[nodiscard]] ErrorCode code() const noexcept override { return ErrorCode::file; }
  [[nodiscard]] const char* what() const noexcept override { return runtime_error::what(); }
};

/// ErrorCode::internal.
class LOCKSTEP_API InternalError : public std::runtime_error, public Error {
 public:
  using std::runtime_error::runtime_error;
  ~InternalError() override;
  [[nodiscard]] ErrorCode code() const noexcept override { return ErrorCode::internal; }
  [[nodiscard]] const char* what() const noexcept override { return runtime_error::what(); }
};

/// The code of the exception that is being handled, for use in a catch block: that of an Error, or
/// by its class of the standard library (std::logic_error: invalid_argument, std::length_error:
/// out_of_memory, std::runtime_error: file, but of a std::system_error for want of memory
/// out_of_memory), otherwise internal.
[[nodiscard]] LOCKSTEP_API ErrorCode current_error_code() noexcept;

}  // namespace lockstep
