#include "lockstep/error.h"

#include <new>
#include <system_error>

namespace lockstep {

// Here, so that each class has its table of virtual functions in this library alone.
Error::~Error() = default;
InvalidArgument::~InvalidArgument() = default;
Unsupported::~Unsupported() = default;
FileError::~FileError() = default;
InternalError::~InternalError() = default;

ErrorCode current_error_code() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return error.code();
  } catch (const std::bad_alloc&) {
    return ErrorCode::out_of_memory;
  } catch (const std::length_error&) {
    return ErrorCode::out_of_memory;
  } catch (const std::logic_error&) {
    return ErrorCode::invalid_argument;
  } catch (const std::system_error& error) {
    return error.code() == std::errc::not_enough_memory ? ErrorCode::out_of_memory
                                                        : ErrorCode::file;
  } catch (const std::runtime_error&) {
    return ErrorCode::file;
  } catch (...) {
    return ErrorCode::internal;
  }
}

}  // namespace lockstep
