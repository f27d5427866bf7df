# Installs the build tree BUILD_DIR into a scratch folder, moves the installed tree, then builds and
# runs the consumer against it and runs the installed command, in a cross build by EMULATOR.
function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE "${SCRATCH_DIR}")
run("${CMAKE_COMMAND}" --install "${BUILD_DIR}" --prefix "${SCRATCH_DIR}/installed")
file(RENAME "${SCRATCH_DIR}/installed" "${SCRATCH_DIR}/moved")

run("${CMAKE_COMMAND}" -G "${GENERATOR}" -S "${CMAKE_CURRENT_LIST_DIR}/consumer"
    -B "${SCRATCH_DIR}/consumer" "-DCMAKE_CXX_COMPILER=${COMPILER}"
    "-DCMAKE_TOOLCHAIN_FILE=${TOOLCHAIN_FILE}" "-DCMAKE_FIND_ROOT_PATH=${SCRATCH_DIR}/moved"
    "-DCMAKE_PREFIX_PATH=${SCRATCH_DIR}/moved" -DCMAKE_BUILD_TYPE=Release)
run("${CMAKE_COMMAND}" --build "${SCRATCH_DIR}/consumer")
run(${EMULATOR} "${SCRATCH_DIR}/consumer/consumer")
run(${EMULATOR} "${SCRATCH_DIR}/moved/bin/lockstep" --version)
