#include "ranks/slices.h"

#include <algorithm>
#include <iterator>

#include "network/layer_size.h"
#include "network/tensors.h"
#include "tuning.h"

namespace lockstep {

Slices::Slices(const Network& network, int ranks) : ranks_(ranks), blocks_(blocks_of(network)) {
  find_sections(network);
  for (const Section& section : sections_) cut(section.rows);
  for (const std::size_t row : row_bounds_) byte_bounds_.push_back(first_of(row) * sizeof(float));
}

std::vector<Slices::Block> Slices::blocks_of(const Network& network) {
  std::vector<Block> blocks;
  std::size_t row = 0;
  std::size_t first = 0;
  for (const Tensor& tensor : tensors_of(network)) {
    blocks.push_back({row, first, tensor.cols});
    row += tensor.rows;
    first += tensor.size();
  }
  blocks.push_back({row, first, 0});
  return blocks;
}

// From the last layer to the first, as gradients are found.
void Slices::find_sections(const Network& network) {
  const std::vector<LayerSize> sizes = layer_sizes(network);
  Range rows{row_count(), row_count()};
  for (std::size_t i = sizes.size(); i-- > 0;) {
    rows.begin = blocks_[i * kTensorsOfLayer].first_row;
    const bool is_first_of_layer = i == 0 || sizes[i - 1].layer != sizes[i].layer;
    const std::size_t below = first_of(rows.begin);
    const bool is_large = std::min(first_of(rows.end) - below, below) >= kFloatsOfSection;
    const bool is_section = i == 0 || (ranks_ > 1 && is_first_of_layer && is_large);
    if (!is_section) continue;
    sections_.push_back({sizes[i].layer, rows});
    rows.end = rows.begin;
  }
  std::ranges::reverse(sections_);
}

void Slices::cut(Range rows) {
  const std::size_t first = first_of(rows.begin);
  const auto floats = static_cast<double>(first_of(rows.end) - first);
  for (int place = 0; place < ranks_; ++place) {
    const auto begin = static_cast<std::size_t>(floats * place / ranks_);
    row_bounds_.push_back(row_from(first + begin));
  }
  row_bounds_.push_back(rows.end);
}

std::size_t Slices::first_of(std::size_t row) const {
  const auto behind = std::ranges::upper_bound(blocks_, row, {}, &Block::first_row);
  const Block& block = *std::prev(behind);
  return block.first_float + (row - block.first_row) * block.cols;
}

// The first row that begins there or later.
std::size_t Slices::row_from(std::size_t first) const {
  const auto behind = std::ranges::upper_bound(blocks_, first, {}, &Block::first_float);
  const Block& block = *std::prev(behind);
  if (block.cols == 0) return block.first_row;
  return block.first_row + (first - block.first_float + block.cols - 1) / block.cols;
}

Range Slices::rows_of(int rank, std::size_t s) const {
  const std::size_t place = place_of(rank, ranks_);
  return {row_bounds(s)[place], row_bounds(s)[place + 1]};
}

Range Slices::weights_of(int rank, std::size_t s) const {
  const Range rows = rows_of(rank, s);
  return {first_of(rows.begin), first_of(rows.end)};
}

std::vector<Range> Slices::weights_of(int rank) const {
  std::vector<Range> ranges;
  ranges.reserve(section_count());
  for (std::size_t s = 0; s < section_count(); ++s) ranges.push_back(weights_of(rank, s));
  return ranges;
}

std::size_t Slices::row_count_of(int rank) const {
  std::size_t count = 0;
  for (std::size_t s = 0; s < section_count(); ++s) count += rows_of(rank, s).size();
  return count;
}

std::size_t Slices::weight_count_of(int rank) const {
  std::size_t count = 0;
  for (std::size_t s = 0; s < section_count(); ++s) count += weights_of(rank, s).size();
  return count;
}

SliceGather::SliceGather(Ranks& ranks, const Slices& slices)
    : slices_(slices), gather_(ranks, slices.section_count()), wholes_(slices.section_count()) {}

void SliceGather::operator()(std::span<float> values) {
  for (std::size_t s = 0; s < wholes_.size(); ++s) {
    wholes_[s] = {std::as_writable_bytes(values), slices_.byte_bounds(s)};
  }
  gather_(wholes_);
}

}  // namespace lockstep
