# What `ctest -C isas` adds on x86-64: the suites on every backend, and on CPUs that have less than
# this one. (The whole trainings of accuracy_test are left out: they run no other code.) Single test
# cases may be skipped, with which the tests end with 77.

# Everything that takes the default backend takes the one named here.
foreach(backend highway/avx3 xsimd/avx512 highway/avx2 xsimd/avx2 highway/sse4 xsimd/sse4
    highway/ssse3 highway/sse2 reference)
  set(name "suites on ${backend}")
  # The command says whether it can be had at all, where scopes in the suites would end in an abort,
  # which counts as a failure.
  add_test(NAME ${name} CONFIGURATIONS isas
    COMMAND sh -c "\"$0\" info && { \"$@\" || [ $? = 77 ]; }"
      $<TARGET_FILE:lockstep> $<TARGET_FILE:lockstep_tests> --warn NoAssertions --filenames-as-tags
      "~[exhaustive]~[#accuracy_test]")
  set_tests_properties(${name} PROPERTIES
    ENVIRONMENT LOCKSTEP_BACKEND=${backend}
    SKIP_REGULAR_EXPRESSION "\"${backend}\" (is not in this build|needs instructions that this CPU)")
endforeach()

# lockstep_add_cpu(model backend): that qemu's model of a CPU chooses this backend, and that all it
# can run work there. A missing qemu-x86_64 is a failure.
function(lockstep_add_cpu model backend)
  add_test(NAME "choice on ${model}" CONFIGURATIONS isas
    COMMAND qemu-x86_64 -cpu ${model} $<TARGET_FILE:lockstep> info)
  set_tests_properties("choice on ${model}" PROPERTIES
    PASS_REGULAR_EXPRESSION "\n  (${backend}) +[0-9]+ lanes? +(not )?fused +active")
  add_test(NAME "kernels on ${model}" CONFIGURATIONS isas
    COMMAND sh -c "\"$@\" || [ $? = 77 ]" tests
      qemu-x86_64 -cpu ${model} $<TARGET_FILE:lockstep_tests> --warn NoAssertions --filenames-as-tags
      "[#elementwise_test],[#softmax_test],[#packed_gemm_test],[#portable_bits_test],[#golden_test]")
  set_tests_properties("kernels on ${model}" PROPERTIES
    FAIL_REGULAR_EXPRESSION "No test cases matched")
endfunction()

if(LOCKSTEP_HIGHWAY)
  lockstep_add_cpu(qemu64 "highway/sse2|reference")  # the baseline; Highway 1.0 has nothing for it
  lockstep_add_cpu(Nehalem highway/ssse3)            # SSE4.2 without AES
  lockstep_add_cpu(Westmere highway/sse4)
  lockstep_add_cpu(SandyBridge highway/sse4)         # AVX without AVX2
  lockstep_add_cpu(Haswell highway/avx2)
  lockstep_add_cpu(Haswell,-fma highway/sse4)        # each flag counts by itself
  lockstep_add_cpu(Haswell,-xsave highway/sse4)      # registers that no system saves
endif()
