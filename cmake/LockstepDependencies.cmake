# Finds each dependency among the installed packages first. Only where a package is missing is its
# source fetched, pinned to the commit of a release.
include(FetchContent)

# lockstep_fetch(name package url commit): fetches a source tree and sets <name>_SOURCE_DIR. Its own
# project is not added, since SOURCE_SUBDIR names a folder that does not exist: of most we want the
# headers only, and of none the install rules. `package` is Debian's, for who cannot fetch.
macro(lockstep_fetch name package url commit)
  string(TOUPPER ${name} lockstep_fetched)
  find_package(Git QUIET)
  if(NOT GIT_FOUND AND NOT FETCHCONTENT_SOURCE_DIR_${lockstep_fetched})
    message(FATAL_ERROR "${name} is not installed, and there is no git to fetch it. Debian's package: ${package}")
  endif()
  message(NOTICE "${name} is not installed (Debian's package: ${package}): taking ${url} at ${commit}")
  FetchContent_Declare(${name} GIT_REPOSITORY ${url} GIT_TAG ${commit} SOURCE_SUBDIR not-added)
  FetchContent_MakeAvailable(${name})
endmacro()

# lockstep_add_fetched_headers(target name): a header-only target from a fetched source tree.
macro(lockstep_add_fetched_headers target name)
  add_library(${target} INTERFACE IMPORTED)
  target_include_directories(${target} INTERFACE "${${name}_SOURCE_DIR}/include")
endmacro()

# lockstep_add_fetched_project(name): the project of a fetched source tree, without its install
# rules and its warnings.
macro(lockstep_add_fetched_project name)
  add_subdirectory("${${name}_SOURCE_DIR}" "${${name}_BINARY_DIR}" EXCLUDE_FROM_ALL SYSTEM)
endmacro()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
if(LOCKSTEP_THREADING STREQUAL openmp)
  find_package(OpenMP REQUIRED COMPONENTS CXX)
elseif(NOT LOCKSTEP_THREADING STREQUAL std)
  message(FATAL_ERROR "LOCKSTEP_THREADING is \"${LOCKSTEP_THREADING}\", not openmp or std")
endif()

# The kernels use the headers of both SIMD libraries only, never their own CPU detection.
if(LOCKSTEP_HIGHWAY)
  find_package(hwy CONFIG QUIET)
  if(TARGET hwy::hwy)
    get_target_property(LOCKSTEP_HIGHWAY_INCLUDE hwy::hwy INTERFACE_INCLUDE_DIRECTORIES)
  else()
    lockstep_fetch(highway libhwy-dev https://github.com/google/highway.git
                   2607d3b5b0113992fe84d3848859eae13b3b52c1)  # 1.4.0
    set(LOCKSTEP_HIGHWAY_INCLUDE "${highway_SOURCE_DIR}")
  endif()
endif()

if(LOCKSTEP_XSIMD)
  # Debian's xsimd 8 package exports a link to xtl, which it does not install: take the headers.
  find_path(LOCKSTEP_XSIMD_INCLUDE xsimd/xsimd.hpp)
  if(NOT LOCKSTEP_XSIMD_INCLUDE)
    lockstep_fetch(xsimd libxsimd-dev https://github.com/xtensor-stack/xsimd.git
                   e88a72831858123924f7118f345dfe5d70d95991)  # 14.3.0
    set(LOCKSTEP_XSIMD_INCLUDE "${xsimd_SOURCE_DIR}/include")
  endif()
endif()

if(LOCKSTEP_RNN)
  find_package(nlohmann_json 3.10 CONFIG QUIET)
  if(NOT TARGET nlohmann_json::nlohmann_json)
    lockstep_fetch(json nlohmann-json3-dev https://github.com/nlohmann/json.git
                   9cca280a4d0ccf0c08f47a99aa71d1b0e52f8d03)  # v3.11.3
    lockstep_add_fetched_headers(nlohmann_json::nlohmann_json json)
  endif()
  find_package(ZLIB QUIET)
endif()

# The compiler wrappers that CMake asks are those of the machine that builds.
if(LOCKSTEP_MPI AND NOT CMAKE_CROSSCOMPILING)
  set(MPI_CXX_SKIP_MPICXX TRUE)
  find_package(MPI QUIET COMPONENTS CXX)
endif()

if(LOCKSTEP_COMMAND OR LOCKSTEP_BENCH)
  find_package(CLI11 CONFIG QUIET)
  if(NOT TARGET CLI11::CLI11)
    lockstep_fetch(cli11 libcli11-dev https://github.com/CLIUtils/CLI11.git
                   6c7b07a878ad834957b98d0f9ce1dbe0cb204fc9)  # v2.4.2
    lockstep_add_fetched_headers(CLI11::CLI11 cli11)
  endif()
endif()

if(LOCKSTEP_TESTS)
  find_package(Catch2 CONFIG QUIET)
  if(NOT TARGET Catch2::Catch2WithMain)
    lockstep_fetch(catch2 catch2 https://github.com/catchorg/Catch2.git
                   fa43b77429ba76c462b1898d6cd2f2d7a9416b14)  # v3.7.1
    lockstep_add_fetched_project(catch2)
  endif()
endif()

if(LOCKSTEP_BENCH)
  find_package(benchmark CONFIG QUIET)
  if(NOT TARGET benchmark::benchmark)
    lockstep_fetch(benchmark libbenchmark-dev https://github.com/google/benchmark.git
                   192ef10025eb2c4cdd392bc502f0c852196baa48)  # v1.9.5
    set(BENCHMARK_ENABLE_TESTING OFF)
    lockstep_add_fetched_project(benchmark)
  endif()
endif()
