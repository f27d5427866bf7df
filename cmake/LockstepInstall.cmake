# Installs libraries, headers and command, and the package for find_package(lockstep).
include(CMakePackageConfigHelpers)

set(LOCKSTEP_LIBRARIES lockstep_kernels)
set(LOCKSTEP_HEADERS kernels/include/)
if(LOCKSTEP_RNN)
  list(APPEND LOCKSTEP_LIBRARIES lockstep_rnn)
  list(APPEND LOCKSTEP_HEADERS rnn/include/)
endif()
set(LOCKSTEP_CONFIG_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/lockstep")

# Shared libraries are found next to each other, so that an installed tree can be moved.
file(RELATIVE_PATH LOCKSTEP_BIN_TO_LIB "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}")
set_target_properties(${LOCKSTEP_LIBRARIES} PROPERTIES INSTALL_RPATH "$ORIGIN")
install(TARGETS ${LOCKSTEP_LIBRARIES} EXPORT lockstepTargets)
install(DIRECTORY ${LOCKSTEP_HEADERS} DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.h")
if(LOCKSTEP_COMMAND)
  set_target_properties(lockstep PROPERTIES INSTALL_RPATH "$ORIGIN/${LOCKSTEP_BIN_TO_LIB}")
  install(TARGETS lockstep)
endif()

install(EXPORT lockstepTargets NAMESPACE lockstep:: DESTINATION "${LOCKSTEP_CONFIG_DIR}")
configure_package_config_file(cmake/lockstepConfig.cmake.in lockstepConfig.cmake
  INSTALL_DESTINATION "${LOCKSTEP_CONFIG_DIR}" NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor release may change the interface.
write_basic_package_version_file(lockstepConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/lockstepConfig.cmake"
              "${PROJECT_BINARY_DIR}/lockstepConfigVersion.cmake"
        DESTINATION "${LOCKSTEP_CONFIG_DIR}")
