// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/commands/conversion.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "apps/perdure/terminal/interrupt.hpp"
#include "apps/perdure/terminal/output.hpp"

namespace perdure::app {
namespace {

namespace fs = std::filesystem;

// Of a file, or of all files of a folder.
double size_of(const std::string& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return static_cast<double>(fs::file_size(path, ignored));
  double size = 0;
  for (const auto& entry : fs::directory_iterator(path, ignored))
    if (entry.is_regular_file(ignored)) size += static_cast<double>(entry.file_size(ignored));
  return size;
}

// Of all files that the model lies in.
double size_of(const Model& model) {
  double size = 0;
  for (const MappedFile& file : model.files()) size += static_cast<double>(file.bytes().size());
  return size;
}

}  // namespace

ConversionProgress::ConversionProgress(const Model& model, std::string out, bool quiet)
    : out_(std::move(out)),
      bar_(!quiet && isatty(STDERR_FILENO) != 0, std::chrono::milliseconds(500)) {
  for (const auto& [name, weight] : model.weights()) total_ += source_bytes(weight);
}

std::string ConversionProgress::counts() const {
  return fmt::format("{} of {}", bytes_text(static_cast<double>(done_)),
                     bytes_text(static_cast<double>(total_)));
}

KeepGoing ConversionProgress::keep_going() {
  return [this](int64_t bytes) {
    done_ = std::min(total_, done_ + bytes);
    bar_.update([&](double seconds) {
      const double share =
          static_cast<double>(done_) / static_cast<double>(std::max<int64_t>(1, total_));
      return ProgressText{.what = "writing",
                          .share = share,
                          .counts = counts(),
                          .rate = bytes_text(static_cast<double>(done_) / seconds) + "/s",
                          .left = duration_text(seconds * (1 / share - 1)) + " left"};
    });
    return !interrupted();
  };
}

void ConversionProgress::fail_interrupted() const {
  throw Interrupted(
      fmt::format("stopped by {} after {}; {} was not written", interrupt_name(), counts(), out_));
}

void note_result(const Model& model, const std::string& model_path, const std::string& out,
                 const std::vector<std::string>& notes, bool quiet) {
  for (const std::string& sentence : notes) note(sentence, quiet);
  note(
      fmt::format("wrote {} ({}) from {} ({}, {}), and read it back", out, bytes_text(size_of(out)),
                  model_path, model.spec().format, bytes_text(size_of(model))),
      quiet);
}

}  // namespace perdure::app
