# A second set of objects with the other value of every tuning constant (lockstep/detail/tuned.h),
# for the test that compares their results with those of the first. Never installed.

set(LOCKSTEP_ODD_OBJECTS OFF)
if(LOCKSTEP_TESTS AND NOT LOCKSTEP_ODD_TUNING AND NOT LOCKSTEP_SANITIZE
   AND CMAKE_BUILD_TYPE STREQUAL "Release" AND LOCKSTEP_HIGHWAY)
  set(LOCKSTEP_ODD_OBJECTS ON)
endif()

# lockstep_add_odd_objects(name tuned): lockstep_<name>_odd, those sources of lockstep_<name>_objects
# again that `tuned` matches after src/, and the backends; the others must not see tuning.h. To be
# called in the folder of the sources, after all of them are known.
#
# To save time, the backends are only Highway's, and SSE4 stands for SSSE3 and SSE2.
function(lockstep_add_odd_objects name tuned)
  if(NOT LOCKSTEP_ODD_OBJECTS)
    return()
  endif()
  set(objects lockstep_${name}_objects)
  set(odd lockstep_${name}_odd)
  add_library(${odd} OBJECT)
  foreach(property COMPILE_DEFINITIONS INCLUDE_DIRECTORIES LINK_LIBRARIES)
    get_target_property(value ${objects} ${property})
    list(FILTER value EXCLUDE REGEX "HAVE_XSIMD")
    if(value)
      set_target_properties(${odd} PROPERTIES ${property} "${value}")
    endif()
  endforeach()
  get_target_property(sources ${objects} SOURCES)
  foreach(source IN LISTS sources)
    if(source MATCHES "^src/(${tuned})" OR source MATCHES "/highway_[a-z0-9_]+[.]cc$")
      target_sources(${odd} PRIVATE "${source}")
    elseif(source MATCHES "^src/")
      file(STRINGS "${source}" include REGEX "\"(backends|dispatch|gemm/.*|microkernels|tuning)[.]h\"")
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${source}")
      if(include)
        message(FATAL_ERROR "${source} must be compiled with the other tuning too: ${include}")
      endif()
    endif()
  endforeach()
  set(shared "$<FILTER:$<TARGET_OBJECTS:${objects}>,INCLUDE,_objects[.]dir/([.]/)?src/>")
  set_target_properties(${odd} PROPERTIES LOCKSTEP_COMPILE_QUICKLY ON
    LOCKSTEP_SHARED_OBJECTS "$<FILTER:${shared},EXCLUDE,[.]dir/([.]/)?src/(${tuned})>")
  target_include_directories(${odd} SYSTEM PRIVATE
    ${LOCKSTEP_HIGHWAY_INCLUDE} ${LOCKSTEP_XSIMD_INCLUDE})
  target_compile_definitions(${odd} PRIVATE LOCKSTEP_ODD_TUNING=1 LOCKSTEP_FEW_TARGETS=1)
endfunction()

# lockstep_add_odd_executable(name sources...): a program on these objects.
function(lockstep_add_odd_executable name)
  add_executable(${name} ${ARGN})
  foreach(library kernels rnn)
    get_target_property(libraries lockstep_${library}_objects LINK_LIBRARIES)
    list(FILTER libraries EXCLUDE REGEX "^lockstep_.*_objects$")
    get_target_property(folder lockstep_${library}_objects SOURCE_DIR)
    target_include_directories(${name} PRIVATE "${folder}/include")
    get_target_property(shared_objects lockstep_${library}_odd LOCKSTEP_SHARED_OBJECTS)
    target_link_libraries(${name} PRIVATE
      $<TARGET_OBJECTS:lockstep_${library}_odd> ${shared_objects} ${libraries})
    add_dependencies(${name} lockstep_${library}_objects)
  endforeach()
endfunction()
