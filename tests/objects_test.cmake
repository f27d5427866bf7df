# What the objects of the static libraries may not hold, lest they harm a program that links them:
#   - wide instructions, but in the objects of backends; and nothing in those may be a symbol that
#     the linker could share with other objects: an inline function compiled with AVX-512 in one
#     object must never serve a program on a CPU without it
#   - code that runs when the program is loaded: nothing is computed, and no thread started, before
#     the first call
#   - names of their own outside the namespace lockstep and the prefix lockstep_, but those of BLAS in
#     the library that is there for them
#
# Variables: LIBRARIES; NM, OBJDUMP; PROCESSOR; BACKENDS_OF_HIGHWAY, whether they hold them.
cmake_minimum_required(VERSION 3.25)
if(NOT EXISTS "${NM}" OR NOT EXISTS "${OBJDUMP}")
  message(STATUS "skipped: nm or objdump is not installed")
  return()
endif()

# xsimd's NEON is not among them: it is the baseline of AArch64.
set(BACKEND_OBJECTS "^(highway_[a-z0-9_]+|xsimd_(avx2|avx512|sse4))\\.cc\\.o$")
set(PROBLEMS "")
set(WIDE_BACKEND_LINES 0)

# read_lines(lines command...): what the commands (a pipe) print, as a list.
macro(read_lines lines)
  execute_process(${ARGN} OUTPUT_VARIABLE TEXT COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX REPLACE "[][;]" " " TEXT "${TEXT}")
  string(REGEX REPLACE "\n" ";" ${lines} "${TEXT}")
endmacro()

foreach(LIBRARY IN LISTS LIBRARIES)
  # Every object begins with a line "<name>.o:     file format ...".
  read_lines(LINES COMMAND "${OBJDUMP}" -d --no-show-raw-insn "${LIBRARY}"
             COMMAND grep -E "file format|%[yz]mm|[ {]z[0-9]+[.][bhsd]")
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

  read_lines(LINES COMMAND "${OBJDUMP}" -h "${LIBRARY}"
             COMMAND grep -E "file format|[.](init_array|ctors|preinit_array)")
  foreach(LINE IN LISTS LINES)
    if(LINE MATCHES "^([^ ]+\\.o): +file format")
      set(OBJECT "${CMAKE_MATCH_1}")
    elseif(LINE)
      list(APPEND PROBLEMS "${OBJECT}: code that runs at load, section ${LINE}")
    endif()
  endforeach()

  # Lines of nm -A: "<archive>:<object>:<address> <type> <name>"; types W, V and u can be merged. The
  # pointers DW.ref.* to personality routines and types of exceptions are the compiler's own and
  # hold no code.
  read_lines(LINES COMMAND "${NM}" -A -C --defined-only --extern-only "${LIBRARY}")
  foreach(LINE IN LISTS LINES)
    if(NOT LINE MATCHES ":([^:/]+\\.o):[0-9a-f]+ ([A-Za-z]) (.+)$")
      continue()
    endif()
    set(OBJECT "${CMAKE_MATCH_1}")
    set(TYPE "${CMAKE_MATCH_2}")
    set(SYMBOL "${CMAKE_MATCH_3}")
    if(SYMBOL MATCHES "^DW\\.ref\\.")
      continue()
    elseif(LIBRARY MATCHES "_cblas[.]a$" AND SYMBOL MATCHES "^(cblas_)?sgem[mv]_?$")
      continue()
    elseif(TYPE MATCHES "[WVu]")
      if(OBJECT MATCHES "${BACKEND_OBJECTS}")
        list(APPEND PROBLEMS "${OBJECT}: shared symbol ${SYMBOL}")
      endif()
    elseif(NOT SYMBOL MATCHES "^([a-z -]+ (for|to) )?(lockstep::|lockstep_|\\.gomp_critical_user_lockstep_)")
      list(APPEND PROBLEMS "${OBJECT}: foreign name ${SYMBOL}")
    endif()
  endforeach()
endforeach()

if(BACKENDS_OF_HIGHWAY AND PROCESSOR MATCHES "x86_64|AMD64|aarch64|arm64" AND WIDE_BACKEND_LINES EQUAL 0)
  list(APPEND PROBLEMS "no wide instruction in any backend: this test looks at the wrong thing")
endif()
if(PROBLEMS)
  list(JOIN PROBLEMS "\n  " TEXT)
  message(FATAL_ERROR "${LIBRARIES}:\n  ${TEXT}")
endif()
