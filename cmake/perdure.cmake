# SPDX-License-Identifier: Apache-2.0
#
# The shapes of target in this tree: a room, a plugin and its objects for an instruction set, a test. Sources are whatever lies in the folder.

# All *.cpp of the current folder and of the named folders below it.
macro(perdure_sources result)
  set(_patterns *.cpp)
  foreach(_folder ${ARGN})
    list(APPEND _patterns ${_folder}/*.cpp)
  endforeach()
  file(GLOB ${result} CONFIGURE_DEPENDS ${_patterns})
endmacro()

# perdure_room(model FOLDERS formats LINKS perdure_graph): the static library perdure_<room> from the current folder and
# the named folders below it.
function(perdure_room name)
  cmake_parse_arguments(ROOM "" "" "FOLDERS;LINKS" ${ARGN})
  perdure_sources(sources ${ROOM_FOLDERS})
  if(NOT sources)
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/empty.cpp "")
    set(sources ${CMAKE_CURRENT_BINARY_DIR}/empty.cpp)
  endif()
  add_library(perdure_${name} STATIC ${sources})
  set_target_properties(perdure_${name} PROPERTIES LINKER_LANGUAGE CXX)
  target_link_libraries(perdure_${name} PUBLIC ${ROOM_LINKS})
endfunction()

# perdure_plugin(kernels simd OBJECTS objects... LINKS libs...): from one list of objects the loadable module
# lib/perdure/<kind>.<name>.so and the objects for the programs. Without OBJECTS the folder's *.cpp are the sources.
# The generated list of linked-in plugins is made by plugins/CMakeLists.txt.
function(perdure_plugin kind name)
  cmake_parse_arguments(PLUGIN "" "" "OBJECTS;LINKS" ${ARGN})
  set(target plugin_${kind}_${name})
  if(NOT PLUGIN_OBJECTS)
    file(GLOB sources CONFIGURE_DEPENDS *.cpp)
    if(NOT sources)
      return()
    endif()
    add_library(${target} OBJECT ${sources})
    target_link_libraries(${target} PRIVATE ${PLUGIN_LINKS})
    set(PLUGIN_OBJECTS $<TARGET_OBJECTS:${target}>)
  endif()
  add_library(${target}_module MODULE ${PLUGIN_OBJECTS})
  target_link_libraries(${target}_module PRIVATE ${PLUGIN_LINKS})
  set_target_properties(${target}_module PROPERTIES
    PREFIX "" OUTPUT_NAME ${kind}.${name} LINKER_LANGUAGE CXX
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/perdure)
  set_property(GLOBAL APPEND PROPERTY PERDURE_PLUGINS "${kind} ${name}")
  set_property(GLOBAL APPEND PROPERTY PERDURE_PLUGIN_OBJECTS ${PLUGIN_OBJECTS})
  set_property(GLOBAL APPEND PROPERTY PERDURE_PLUGIN_LINKS ${PLUGIN_LINKS})
endfunction()

# perdure_isa_objects(objects plugin_kernels_simd avx2 SOURCES isa/norm.cpp...): appends to the list `objects` the objects
# of the target <plugin>_<isa>: the sources compiled for scalar, avx2, avx512 or avx512vnni, with that name as PERDURE_ISA.
# Kernels are optimised in every build type: unoptimised they are of no use, and would leave weak copies of inlined
# functions behind.
function(perdure_isa_objects result plugin isa)
  cmake_parse_arguments(ISA "" "" "SOURCES" ${ARGN})
  set(scalar "")
  set(avx2 -mavx2 -mfma -mf16c)
  set(avx512 ${avx2} -mavx512f -mavx512cd -mavx512dq -mavx512bw -mavx512vl -mprefer-vector-width=512)
  set(avx512vnni ${avx512} -mavx512vnni)
  if(NOT isa MATCHES "^(scalar|avx2|avx512|avx512vnni)$")
    message(FATAL_ERROR "perdure_isa_objects(${plugin}): no flags are known for the instruction set '${isa}'")
  endif()
  set(target ${plugin}_${isa})
  add_library(${target} OBJECT ${ISA_SOURCES})
  # g++ 12 takes the undefined operands inside its own AVX-512 header for mistakes.
  target_compile_options(${target} PRIVATE -O3 -fno-exceptions -fno-math-errno -fno-trapping-math ${${isa}}
                         $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized;-Wno-uninitialized>)
  target_compile_definitions(${target} PRIVATE PERDURE_ISA=${isa})
  set(${result} ${${result}} $<TARGET_OBJECTS:${target}> PARENT_SCOPE)
endfunction()

# perdure_test(model FOLDERS formats LINKS perdure_model): the doctest program bin/test_<name> from the current folder and
# the named folders below it; every TEST_CASE is a ctest.
function(perdure_test name)
  cmake_parse_arguments(TEST "" "" "FOLDERS;LINKS" ${ARGN})
  perdure_sources(sources ${TEST_FOLDERS})
  if(NOT sources)
    return()
  endif()
  add_executable(test_${name} ${sources} $<TARGET_OBJECTS:perdure_test_main>)
  target_link_libraries(test_${name} PRIVATE ${TEST_LINKS} doctest::doctest)
  target_compile_definitions(test_${name} PRIVATE
    PERDURE_SOURCE_DIR="${CMAKE_SOURCE_DIR}" PERDURE_BINARY_DIR="${CMAKE_BINARY_DIR}")
  doctest_discover_tests(test_${name} TEST_PREFIX "${name}: " PROPERTIES TIMEOUT 600)
endfunction()
