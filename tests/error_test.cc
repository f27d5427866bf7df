#include "lockstep/error.h"

#include <new>
#include <string>

#include "catch.h"
#include "lockstep/backend.h"
#include "lockstep/detail/c_boundary.h"

namespace lockstep {
namespace {

template <class Exception>
ErrorCode code_of(const Exception& exception) {
  try {
    throw exception;
  } catch (...) {
    return current_error_code();
  }
}

TEST_CASE("an exception is an Error and one of the standard library's, with one text") {
  const auto check = [](const auto& exception, ErrorCode code) {
    const std::exception& standard = exception;
    const Error& error = exception;
    CHECK(std::string(standard.what()) == "what");
    CHECK(std::string(error.what()) == "what");
    CHECK(error.code() == code);
    CHECK(code_of(exception) == code);
  };
  check(InvalidArgument("what"), ErrorCode::invalid_argument);
  check(Unsupported("what"), ErrorCode::unsupported);
  check(FileError("what"), ErrorCode::file);
  check(InternalError("what"), ErrorCode::internal);
}

TEST_CASE("exceptions of others have the code of their class") {
  CHECK(code_of(std::bad_alloc()) == ErrorCode::out_of_memory);
  CHECK(code_of(std::length_error("")) == ErrorCode::out_of_memory);
  CHECK(code_of(std::out_of_range("")) == ErrorCode::invalid_argument);
  CHECK(code_of(std::runtime_error("")) == ErrorCode::file);
  CHECK(code_of(std::exception()) == ErrorCode::internal);
  CHECK(code_of(7) == ErrorCode::internal);
}

TEST_CASE("an Error can be caught as either") {
  CHECK_THROWS_AS(set_backend("no/such"), Error);
  CHECK_THROWS_AS(set_backend("no/such"), InvalidArgument);
  CHECK_THROWS_AS(set_backend("no/such"), std::invalid_argument);
}

TEST_CASE("the status of a C function is the code of the exception") {
  const auto status = [](const auto& exception) {
    return detail::call("", {}, [&] { throw exception; });
  };
  CHECK(status(InvalidArgument("")) == LOCKSTEP_INVALID_ARGUMENT);
  CHECK(status(Unsupported("")) == LOCKSTEP_UNSUPPORTED);
  CHECK(status(FileError("")) == LOCKSTEP_FILE_ERROR);
  CHECK(status(InternalError("")) == LOCKSTEP_INTERNAL_ERROR);
  CHECK(status(std::bad_alloc()) == LOCKSTEP_OUT_OF_MEMORY);
  CHECK(std::string(lockstep_status_text(LOCKSTEP_UNSUPPORTED)) == "unsupported");
}

}  // namespace
}  // namespace lockstep
