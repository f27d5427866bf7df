# Debian packages: `cpack` in a build folder, or ./dev package. The soname is a part of the library
# package's name, so that two versions can be installed side by side.
set(version "${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}")
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME lockstep)
set(CPACK_PACKAGE_VENDOR "Lockstep")
set(CPACK_PACKAGE_CONTACT "The Lockstep authors")
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
# What each links to is found by dpkg-shlibdeps; the libraries link to each other within a package.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${PROJECT_BINARY_DIR}/kernels")
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
# What is linked to one patch version runs with the next.
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")

# Each has a line of its own: without this, that of the project stands above it.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(about "GEMM, tanh, exp and softmax that are chosen at run time for the CPU at hand,
and training and prediction of recurrent classifiers with the same bits for
any number of threads.")
set(CPACK_COMPONENT_LIBRARIES_DESCRIPTION
    "SIMD compute kernels and trainer of recurrent networks - shared libraries\n${about}")
set(CPACK_DEBIAN_LIBRARIES_PACKAGE_NAME liblockstep${version})
set(CPACK_DEBIAN_LIBRARIES_PACKAGE_SECTION libs)

set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION
    "SIMD compute kernels and trainer of recurrent networks - development files\n${about}
Headers, static libraries, and what CMake and pkg-config need to find them.")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME liblockstep-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "liblockstep${version} (= ${PROJECT_VERSION})")
if(ZLIB_FOUND)
  string(APPEND CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS ", zlib1g-dev")
endif()

set(CPACK_COMPONENT_COMMAND_DESCRIPTION
    "train recurrent networks on sequences from the command line\n${about}
The command reads .ts, .tsv, .npz and .csv files, trains, evaluates and predicts.")
set(CPACK_DEBIAN_COMMAND_PACKAGE_NAME lockstep)
set(CPACK_DEBIAN_COMMAND_PACKAGE_SECTION science)

set(components LIBRARIES DEVELOPMENT COMMAND)
if(LOCKSTEP_CBLAS)
  list(APPEND components LIBRARIES_CBLAS DEVELOPMENT_CBLAS)
  set(about "sgemm and sgemv as Fortran and C call them, in row and column order, for programs
that are linked to it or run with it preloaded: the same bits for any number
of threads and on every CPU with fused multiply-add.")
  set(CPACK_COMPONENT_LIBRARIES_CBLAS_DESCRIPTION
      "Lockstep's matrix products under their BLAS names - shared library\n${about}")
  set(CPACK_DEBIAN_LIBRARIES_CBLAS_PACKAGE_NAME liblockstep-cblas${version})
  set(CPACK_DEBIAN_LIBRARIES_CBLAS_PACKAGE_SECTION libs)
  set(CPACK_DEBIAN_LIBRARIES_CBLAS_PACKAGE_DEPENDS "liblockstep${version} (>= ${PROJECT_VERSION})")
  set(CPACK_COMPONENT_DEVELOPMENT_CBLAS_DESCRIPTION
      "Lockstep's matrix products under their BLAS names - development files\n${about}
Header, static library, and what CMake and pkg-config need to find them.")
  set(CPACK_DEBIAN_DEVELOPMENT_CBLAS_PACKAGE_NAME liblockstep-cblas-dev)
  set(CPACK_DEBIAN_DEVELOPMENT_CBLAS_PACKAGE_SECTION libdevel)
  set(CPACK_DEBIAN_DEVELOPMENT_CBLAS_PACKAGE_DEPENDS
      "liblockstep-cblas${version} (= ${PROJECT_VERSION}), liblockstep-dev (= ${PROJECT_VERSION})")
endif()

if(TARGET lockstep_mpi_command)
  list(APPEND components LIBRARIES_MPI DEVELOPMENT_MPI COMMAND_MPI)
  set(about "One training on several processes and machines, to the same bits on any number of
them, over MPI.")
  set(CPACK_COMPONENT_LIBRARIES_MPI_DESCRIPTION "Lockstep's trainer over MPI - shared library\n${about}")
  set(CPACK_DEBIAN_LIBRARIES_MPI_PACKAGE_NAME liblockstep-mpi${version})
  set(CPACK_DEBIAN_LIBRARIES_MPI_PACKAGE_SECTION libs)
  set(CPACK_DEBIAN_LIBRARIES_MPI_PACKAGE_DEPENDS "liblockstep${version} (>= ${PROJECT_VERSION})")
  set(CPACK_COMPONENT_DEVELOPMENT_MPI_DESCRIPTION "Lockstep's trainer over MPI - development files\n${about}
Header, static library, and what CMake and pkg-config need to find them.")
  set(CPACK_DEBIAN_DEVELOPMENT_MPI_PACKAGE_NAME liblockstep-mpi-dev)
  set(CPACK_DEBIAN_DEVELOPMENT_MPI_PACKAGE_SECTION libdevel)
  set(CPACK_DEBIAN_DEVELOPMENT_MPI_PACKAGE_DEPENDS
      "liblockstep-mpi${version} (= ${PROJECT_VERSION}), liblockstep-dev (= ${PROJECT_VERSION})")
  set(CPACK_COMPONENT_COMMAND_MPI_DESCRIPTION "train recurrent networks on several machines\n${about}
The command is that of the package lockstep, for mpirun and srun.")
  set(CPACK_DEBIAN_COMMAND_MPI_PACKAGE_NAME lockstep-mpi)
  set(CPACK_DEBIAN_COMMAND_MPI_PACKAGE_SECTION science)
endif()

foreach(component ${components})
  string(TOLOWER ${component} name)
  install(FILES LICENSE RENAME copyright COMPONENT ${name}
    DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}/doc/${CPACK_DEBIAN_${component}_PACKAGE_NAME}")
endforeach()
string(TOLOWER "${components}" CPACK_COMPONENTS_ALL)
include(CPack)
