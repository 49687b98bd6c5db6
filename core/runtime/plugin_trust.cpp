// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/plugin_trust.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "core/api/error.hpp"

namespace perdure {
namespace {

namespace fs = std::filesystem;

bool is_foreign(const struct stat& info) { return info.st_uid != 0 && info.st_uid != geteuid(); }

// Who besides the owner may write: nobody (empty), "its group" or "everybody".
std::string others_who_write(const struct stat& info) {
  if ((info.st_mode & S_IWOTH) != 0) return "everybody";
  return (info.st_mode & S_IWGRP) != 0 ? "its group" : "";
}

void check_file(const struct stat& info) {
  if (is_foreign(info))
    throw Error("it belongs to another user (number " + std::to_string(info.st_uid) +
                "), who may change it; make a copy of your own");
  if (const std::string others = others_who_write(info); !others.empty())
    throw Error(others + " may write to the file; run chmod go-w on it");
}

void check_folder(const fs::path& folder) {
  struct stat info{};
  if (stat(folder.c_str(), &info) != 0)
    throw Error("its folder " + folder.string() + " cannot be looked at; check the path");
  if (is_foreign(info))
    throw Error("the folder " + folder.string() + " belongs to another user (number " +
                std::to_string(info.st_uid) + "), who may replace it; move the plugin");
  const std::string others = others_who_write(info);
  if (!others.empty() && (info.st_mode & S_ISVTX) == 0)
    throw Error(others + " may replace it, because " + others + " may write to the folder " +
                folder.string() + "; run chmod go-w on that or move the plugin");
}

}  // namespace

void check_trust(int descriptor, const fs::path& path) {
  struct stat opened{}, found{};
  if (fstat(descriptor, &opened) != 0 || stat(path.c_str(), &found) != 0 ||
      opened.st_dev != found.st_dev || opened.st_ino != found.st_ino)
    throw Error("it was replaced while it was looked at; try again");
  check_file(opened);
  for (fs::path folder = path; folder != folder.root_path();) {
    folder = folder.parent_path();
    check_folder(folder);
  }
}

}  // namespace perdure
