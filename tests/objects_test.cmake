# Wide instructions stand in backend objects only, and nothing in those is a symbol that the linker
# could share with other objects: an inline function compiled with AVX-512 in one object must never
# serve a program on a CPU without it.
#
# Variables: LIBRARY, the static library of the kernels; NM, OBJDUMP; PROCESSOR; BACKENDS_OF_HIGHWAY,
# whether it holds them.
if(NOT EXISTS "${NM}" OR NOT EXISTS "${OBJDUMP}")
  message(STATUS "skipped: nm or objdump is not installed")
  return()
endif()

# neon64.cc is not among them: NEON is the baseline of AArch64.
set(BACKEND_OBJECTS "^(highway|avx2|avx512|sse4)\\.cc\\.o$")
set(PROBLEMS "")

# Every object begins with a line "<name>.o:     file format ...".
execute_process(COMMAND "${OBJDUMP}" -d --no-show-raw-insn "${LIBRARY}"
  COMMAND grep -E "file format|%[yz]mm|[ {]z[0-9]+\\.[bhsd]"
  OUTPUT_VARIABLE LISTING COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE "[;\\[]" " " LISTING "${LISTING}")
string(REGEX REPLACE "\n" ";" LINES "${LISTING}")
set(WIDE_BACKEND_LINES 0)
foreach(LINE IN LISTS LINES)
  if(LINE MATCHES "^([^ ]+\\.o): +file format")
    set(OBJECT "${CMAKE_MATCH_1}")
  elseif(LINE STREQUAL "")  # after the last line
    continue()
  elseif(NOT OBJECT MATCHES "${BACKEND_OBJECTS}")
    list(APPEND PROBLEMS "${OBJECT}: ${LINE}")
  else()
    math(EXPR WIDE_BACKEND_LINES "${WIDE_BACKEND_LINES} + 1")
  endif()
endforeach()
if(BACKENDS_OF_HIGHWAY AND PROCESSOR MATCHES "x86_64|AMD64|aarch64|arm64" AND WIDE_BACKEND_LINES EQUAL 0)
  list(APPEND PROBLEMS "no wide instruction in any backend: this test looks at the wrong thing")
endif()

# Lines of nm -A: "<archive>:<object>:<address> <type> <name>"; types W, V and u can be merged. The
# pointer to the personality routine of exceptions is the compiler's own and holds no code.
execute_process(COMMAND "${NM}" -A --defined-only "${LIBRARY}"
  OUTPUT_VARIABLE SYMBOLS COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE "[;\\[]" " " SYMBOLS "${SYMBOLS}")
string(REGEX REPLACE "\n" ";" LINES "${SYMBOLS}")
foreach(LINE IN LISTS LINES)
  if(LINE MATCHES ":([^:/]+\\.o):[0-9a-f]+ [WVu] (.+)$")
    set(OBJECT "${CMAKE_MATCH_1}")
    set(SYMBOL "${CMAKE_MATCH_2}")
    if(OBJECT MATCHES "${BACKEND_OBJECTS}" AND NOT SYMBOL STREQUAL "DW.ref.__gxx_personality_v0")
      list(APPEND PROBLEMS "${OBJECT}: shared symbol ${SYMBOL}")
    endif()
  endif()
endforeach()

if(PROBLEMS)
  list(JOIN PROBLEMS "\n  " TEXT)
  message(FATAL_ERROR "${LIBRARY}:\n  ${TEXT}")
endif()
