# Cases of install_test.sh: programs that speak BLAS, linked to liblockstep_cblas and with it preloaded.
# shellcheck shell=sh disable=SC2154 # prefix and libdir are those of `against`

against_blas() {
  against "$1"
  [ -f "$libdir/pkgconfig/lockstep-cblas.pc" ] || skip "this build is without BLAS"
  cblas=$libdir/liblockstep_cblas.so
}

# says_only TEXT: what a program wrote to the file output, where `try` writes too.
says_only() {
  [ "$(grep -v '^---' output)" = "$1" ] || { cat output; say "does not say only: $1"; exit 1; }
}

# with_cblas COMMAND...: with the library preloaded, found by its path alone.
with_cblas() { env -u LD_LIBRARY_PATH LD_PRELOAD="$cblas" "$@"; }

# A choice that only Lockstep knows shows that a program calls it.
calls_lockstep() {
  (export LOCKSTEP_BACKEND=no-such && must_fail "$@")
  must_say 'lockstep: .*no-such'
}

both_products='4 5 10 11
4 5 10 11
end'

blas_linked() {
  against_blas "$1"
  strict="-pedantic-errors -Wall -Wextra -Werror $SOURCE/tests/install/blas.c"
  # shellcheck disable=SC2046,SC2086
  {
    try "$CC" -std=c99 $strict -o program $(pc cblas)
    try "$CC" -std=c99 -D HANDLERS $strict -o handlers $(pc cblas)
    try "$CXX" -std=c++11 -x c++ $strict -x none -o program_cc $(pc cblas)
  }
  # A project in C alone.
  mkdir find
  cat >find/CMakeLists.txt <<END
cmake_minimum_required(VERSION 3.25)
project(find LANGUAGES C)
find_package(lockstep REQUIRED COMPONENTS cblas $1)
add_executable(program "$SOURCE/tests/install/blas.c")
target_link_libraries(program PRIVATE lockstep::cblas)
END
  "$CMAKE" -S find -B find/build -D CMAKE_PREFIX_PATH="$prefix" -D CMAKE_C_COMPILER="$CC" \
    --log-level=NOTICE
  "$CMAKE" --build find/build
  for program in program program_cc handlers find/build/program; do
    try ./$program product >output
    says_only "$both_products"
  done
  # By default the program goes on.
  ./program c >output 2>&1
  says_only 'Parameter 9 to routine cblas_sgemm was incorrect
end'
  ./program fortran >output 2>&1
  says_only ' ** On entry to SGEMM parameter number 10 had an illegal value
end'
  handlers_win
  # shellcheck disable=SC2046,SC2086
  {
    try "$CC" -std=c99 -D LOADS $strict -o loads $(pc cblas) -ldl
    try "$CC" -std=c99 -shared -fPIC -I "$prefix/include/lockstep-cblas" \
      "$SOURCE/tests/install/other_blas.c" -o libother.so
  }
  later_handlers_win
  calls_lockstep ./program product
}
case_blas_shared() { blas_linked shared; }
case_blas_static() { blas_linked static; }

# A BLAS that is loaded after Lockstep, for all to see or for itself.
later_handlers_win() {
  try ./loads c global ./libother.so >output
  says_only 'other cblas_xerbla: cblas_sgemm 9
end'
  try ./loads fortran global ./libother.so >output
  says_only 'other xerbla_: SGEMM  10
end'
  ./loads c local ./libother.so >output 2>&1
  says_only 'Parameter 9 to routine cblas_sgemm was incorrect
end'
  ./loads fortran local ./libother.so >output 2>&1
  says_only ' ** On entry to SGEMM parameter number 10 had an illegal value
end'
}

# handlers_win [COMMAND...]: those of the program "handlers", after which it goes on.
handlers_win() {
  try "$@" ./handlers c >output
  says_only 'own cblas_xerbla: cblas_sgemm 9
end'
  try "$@" ./handlers fortran >output
  says_only 'own xerbla_: SGEMM  10
end'
}

# A program that is linked to another BLAS.
case_blas_preload() {
  against_blas shared
  flags="-std=c99 -Wall -I $prefix/include/lockstep-cblas"
  here=$SOURCE/tests/install
  # shellcheck disable=SC2086
  {
    try "$CC" $flags -shared -fPIC "$here/other_blas.c" -o libother.so
    try "$CC" $flags -D OTHER_BLAS "$here/blas.c" -o program -L. -lother -Wl,-rpath,"$PWD"
    try "$CC" $flags -D OTHER_BLAS -D HANDLERS "$here/blas.c" -o handlers -L. -lother \
      -Wl,-rpath,"$PWD"
  }
  try ./program product >output
  must_say 'other cblas_sgemm'
  try with_cblas ./program product >output
  says_only "$both_products"
  calls_lockstep with_cblas ./program product
  # Errors go where they went before, those of other functions too.
  try with_cblas ./program c >output
  says_only 'other cblas_xerbla: cblas_sgemm 9
end'
  try with_cblas ./program fortran >output
  says_only 'other xerbla_: SGEMM  10
end'
  try with_cblas ./program other >output
  says_only 'other xerbla_: SSCAL  1
end'
  handlers_win with_cblas
}

# netlib's testers of levels 2 and 3, by Fortran and by C, as Debian builds them.
case_blas_netlib() {
  against_blas shared
  testers=$(dirname "$(find /usr/lib/*/blas -name xblat3s 2>/dev/null | head -n 1)")
  [ -x "$testers/xscblat3" ] || skip "libblas-test is not installed"
  [ -f "$testers/libblas.so.3" ] || skip "libblas3, netlib's BLAS, is not installed"
  # It has what the testers use beside functions of BLAS.
  tester() { env LD_LIBRARY_PATH="$testers" LD_PRELOAD="$cblas" "$testers/$1" <"$testers/$2"; }
  passed() { must_say " $1  *PASSED THE TESTS OF ERROR-EXITS" && must_say " $1  *PASSED THE $2"; }
  tester xblat3s sblat3.in && cat sblat3.out >output
  passed SGEMM 'COMPUTATIONAL TESTS'
  tester xblat2s sblat2.in && cat sblat2.out >output
  passed SGEMV 'COMPUTATIONAL TESTS'
  tester xscblat3 sin3 >output
  passed cblas_sgemm 'COLUMN-MAJOR COMPUTATIONAL TESTS'
  passed cblas_sgemm 'ROW-MAJOR  *COMPUTATIONAL TESTS'
  tester xscblat2 sin2 >output
  passed cblas_sgemv 'COLUMN-MAJOR COMPUTATIONAL TESTS'
  passed cblas_sgemv 'ROW-MAJOR  *COMPUTATIONAL TESTS'
  for name in 'xblat3s sblat3.in' 'xblat2s sblat2.in' 'xscblat3 sin3' 'xscblat2 sin2'; do
    # shellcheck disable=SC2086
    calls_lockstep tester $name
  done
}

case_blas_numpy() {
  against_blas shared
  python=/usr/bin/python3  # one that is not of the system brings a BLAS of its own
  [ -x $python ] || skip "python3 is not installed"
  program="$python -B $SOURCE/tests/install/numpy_products.py $libdir/liblockstep_kernels.so"
  # shellcheck disable=SC2086
  {
    try with_cblas $program
    calls_lockstep with_cblas $program
  }
}

# Eigen, built against it, for its products alone and no other BLAS.
case_blas_eigen() {
  against_blas shared
  pkg-config --exists eigen3 || skip "libeigen3-dev is not installed"
  # shellcheck disable=SC2046
  try "$CXX" -std=c++17 -O2 "$SOURCE/tests/install/eigen.cc" -o eigen $(pc cblas) \
    $(pkg-config --cflags eigen3)
  try ./eigen
  calls_lockstep ./eigen
}
