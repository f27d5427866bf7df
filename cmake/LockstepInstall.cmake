# Installs libraries, headers and command, with the packages for find_package(lockstep) and for
# pkg-config. Nothing in them names the prefix, so that an installed tree can be moved.
include(CMakePackageConfigHelpers)

set(LOCKSTEP_COMPONENTS kernels)
if(LOCKSTEP_RNN)
  list(APPEND LOCKSTEP_COMPONENTS rnn)
endif()
set(LOCKSTEP_CONFIG_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/lockstep")

# One export set for each kind; in both, the targets are lockstep::kernels and lockstep::rnn.
foreach(kind ${LOCKSTEP_LIBRARY_KINDS})
  foreach(component ${LOCKSTEP_COMPONENTS})
    # Shared libraries find each other by where they are.
    set_target_properties(lockstep_${component}_${kind} PROPERTIES INSTALL_RPATH "$ORIGIN")
    install(TARGETS lockstep_${component}_${kind} EXPORT lockstep_${kind}
      ARCHIVE COMPONENT development
      LIBRARY COMPONENT libraries NAMELINK_COMPONENT development)
  endforeach()
  install(EXPORT lockstep_${kind} NAMESPACE lockstep:: FILE lockstep_${kind}.cmake
    DESTINATION "${LOCKSTEP_CONFIG_DIR}" COMPONENT development)
endforeach()
foreach(component ${LOCKSTEP_COMPONENTS})
  install(DIRECTORY ${component}/include/ DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
    COMPONENT development FILES_MATCHING PATTERN "*.h" PATTERN detail EXCLUDE)
endforeach()
if(LOCKSTEP_COMMAND)
  install(TARGETS lockstep COMPONENT command)
endif()

# What the static libraries leave to the program, as linkers name it: the C++ library, for programs
# in C, the OpenMP of the compiler that built them, and threads.
set(LOCKSTEP_CXX_LIBRARIES ${CMAKE_CXX_IMPLICIT_LINK_LIBRARIES})
list(FILTER LOCKSTEP_CXX_LIBRARIES INCLUDE REGEX "^(stdc\\+\\+|c\\+\\+|m)$")
list(REMOVE_DUPLICATES LOCKSTEP_CXX_LIBRARIES)
if(static IN_LIST LOCKSTEP_LIBRARY_KINDS)
  set(LOCKSTEP_PRIVATE_LIBRARIES ${LOCKSTEP_CXX_LIBRARIES})
  if(LOCKSTEP_THREADING STREQUAL openmp)
    list(PREPEND LOCKSTEP_PRIVATE_LIBRARIES ${OpenMP_CXX_LIB_NAMES})
  endif()
  list(TRANSFORM LOCKSTEP_PRIVATE_LIBRARIES PREPEND "-l")
  list(APPEND LOCKSTEP_PRIVATE_LIBRARIES -pthread)
  list(JOIN LOCKSTEP_PRIVATE_LIBRARIES " " LOCKSTEP_PRIVATE_LIBRARIES)
  if(ZLIB_FOUND)
    # By name: with zlib.pc in Requires.private, programs that link the shared library would need it.
    set(LOCKSTEP_PRIVATE_ZLIB -lz)
  endif()
endif()

configure_package_config_file(cmake/lockstepConfig.cmake.in lockstepConfig.cmake
  INSTALL_DESTINATION "${LOCKSTEP_CONFIG_DIR}" NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor release may change the interface.
write_basic_package_version_file(lockstepConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/lockstepConfig.cmake"
              "${PROJECT_BINARY_DIR}/lockstepConfigVersion.cmake"
        DESTINATION "${LOCKSTEP_CONFIG_DIR}" COMPONENT development)

file(RELATIVE_PATH LOCKSTEP_LIB_TO_INCLUDE
     "${CMAKE_INSTALL_FULL_LIBDIR}" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
foreach(component ${LOCKSTEP_COMPONENTS})
  configure_file(cmake/lockstep-${component}.pc.in lockstep-${component}.pc @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/lockstep-${component}.pc"
          DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT development)
endforeach()
