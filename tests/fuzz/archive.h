// Zip archives with the right checksums, which no fuzzer would guess.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lockstep::fuzz {

// Whether the bytes begin as a .npy array does.
[[nodiscard]] bool is_array(std::string_view bytes);
// Arrays that follow one another, as files: X.npy, y.npy, lengths.npy and sample_weight.npy.
[[nodiscard]] std::vector<std::pair<std::string, std::string_view>> files_of(
    std::string_view arrays);
// A .npz archive of arrays that follow one another: X, y, lengths and sample_weight.
[[nodiscard]] std::string archive_of(std::string_view arrays);

}  // namespace lockstep::fuzz
