# What a shared library shows is what is listed: of the C functions exactly the lines of the file
# LIST, and of C++ too, all of names that are OWN to it. A symbol that goes is an incompatible change;
# one that comes was perhaps not meant to.
#
# Variables: LIBRARY, LIST, NM; OWN, a regular expression. Where a change is meant: cmake -D UPDATE=ON ... writes the list.
cmake_minimum_required(VERSION 3.25)
if(NOT EXISTS "${NM}")
  message(STATUS "skipped: nm is not installed")
  return()
endif()

execute_process(COMMAND "${NM}" -D -C --defined-only "${LIBRARY}"
  OUTPUT_VARIABLE TEXT COMMAND_ERROR_IS_FATAL ANY)
# Brackets and semicolons would be syntax of CMake's lists.
string(REGEX REPLACE "\\[abi:([a-z0-9]+)\\]" "(abi \\1)" TEXT "${TEXT}")
string(REGEX REPLACE "\n" ";" LINES "${TEXT}")
list(TRANSFORM LINES REPLACE "^[0-9a-f]+ [A-Za-z] " "")
list(REMOVE_ITEM LINES "")
list(REMOVE_DUPLICATES LINES)  # constructors come in several kinds
list(SORT LINES)

set(FOREIGN ${LINES})
list(FILTER FOREIGN EXCLUDE REGEX "${OWN}")
if(FOREIGN)
  message(FATAL_ERROR "${LIBRARY} shows names that are not ours: ${FOREIGN}")
endif()

list(JOIN LINES "\n" TEXT)
if(UPDATE)
  file(WRITE "${LIST}" "${TEXT}\n")
endif()
file(STRINGS "${LIST}" LISTED)
set(NEW ${LINES})
list(REMOVE_ITEM NEW ${LISTED})
set(GONE ${LISTED})
list(REMOVE_ITEM GONE ${LINES})
if(NEW OR GONE)
  list(TRANSFORM NEW PREPEND "\n  + ")
  list(TRANSFORM GONE PREPEND "\n  - ")
  list(JOIN NEW "" NEW)
  list(JOIN GONE "" GONE)
  message(FATAL_ERROR "${LIBRARY} does not show what ${LIST} lists:${GONE}${NEW}")
endif()
