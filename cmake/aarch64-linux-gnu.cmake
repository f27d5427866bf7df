# Builds for AArch64 with Debian's cross compiler and runs what was built under qemu's emulation of a
# process; the environment variable QEMU_CPU chooses the processor that it plays.
#
# The libraries are those of build/sysroot-aarch64, which `./dev test --all-isas` fills. Without it
# CMake finds the compiler's own libraries only, and fetches the others.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

cmake_path(SET AARCH64_ROOT NORMALIZE "${CMAKE_CURRENT_LIST_DIR}/../build/sysroot-aarch64")
if(EXISTS "${AARCH64_ROOT}")
  set(CMAKE_SYSROOT "${AARCH64_ROOT}")
else()
  set(AARCH64_ROOT /usr/aarch64-linux-gnu)
  list(APPEND CMAKE_FIND_ROOT_PATH "${AARCH64_ROOT}")
endif()
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L "${AARCH64_ROOT}")
