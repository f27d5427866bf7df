# The flags that every Lockstep target has, in one place.
#
# -ffp-contract=off: a compiler may not fuse a*b+c behind our back; where a fused multiply-add is
#   part of a kernel's definition the kernel calls it by name.
# -fno-math-errno, -fno-trapping-math: no results change, but loops vectorise.
add_library(lockstep_flags INTERFACE)
target_compile_features(lockstep_flags INTERFACE cxx_std_20)
target_compile_options(lockstep_flags INTERFACE
  -ffp-contract=off -fno-math-errno -fno-trapping-math
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wno-psabi
  # g++ 12 warns of std::string's own operator+ (GCC bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<BOOL:${LOCKSTEP_WERROR}>:-Werror>)
target_compile_definitions(lockstep_flags INTERFACE
  $<$<BOOL:${LOCKSTEP_ODD_TUNING}>:LOCKSTEP_ODD_TUNING=1>)
if(LOCKSTEP_SANITIZE)
  target_compile_options(lockstep_flags INTERFACE -fsanitize=${LOCKSTEP_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(lockstep_flags INTERFACE -fsanitize=${LOCKSTEP_SANITIZE})
endif()

# The kinds of library to make. BUILD_SHARED_LIBS names one; where it is not set a build of Lockstep
# alone makes both, from the same objects.
set(LOCKSTEP_LIBRARY_KINDS static)
if(BUILD_SHARED_LIBS)
  set(LOCKSTEP_LIBRARY_KINDS shared)
elseif(PROJECT_IS_TOP_LEVEL AND NOT DEFINED BUILD_SHARED_LIBS)
  set(LOCKSTEP_LIBRARY_KINDS static shared)
endif()

# lockstep_add_library(name sources...): the targets
#   lockstep_<name>_objects          the sources, compiled once; all but what is LOCKSTEP_API is hidden
#   lockstep_<name>_static, _shared  the libraries made of them
#   lockstep::<name>                 the first of these, for projects that add this one
#   lockstep_<name>_internal         the objects and the private headers, for programs of this project
function(lockstep_add_library name)
  set(objects lockstep_${name}_objects)
  add_library(${objects} OBJECT ${ARGN})
  set_target_properties(${objects} PROPERTIES
    POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_link_libraries(${objects} PRIVATE lockstep_flags)
  target_include_directories(${objects} PUBLIC include PRIVATE src)

  add_library(lockstep_${name}_internal INTERFACE)
  target_link_libraries(lockstep_${name}_internal INTERFACE ${objects} $<TARGET_OBJECTS:${objects}>)
  target_include_directories(lockstep_${name}_internal INTERFACE src)

  foreach(kind ${LOCKSTEP_LIBRARY_KINDS})
    set(library lockstep_${name}_${kind})
    string(TOUPPER ${kind} type)
    add_library(${library} ${type} $<TARGET_OBJECTS:${objects}>)
    set_target_properties(${library} PROPERTIES
      OUTPUT_NAME lockstep_${name} EXPORT_NAME ${name} LINKER_LANGUAGE CXX
      VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
    target_compile_features(${library} INTERFACE cxx_std_20)
    target_include_directories(${library} INTERFACE
      $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
      $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    if(kind STREQUAL shared)
      # Inline functions of the standard library are visible whatever we ask the compiler for.
      set(map "${CMAKE_CURRENT_SOURCE_DIR}/exported.map")
      if(NOT EXISTS "${map}")
        set(map "${PROJECT_SOURCE_DIR}/cmake/exported.map")
      endif()
      target_link_options(${library} PRIVATE "LINKER:--version-script=${map}" LINKER:-z,nodelete)
      set_target_properties(${library} PROPERTIES LINK_DEPENDS "${map}")
    endif()
    if(LOCKSTEP_SANITIZE)
      target_link_options(${library} PRIVATE -fsanitize=${LOCKSTEP_SANITIZE})
    endif()
  endforeach()
  list(GET LOCKSTEP_LIBRARY_KINDS 0 kind)
  add_library(lockstep::${name} ALIAS lockstep_${name}_${kind})
endfunction()

# lockstep_link_privately(name items...): libraries that the sources use and headers do not show.
function(lockstep_link_privately name)
  foreach(kind objects ${LOCKSTEP_LIBRARY_KINDS})
    target_link_libraries(lockstep_${name}_${kind} PRIVATE ${ARGN})
  endforeach()
  foreach(item ${ARGN})
    target_link_libraries(lockstep_${name}_internal INTERFACE $<LINK_ONLY:${item}>)
  endforeach()
endfunction()

# lockstep_link_library(name scope other): the library <name> builds on <other>, PRIVATE where its
# headers do not show it, or PUBLIC.
function(lockstep_link_library name scope other)
  foreach(kind objects ${LOCKSTEP_LIBRARY_KINDS})
    target_link_libraries(lockstep_${name}_${kind} ${scope} lockstep_${other}_${kind})
  endforeach()
  target_link_libraries(lockstep_${name}_internal INTERFACE lockstep_${other}_internal)
endfunction()
