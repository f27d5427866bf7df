# Installs libraries, headers and command, with the packages for find_package(lockstep) and for
# pkg-config. Nothing in them names the prefix, so that an installed tree can be moved.
include(CMakePackageConfigHelpers)

set(LOCKSTEP_CONFIG_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/lockstep")

# lockstep_install_package(suffix libraries...): the libraries of one package, with an export set for
# each kind; in both, the targets are lockstep::<library>.
function(lockstep_install_package suffix)
  foreach(kind ${LOCKSTEP_LIBRARY_KINDS})
    set(export lockstep_${kind}${suffix})
    foreach(library ${ARGN})
      # Shared libraries find each other by where they are.
      set_target_properties(lockstep_${library}_${kind} PROPERTIES INSTALL_RPATH "$ORIGIN")
      install(TARGETS lockstep_${library}_${kind} EXPORT ${export}
        ARCHIVE COMPONENT development${suffix}
        LIBRARY COMPONENT libraries${suffix} NAMELINK_COMPONENT development${suffix})
    endforeach()
    install(EXPORT ${export} NAMESPACE lockstep:: FILE ${export}.cmake
      DESTINATION "${LOCKSTEP_CONFIG_DIR}" COMPONENT development${suffix})
  endforeach()
  foreach(library ${ARGN})
    get_target_property(folder lockstep_${library}_objects SOURCE_DIR)
    install(DIRECTORY ${folder}/include/ DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
      COMPONENT development${suffix} FILES_MATCHING PATTERN "*.h" PATTERN detail EXCLUDE)
    configure_file(cmake/lockstep-${library}.pc.in lockstep-${library}.pc @ONLY)
    install(FILES "${PROJECT_BINARY_DIR}/lockstep-${library}.pc"
            DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT development${suffix})
  endforeach()
endfunction()

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

file(RELATIVE_PATH LOCKSTEP_LIB_TO_INCLUDE
     "${CMAKE_INSTALL_FULL_LIBDIR}" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
set(LOCKSTEP_COMPONENTS kernels)
if(LOCKSTEP_RNN)
  list(APPEND LOCKSTEP_COMPONENTS rnn)
endif()
lockstep_install_package("" ${LOCKSTEP_COMPONENTS})
# Whoever has it has the package above too.
if(LOCKSTEP_CBLAS)
  lockstep_install_package(_cblas cblas)
endif()

if(TARGET lockstep_mpi_objects)
  set(LOCKSTEP_MPI_LIBRARIES ${MPI_CXX_LIBRARIES})
  list(JOIN LOCKSTEP_MPI_LIBRARIES " " LOCKSTEP_MPI_LIBRARIES)
  lockstep_install_package(_mpi mpi)
endif()
if(TARGET lockstep_mpi_command)
  install(TARGETS lockstep_mpi_command COMPONENT command_mpi)
endif()

configure_package_config_file(cmake/lockstepConfig.cmake.in lockstepConfig.cmake
  INSTALL_DESTINATION "${LOCKSTEP_CONFIG_DIR}" NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor release may change the interface.
write_basic_package_version_file(lockstepConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/lockstepConfig.cmake"
              "${PROJECT_BINARY_DIR}/lockstepConfigVersion.cmake"
        DESTINATION "${LOCKSTEP_CONFIG_DIR}" COMPONENT development)
