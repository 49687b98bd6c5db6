# SPDX-License-Identifier: Apache-2.0
#
# What `cmake --install` adds for authors of plugins: the headers, and the plugins as modules, where a program that links
# none finds them (../lib/perdure beside its folder). core/api/api_hash.h, which the build id needs, is one of the headers.
foreach(folder core/api sdk)
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/${folder}/ DESTINATION include/perdure/${folder}
    FILES_MATCHING PATTERN *.h PATTERN *.hpp)
endforeach()
get_property(plugins GLOBAL PROPERTY PERDURE_PLUGINS)
foreach(plugin ${plugins})
  string(REPLACE " " "_" plugin ${plugin})
  install(TARGETS plugin_${plugin}_module LIBRARY DESTINATION lib/perdure COMPONENT modules)
endforeach()
# g++ -std=c++20 -shared -fPIC $(pkg-config --cflags perdure-plugin) mine.cpp -o mine.so
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/perdure-plugin.pc @ONLY CONTENT
"prefix=\${pcfiledir}/../..
Name: perdure-plugin
Description: Headers for plugins of perdure
Version: @PROJECT_VERSION@
Cflags: -I\${prefix}/include/perdure
")
install(FILES ${CMAKE_BINARY_DIR}/perdure-plugin.pc DESTINATION lib/pkgconfig)
