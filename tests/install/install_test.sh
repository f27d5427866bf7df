#!/bin/sh
# Installs a build into a scratch folder, moves it, and builds and runs programs against it as users
# would. Usage: install_test.sh CASE, one of the functions below that begin with case_.
# Variables: SOURCE and BUILD, the trees of Lockstep; SCRATCH, a folder for all cases; CC, CXX, CMAKE;
# in a cross build TOOLCHAIN, a file for CMake, and EMULATOR, a command that runs programs.
# Exit code 77: skipped.
set -eu
: "${TOOLCHAIN:=}" "${EMULATOR:=}"

skip() { echo "skipped: $*"; exit 77; }
have() { command -v "$1" >/dev/null 2>&1; }
say() { echo "--- $*"; }
must_fail() {
  if "$@" >output 2>&1; then cat output; say "succeeded, but must not: $*"; exit 1; fi
}
must_say() { grep -q -- "$1" output || { cat output; say "does not say: $1"; exit 1; }; }

# One tree with all that was built, one with the static libraries only, one with the shared ones.
case_tree() {
  rm -rf "$SCRATCH" && mkdir -p "$SCRATCH"
  DESTDIR=$SCRATCH/destination "$CMAKE" --install "$BUILD" >/dev/null
  prefix=$(sed -n 's/^CMAKE_INSTALL_PREFIX:PATH=//p' "$BUILD/CMakeCache.txt")
  mv "$SCRATCH/destination$prefix" "$SCRATCH/all"
  rm -r "$SCRATCH/destination"
  if grep -rlI "$BUILD\|$SOURCE" "$SCRATCH/all/lib" "$SCRATCH/all/include"; then
    say "these name a folder of the build"
    exit 1
  fi
  if find "$SCRATCH/all" -name '*.a' | grep -q .; then
    cp -a "$SCRATCH/all" "$SCRATCH/static"
    find "$SCRATCH/static" -name '*.so*' -delete
    find "$SCRATCH/static" -name 'lockstep_shared*.cmake' -delete
  fi
  if find "$SCRATCH/all" -name '*.so' | grep -q .; then
    cp -a "$SCRATCH/all" "$SCRATCH/shared"
    find "$SCRATCH/shared" -name '*.a' -delete
    find "$SCRATCH/shared" -name 'lockstep_static*.cmake' -delete
  fi
  $EMULATOR "$SCRATCH/all/bin/lockstep" --version
}

# against KIND: what follows uses the tree SCRATCH/KIND, in an empty folder of this case.
against() {
  have pkg-config || skip "pkg-config is not installed"
  prefix=$SCRATCH/$1
  [ -d "$prefix" ] || skip "no $1 libraries in this build"
  rm -rf "$SCRATCH/work/$name-$1" && mkdir -p "$SCRATCH/work/$name-$1"
  cd "$SCRATCH/work/$name-$1"
  libdir=$(dirname "$(find "$prefix" -name 'liblockstep_kernels.*' | head -n 1)")
  export PKG_CONFIG_PATH="$libdir/pkgconfig" LD_LIBRARY_PATH="$libdir"
  pc_static=
  [ "$1" != static ] || pc_static=yes
}

# pc MODULE: the flags of a module. Word splitting is wanted where it is used.
pc() { pkg-config --cflags --libs ${pc_static:+--static} "lockstep-$1"; }

try() { say "$*"; "$@"; }

# shellcheck disable=SC2086 # EMULATOR is a command or nothing
run_examples() {
  try $EMULATOR "$1/kernels_cc"
  try $EMULATOR "$1/kernels_c" >output
  must_say 'on .*: 0\.3'
  must_say 'backends that run here:.* reference'
  try $EMULATOR "$1/train" model.safetensors
  try $EMULATOR "$1/classify" model.safetensors 35 32 30 38 27 33 29 34 30 31 36 28
  must_fail $EMULATOR "$1/classify" no-such-file 1
  must_say 'no-such-file'
}

cmake_consumer() {
  against "$1"
  unset LD_LIBRARY_PATH PKG_CONFIG_PATH
  "$CMAKE" -S "$SOURCE/examples" -B build -D CMAKE_PREFIX_PATH="$prefix" \
    -D CMAKE_C_COMPILER="$CC" -D CMAKE_CXX_COMPILER="$CXX" --log-level=NOTICE \
    ${TOOLCHAIN:+-D CMAKE_TOOLCHAIN_FILE="$TOOLCHAIN" -D CMAKE_FIND_ROOT_PATH="$prefix"}
  "$CMAKE" --build build
  run_examples build
}
case_cmake_static() { cmake_consumer static; }
case_cmake_shared() { cmake_consumer shared; }

# find_package with parts of the tree missing, and in a project without C++.
case_cmake_find() {
  against all
  project() {  # project ARGUMENTS LANGUAGES: a project with find_package(ARGUMENTS)
    mkdir -p find
    cat >find/CMakeLists.txt <<END
cmake_minimum_required(VERSION 3.25)
project(find LANGUAGES $2)
find_package(lockstep $1)
foreach(target lockstep::kernels lockstep::rnn)
  get_target_property(options \${target} INTERFACE_COMPILE_OPTIONS)
  if(options)
    message(FATAL_ERROR "\${target} passes compiler flags on to its users: \${options}")
  endif()
endforeach()
get_target_property(type lockstep::kernels TYPE)
message(NOTICE "kind: \${type}")
add_executable(app "$SOURCE/examples/kernels.c")
target_link_libraries(app PRIVATE lockstep::kernels)
END
    rm -rf find/build
  }
  configure() {
    "$CMAKE" -S find -B find/build -D CMAKE_PREFIX_PATH="$prefix" \
      -D CMAKE_C_COMPILER="$CC" -D CMAKE_CXX_COMPILER="$CXX" --log-level=NOTICE "$@"
  }
  project "REQUIRED COMPONENTS kernels nonsense" "C CXX"
  must_fail configure
  must_say nonsense
  project "99 REQUIRED" "C CXX"
  must_fail configure
  must_say 'version "99"'
  project "REQUIRED COMPONENTS static shared" "C CXX"
  must_fail configure
  must_say 'both shared and static'
  # BLAS is a package of its own, which may be missing.
  cp -a "$prefix" without
  rm -f without/lib*/cmake/lockstep/*_cblas*.cmake without/lib*/*/cmake/lockstep/*_cblas*.cmake
  prefix=$PWD/without
  project "REQUIRED COMPONENTS kernels" "C CXX"
  configure
  project "REQUIRED COMPONENTS cblas" "C CXX"
  must_fail configure
  must_say 'component cblas is not installed'

  for kind in static shared; do
    [ -d "$SCRATCH/$kind" ] || continue
    prefix=$SCRATCH/$kind
    project "REQUIRED COMPONENTS $kind" C
    configure 2>output || { cat output; exit 1; }
    must_say "kind: $(echo $kind | tr '[:lower:]' '[:upper:]')_LIBRARY"
    "$CMAKE" --build find/build
    try find/build/app
  done
  if [ -d "$SCRATCH/static" ] && [ -d "$SCRATCH/shared" ]; then
    prefix=$SCRATCH/static
    project "REQUIRED COMPONENTS shared" C
    must_fail configure
    must_say shared
    # Where zlib is missing, the static kernels are found and rnn is not.
    project "REQUIRED COMPONENTS kernels static" "C CXX"
    configure -D CMAKE_DISABLE_FIND_PACKAGE_ZLIB=ON
    if grep -q -e -lz "$libdir/pkgconfig/lockstep-rnn.pc"; then
      project "REQUIRED COMPONENTS rnn static" "C CXX"
      must_fail configure -D CMAKE_DISABLE_FIND_PACKAGE_ZLIB=ON
      must_say ZLIB
    fi
  fi
}

pkg_config_consumer() {
  against "$1"
  # shellcheck disable=SC2046
  {
    try "$CXX" -std=c++20 "$SOURCE/examples/kernels.cc" -o kernels_cc $(pc kernels)
    try "$CC" -std=c99 -pedantic-errors -Wall -Werror "$SOURCE/examples/kernels.c" -o kernels_c \
      $(pc kernels)
    try "$CXX" -std=c++20 "$SOURCE/examples/train.cc" -o train $(pc rnn)
    try "$CC" -std=c99 -pedantic-errors -Wall -Werror "$SOURCE/examples/classify.c" -o classify \
      $(pc rnn)
  }
  run_examples .
}
case_pkg_config_static() { pkg_config_consumer static; }
case_pkg_config_shared() { pkg_config_consumer shared; }

# Programs with an OpenMP of their own, whose threads and forks meet those of Lockstep.
own_threads() {
  against "$1"
  for program in threads fork; do
    # shellcheck disable=SC2046
    try "$CXX" -std=c++20 -fopenmp "$SOURCE/tests/install/$program.cc" -o $program $(pc kernels)
    try ./$program
    try env OMP_NUM_THREADS=3 ./$program
    try env LOCKSTEP_THREADING=std ./$program
  done
  # shellcheck disable=SC2046
  try "$CXX" -std=c++20 "$SOURCE/tests/install/no_threads.cc" -o no_threads $(pc kernels)
  try ./no_threads
  try env LOCKSTEP_THREADING=std ./no_threads
  # Without: -fopenmp gone, its pragmas are comments.
  # shellcheck disable=SC2046
  try "$CXX" -std=c++20 "$SOURCE/tests/install/fork.cc" -o serial_fork $(pc kernels)
  try ./serial_fork
}
case_own_threads_static() { own_threads static; }
case_own_threads_shared() { own_threads shared; }

# The other compiler against this build, with its own OpenMP where that is installed.
find_clang() {
  clang="clang++-19"
  have $clang || clang="clang++"
  have $clang || skip "clang is not installed"
}
clang_consumer() {
  find_clang
  against "$1"
  # shellcheck disable=SC2046,SC2086 # openmp is options or nothing
  {
    try $clang -std=c++20 "$SOURCE/examples/train.cc" -o train $(pc rnn)
    try ./train model.safetensors
    # Its runtime stands before the library's own, so that both use one: it knows GNU's entry points.
    openmp=
    if echo 'int main() {}' | $clang -fopenmp -x c++ - -o /dev/null 2>/dev/null; then
      openmp="-fopenmp -lomp"
    fi
    for program in threads fork; do
      try $clang -std=c++20 $openmp "$SOURCE/tests/install/$program.cc" -o $program $(pc kernels)
      try ./$program
    done
  }
}
case_clang_static() { clang_consumer static; }
case_clang_shared() { clang_consumer shared; }

case_plugin_shared() {
  against shared
  try "$CC" -std=c99 "$SOURCE/tests/install/plugin.c" -o plugin -ldl
  unset LD_LIBRARY_PATH
  try ./plugin "$libdir/liblockstep_kernels.so"
  try ./plugin "$libdir/liblockstep_rnn.so"
}

# A library of the user's that holds the static one and is unloaded.
case_plugin_static() {
  against static
  try "$CC" -std=c99 "$SOURCE/tests/install/plugin.c" -o plugin -ldl
  echo '#include <lockstep/lockstep_kernels.h>' >mine.c
  # shellcheck disable=SC2046
  try "$CC" -shared -fPIC mine.c -o libmine.so -Wl,--whole-archive \
    "$libdir/liblockstep_kernels.a" -Wl,--no-whole-archive $(pc kernels)
  try ./plugin ./libmine.so
}

# Every public header alone, under many warnings, without options for instruction sets.
headers_alone() {
  against all
  warnings="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror"
  for header in $(cd "$prefix/include" && find lockstep* -name '*.h'); do
    printf '#include <%s>\ntypedef int not_empty;\n' "$header" >alone.c
    # shellcheck disable=SC2086
    "$1" -std=c++20 $warnings -I "$prefix/include" -fsyntax-only -x c++ alone.c
    case $header in
      */lockstep*.h | */cblas.h | */export.h | */version.h)
        # shellcheck disable=SC2086
        "$CC" -std=c99 -pedantic-errors $warnings -I "$prefix/include" -fsyntax-only alone.c
        ;;
    esac
  done
}
case_headers_clang() {
  find_clang
  headers_alone $clang
}
# Also, no type may have a layout that depends on options for instruction sets.
case_headers() {
  headers_alone "$CXX"
  # shellcheck disable=SC2046
  "$CXX" -std=c++20 "$SOURCE/tests/install/layouts.cc" -o layouts $(pc kernels)
  ./layouts >layouts.h
  case $(uname -m) in
    x86_64) options="-march=x86-64-v2 -march=x86-64-v3 -march=x86-64-v4" ;;
    aarch64) options="-march=armv8.2-a+sve" ;;
    *) options= ;;
  esac
  for option in $options; do
    "$CXX" -std=c++20 "$option" -D SAME_LAYOUTS -I . -I "$prefix/include" -fsyntax-only \
      "$SOURCE/tests/install/layouts.cc"
  done
}

# block FILE LANGUAGE NUMBER: a block of a page that says how to use the library.
block() {
  awk -v language="$2" -v number="$3" '
    open && /^```/ { open = 0 }
    open { print }
    $0 == "```" language { open = ++count == number }
  ' "$SOURCE/$1"
}

# The blocks of docs/install.md, unchanged. The installed tree is $HOME/lockstep there.
case_readme() {
  against all
  if grep -q '^class .*Model ' "$prefix/include/lockstep/rnn/model.h"; then
    block README.md cpp 1 >readme.cc
    # shellcheck disable=SC2046
    try "$CXX" -std=c++20 readme.cc -o readme $(pc rnn)
    try ./readme >output
    must_say 'accuracy 0.9'
  fi
  unset PKG_CONFIG_PATH LD_LIBRARY_PATH
  HOME=$PWD
  ln -s "$prefix" lockstep
  block docs/install.md cpp 1 >app.cc
  block docs/install.md c 1 >app.c
  block docs/install.md cmake 1 >CMakeLists.txt
  PATH=$(dirname "$CMAKE"):$PATH
  block docs/install.md sh 2 >find_package.sh
  try sh -eux find_package.sh >output
  must_say 'class of the first test sequence'
  block docs/install.md sh 3 >pkg_config.sh
  try sh -eux pkg_config.sh >output
  must_say 'class of the first test sequence'
  must_say 'tanh(1) = 0.76159'
  if [ -f "$libdir/pkgconfig/lockstep-cblas.pc" ]; then
    block docs/install.md c 2 >blas.c
    block docs/install.md sh 4 >blas.sh
    try sh -eux blas.sh >output
    must_say '10 11'
  fi
  if [ -f "$libdir/pkgconfig/lockstep-mpi.pc" ]; then
    block docs/install.md cpp 2 >ranks.cc
    block docs/install.md sh 5 >ranks.sh
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
    try sh -eux ranks.sh >output
    must_say 'accuracy 0.9'
  fi
}

# Each kind of liblockstep_mpi from CMake, and for those who do not ask for it no need of MPI.
mpi_consumer() {
  against "$1"
  [ -f "$libdir/pkgconfig/lockstep-mpi.pc" ] || skip "this build is without MPI"
  unset LD_LIBRARY_PATH PKG_CONFIG_PATH
  block docs/install.md cpp 2 >ranks.cc
  cat >CMakeLists.txt <<END
cmake_minimum_required(VERSION 3.25)
project(ranks LANGUAGES CXX)
find_package(lockstep 0.1 REQUIRED COMPONENTS rnn mpi)
add_executable(ranks ranks.cc)
target_link_libraries(ranks PRIVATE lockstep::mpi)
END
  "$CMAKE" -B build -D CMAKE_PREFIX_PATH="$prefix" -D CMAKE_CXX_COMPILER="$CXX" --log-level=NOTICE
  "$CMAKE" --build build
  # A single rank needs no launcher.
  try build/ranks >output
  must_say 'accuracy 0.9'
  sed 's/ COMPONENTS rnn mpi//; s/lockstep::mpi/lockstep::rnn/' CMakeLists.txt >all && mv all CMakeLists.txt
  echo 'int main() {}' >ranks.cc
  "$CMAKE" -B without -D CMAKE_PREFIX_PATH="$prefix" -D CMAKE_DISABLE_FIND_PACKAGE_MPI=ON \
    -D CMAKE_CXX_COMPILER="$CXX" --log-level=NOTICE
  "$CMAKE" --build without
}
case_mpi_static() { mpi_consumer static; }
case_mpi_shared() { mpi_consumer shared; }

# embedded_in PROGRAM TARGET OPTIONS...: with FetchContent, as in that section, and so with
# add_subdirectory, which it calls. Nothing but the libraries is built, and nothing of them installed.
embedded_in() {
  against all
  {
    echo 'cmake_minimum_required(VERSION 3.25)'
    echo 'project(app LANGUAGES CXX)'
    echo "add_executable(app \"$1\")"
    block docs/install.md cmake 2 | sed "s/lockstep::rnn/lockstep::$2/"
    cat <<END
install(TARGETS app)
foreach(option TESTS BENCH COMMAND INSTALL CBLAS MPI)
  if(LOCKSTEP_\${option})
    message(FATAL_ERROR "LOCKSTEP_\${option} is on")
  endif()
endforeach()
END
  } >CMakeLists.txt
  shift 2
  "$CMAKE" -S . -B build -D FETCHCONTENT_SOURCE_DIR_LOCKSTEP="$SOURCE" \
    -D CMAKE_CXX_COMPILER="$CXX" "$@" --log-level=NOTICE
  "$CMAKE" --build build >output || { cat output; exit 1; }
  try build/app
  "$CMAKE" --install build --prefix installed >/dev/null
  [ "$(find installed -type f)" = installed/bin/app ]
}
# The sources take time to compile, so with everything switched off here, OpenMP too, and with all in
# a longer test.
case_add_subdirectory() {
  embedded_in "$SOURCE/examples/kernels.cc" kernels -D LOCKSTEP_THREADING=std \
    -D LOCKSTEP_HIGHWAY=OFF -D LOCKSTEP_XSIMD=OFF -D LOCKSTEP_RNN=OFF
  ldd build/app >output
  if grep -q gomp output; then say "links OpenMP though that is off"; exit 1; fi
}
case_add_subdirectory_whole() {
  embedded_in "$SOURCE/examples/train.cc" rnn -D BUILD_SHARED_LIBS=ON -D CMAKE_BUILD_TYPE=Release
}

# The packages: their names, what they depend on, and a program built against what is in them.
case_packages() {
  have dpkg-shlibdeps || skip "dpkg-dev is not installed"
  against all
  grep -q 'CPACK_GENERATOR "DEB"' "$BUILD/CPackConfig.cmake" || skip "both kinds of library are needed"
  "${CMAKE%cmake}cpack" --config "$BUILD/CPackConfig.cmake" -B packages >output 2>&1 ||
    { cat output; exit 1; }
  mkdir root
  for package in packages/*.deb; do
    say "$package: $(dpkg-deb --field "$package" Depends)"
    dpkg-deb --extract "$package" root
  done
  field() { dpkg-deb --field packages/"$1"_*.deb Depends >output; }
  field liblockstep-dev
  must_say 'liblockstep0.1 (= '
  must_say zlib1g-dev
  field liblockstep0.1
  must_say libgomp1
  must_say zlib1g
  field lockstep
  must_say libstdc++6
  dpkg-deb --ctrl-tarfile packages/liblockstep0.1_*.deb | tar -xO ./shlibs >output
  must_say 'liblockstep_rnn 0.1 liblockstep0.1 (>= '
  if dpkg-deb --contents packages/lockstep_*.deb | grep -q include; then exit 1; fi
  if [ -f "$libdir/pkgconfig/lockstep-cblas.pc" ]; then
    field liblockstep-cblas0.1
    must_say 'liblockstep0.1 (>= '
    field liblockstep-cblas-dev
    must_say 'liblockstep-cblas0.1 (= .*liblockstep-dev (= '
    for package in liblockstep0.1 liblockstep-dev; do
      if dpkg-deb --contents packages/${package}_*.deb | grep cblas; then exit 1; fi
    done
  fi
  libdir=$(dirname "$(find "$PWD/root" -name 'liblockstep_kernels.so.*' | head -n 1)")
  export PKG_CONFIG_PATH="$libdir/pkgconfig" LD_LIBRARY_PATH="$libdir"
  # shellcheck disable=SC2046
  try "$CXX" -std=c++20 "$SOURCE/examples/train.cc" -o train $(pc rnn)
  try ./train model.safetensors
  try root/usr/bin/lockstep predict model.safetensors --dataset synthetic-control >predictions.csv
}

. "$SOURCE/tests/install/blas_cases.sh"

name=$1
"case_$name"
