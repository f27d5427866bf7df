// Which rows of the parameters each rank sums up and updates.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "lockstep/range.h"
#include "lockstep/rnn/parameters.h"
#include "lockstep/rnn/ranks.h"
#include "ranks/gather.h"

namespace lockstep {

// Layers whose gradients travel together. The head belongs to the last of them.
struct Section {
  std::size_t first_layer;
  Range rows;
};

// The rows of all tensors, in their order, fall into sections, large enough to be exchanged by
// themselves while the layers below, also as large, are on their way back. Each section falls into
// slices, one for each rank, as equal as whole rows can be. Of one rank there is one section.
class Slices {
 public:
  Slices(const Network& network, int ranks);

  [[nodiscard]] std::size_t section_count() const { return sections_.size(); }
  [[nodiscard]] const Section& section(std::size_t s) const { return sections_[s]; }
  // Where row `row` of all tensors begins in Parameters::values; the rows end at row_count().
  [[nodiscard]] std::size_t first_of(std::size_t row) const;
  [[nodiscard]] std::size_t row_count() const { return blocks_.back().first_row; }
  [[nodiscard]] std::size_t float_count() const { return blocks_.back().first_float; }

  // The bounds of the slices of a section, by the places of their ranks: rows, and bytes of
  // Parameters::values.
  [[nodiscard]] std::span<const std::size_t> row_bounds(std::size_t s) const {
    return of_section(row_bounds_, s);
  }
  [[nodiscard]] std::span<const std::size_t> byte_bounds(std::size_t s) const {
    return of_section(byte_bounds_, s);
  }
  // The slice of a rank.
  [[nodiscard]] Range rows_of(int rank, std::size_t s) const;
  [[nodiscard]] Range weights_of(int rank, std::size_t s) const;
  // Those of all sections.
  [[nodiscard]] std::vector<Range> weights_of(int rank) const;
  [[nodiscard]] std::size_t row_count_of(int rank) const;
  [[nodiscard]] std::size_t weight_count_of(int rank) const;

 private:
  // Rows of equal length.
  struct Block {
    std::size_t first_row;
    std::size_t first_float;
    std::size_t cols;
  };

  [[nodiscard]] static std::vector<Block> blocks_of(const Network& network);
  [[nodiscard]] std::size_t row_from(std::size_t first) const;
  void find_sections(const Network& network);
  void cut(Range rows);
  [[nodiscard]] std::span<const std::size_t> of_section(const std::vector<std::size_t>& bounds,
                                                        std::size_t s) const {
    const std::size_t count = static_cast<std::size_t>(ranks_) + 1;
    return std::span(bounds).subspan(s * count, count);
  }

  int ranks_;
  std::vector<Block> blocks_;  // tensors, and an empty one behind them
  std::vector<Section> sections_;
  std::vector<std::size_t> row_bounds_;  // [section][place]
  std::vector<std::size_t> byte_bounds_;
};

// Collects the slices of all ranks on every rank, of numbers as Parameters::values. Allocates
// nothing once it is made.
class SliceGather {
 public:
  SliceGather(Ranks& ranks, const Slices& slices);
  void operator()(std::span<float> values);

 private:
  const Slices& slices_;
  Gather gather_;
  std::vector<Gather::Whole> wholes_;
};

}  // namespace lockstep
