#include "ranks/gradient_sum.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

#include "network/tensors.h"

namespace lockstep {
namespace {

// Subtrees of which no two are halves of one, of fewer than 2^64 leaves.
constexpr auto kMostSubtrees = std::size_t{2} * std::numeric_limits<std::size_t>::digits;

template <class Visit>
void for_subtrees(Range leaves, const Visit& visit) {
  constexpr std::size_t kAny = std::numeric_limits<std::size_t>::max();
  while (leaves.size() > 0) {
    const Range subtree = first_subtree(leaves, kAny);
    visit(subtree);
    leaves.begin = subtree.end;
  }
}

std::span<std::byte> bytes_of(std::span<float> values, std::size_t begin, std::size_t end) {
  return std::as_writable_bytes(values.subspan(begin, end - begin));
}

// The part of an array of `each` numbers for one row or leaf that belongs to a range of them.
std::span<double> of_range(std::span<double> numbers, Range range, std::size_t each) {
  return numbers.subspan(range.begin * each, range.size() * each);
}

}  // namespace

Range first_subtree(Range leaves, std::size_t most) {
  std::size_t size = std::bit_floor(std::min(leaves.size(), most));
  while (leaves.begin % size != 0) size /= 2;
  return {leaves.begin, leaves.begin + size};
}

std::size_t subtree_count(Range leaves) {
  std::size_t count = 0;
  for_subtrees(leaves, [&](Range) { ++count; });
  return count;
}

bool are_halves(Range left, Range right) {
  return left.size() == right.size() && left.end == right.begin &&
         left.begin % (2 * left.size()) == 0;
}

std::vector<GradientSum::Block> GradientSum::blocks_of(const Network& network) {
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

std::size_t GradientSum::first_of(std::size_t row) const {
  const auto behind = std::ranges::upper_bound(blocks_, row, {}, &Block::first_row);
  const Block& block = *std::prev(behind);
  return block.first_float + (row - block.first_row) * block.cols;
}

// The first row that begins there or later.
std::size_t GradientSum::row_from(std::size_t first) const {
  const auto behind = std::ranges::upper_bound(blocks_, first, {}, &Block::first_float);
  const Block& block = *std::prev(behind);
  if (block.cols == 0) return block.first_row;
  return block.first_row + (first - block.first_float + block.cols - 1) / block.cols;
}

GradientSum::GradientSum(Workspace& workspace, const Network& network, Ranks* ranks,
                         std::size_t most_leaves)
    : ranks_(ranks != nullptr && ranks->size() > 1 ? ranks : nullptr),
      place_(ranks_ == nullptr ? 0 : place_of(ranks_->rank(), size())),
      blocks_(blocks_of(network)) {
  find_slices();
  if (ranks_ == nullptr) return;
  std::size_t floats = 0;
  std::size_t subtrees = 0;
  for (std::size_t leaves = 1; leaves <= most_leaves; leaves *= 2) {
    floats = std::max(floats, incoming_floats(leaves));
    std::size_t count = 0;
    for (int rank = 0; rank < size(); ++rank) count += subtree_count(leaves_of(rank, leaves));
    subtrees = std::max(subtrees, count);
  }
  const auto ranks_in_all = static_cast<std::size_t>(size());
  incoming_ = workspace.take<float>(floats);
  notes_ = workspace.take<std::byte>(sizeof(double) * (row_count() + kLeafNumbers * most_leaves) +
                                     sizeof(std::uint64_t) * ranks_in_all);
  parts_.reserve(subtrees);
  outgoing_.reserve(kMostSubtrees * ranks_in_all);
  incoming_messages_.reserve(subtrees);
  note_bounds_.resize(ranks_in_all + 1);
  gather_.emplace(*ranks_);
}

// As equal as whole rows can be.
void GradientSum::find_slices() {
  const auto places = static_cast<std::size_t>(size());
  const auto all = static_cast<double>(float_count());
  for (std::size_t place = 0; place < places; ++place) {
    const double begin = all * static_cast<double>(place) / static_cast<double>(places);
    row_bounds_.push_back(row_from(static_cast<std::size_t>(begin)));
  }
  row_bounds_.push_back(row_count());
  for (const std::size_t row : row_bounds_) {
    float_bounds_.push_back(first_of(row) * sizeof(float));
  }
}

bool GradientSum::halves(std::size_t leaves) const {
  return is_power_of_two(size()) && leaves >= static_cast<std::size_t>(size());
}

Range GradientSum::leaves_of(int rank, std::size_t leaves) const {
  return share(leaves, rank, size());
}

Range GradientSum::own_leaves(std::size_t leaves) const {
  return leaves_of(ranks_ == nullptr ? 0 : ranks_->rank(), leaves);
}

std::size_t GradientSum::most_own_leaves(const Ranks* ranks, std::size_t most_leaves) {
  const std::size_t size = ranks == nullptr ? 1 : static_cast<std::size_t>(ranks->size());
  return (most_leaves + size - 1) / size;
}

Range GradientSum::rows_of(int rank) const {
  const std::size_t place = place_of(rank, size());
  return {row_bounds_[place], row_bounds_[place + 1]};
}

Range GradientSum::slice_of(int rank) const {
  const Range rows = rows_of(rank);
  return {first_of(rows.begin), first_of(rows.end)};
}

std::size_t GradientSum::incoming_floats(std::size_t leaves) const {
  if (halves(leaves)) {
    const std::size_t half = first_of(row_bounds_[static_cast<std::size_t>(size()) / 2]);
    return std::max(half, float_count() - half);
  }
  std::size_t subtrees = 0;
  for (int rank = 0; rank < size(); ++rank) {
    if (rank != ranks_->rank()) subtrees += subtree_count(leaves_of(rank, leaves));
  }
  return subtrees * weights().size();
}

// Moves bytes on the first thread, which must not leave the others waiting at a barrier.
template <class Work>
void GradientSum::move(const Work& work) noexcept {
  if (failure_ != nullptr) return;
  try {
    work();
  } catch (...) {
    failure_ = std::current_exception();
  }
}

void GradientSum::add(std::span<const Subtree> own, std::size_t leaves, std::span<float> gradient,
                      const Team& team) {
  if (ranks_ == nullptr) return;
  if (halves(leaves)) {
    add_by_halving(own[0], gradient, team);
  } else {
    add_at_owners(own, leaves, gradient, team);
  }
}

void GradientSum::add_by_halving(const Subtree& own, std::span<float> gradient, const Team& team) {
  const std::span<float> sum(own.sum, gradient.size());
  auto group = static_cast<std::size_t>(size());
  for (int digit = 1; digit < size(); digit *= 2) {
    group /= 2;
    const std::size_t kept = place_ / group * group;
    const std::size_t given = kept ^ group;
    const auto begin_of = [&](std::size_t place) { return first_of(row_bounds_[place]); };
    const std::span<float> mine =
        sum.subspan(begin_of(kept), begin_of(kept + group) - begin_of(kept));
    if (team.index() == 0) {
      move([&] {
        const int partner = ranks_->rank() ^ digit;
        outgoing_.clear();
        incoming_messages_.clear();
        const auto theirs = bytes_of(sum, begin_of(given), begin_of(given + group));
        if (!theirs.empty()) outgoing_.push_back({partner, theirs});
        if (!mine.empty()) {
          incoming_messages_.push_back({partner, bytes_of(incoming_, 0, mine.size())});
        }
        ranks_->exchange(outgoing_, incoming_messages_);
      });
    }
    team.barrier();
    if (has_failed()) return;
    const Range part = share(mine.size(), team.index(), team.size());
    for (std::size_t i = part.begin; i < part.end; ++i) mine[i] += incoming_[i];
    team.barrier();
  }
  if (own.sum == gradient.data()) return;
  const Range part = share(weights().size(), team.index(), team.size());
  std::copy_n(own.sum + weights().begin + part.begin, part.size(),
              gradient.data() + weights().begin + part.begin);
  team.barrier();
}

void GradientSum::add_at_owners(std::span<const Subtree> own, std::size_t leaves,
                                std::span<float> gradient, const Team& team) {
  if (team.index() == 0) move([&] { send_to_owners(own, leaves); });
  team.barrier();
  if (has_failed()) return;
  const Range part = share(weights().size(), team.index(), team.size());
  add_parts(part);
  const float* sum = parts_.front().sum;
  float* place = gradient.data() + weights().begin;
  if (sum != place) std::copy_n(sum + part.begin, part.size(), place + part.begin);
  team.barrier();
}

void GradientSum::send_to_owners(std::span<const Subtree> own, std::size_t leaves) {
  outgoing_.clear();
  incoming_messages_.clear();
  parts_.clear();
  float* received = incoming_.data();
  for (int rank = 0; rank < size(); ++rank) {
    if (rank == ranks_->rank()) {
      for (const Subtree& subtree : own) {
        parts_.push_back({subtree.leaves, subtree.sum + weights().begin});
      }
      continue;
    }
    const Range theirs = slice_of(rank);
    for (const Subtree& subtree : own) {
      const std::span<const float> sent(subtree.sum + theirs.begin, theirs.size());
      if (theirs.size() > 0) outgoing_.push_back({rank, std::as_bytes(sent)});
    }
    for_subtrees(leaves_of(rank, leaves), [&](Range subtree) {
      const std::span<float> place(received, weights().size());
      parts_.push_back({subtree, received});
      if (!place.empty()) {
        incoming_messages_.push_back({rank, std::as_writable_bytes(place)});
      }
      received += place.size();
    });
  }
  ranks_->exchange(outgoing_, incoming_messages_);
}

// Of two halves the right one is added to the left, which becomes the whole; at last the first part
// has the sum of all.
void GradientSum::add_parts(Range floats) {
  std::array<Subtree, kMostSubtrees> left;
  std::size_t count = 0;
  for (const Subtree& part : parts_) {
    left[count++] = part;
    for (; count > 1 && are_halves(left[count - 2].leaves, left[count - 1].leaves); --count) {
      Subtree& whole = left[count - 2];
      const float* other = left[count - 1].sum;
      for (std::size_t i = floats.begin; i < floats.end; ++i) whole.sum[i] += other[i];
      whole.leaves.end = left[count - 1].leaves.end;
    }
  }
}

void GradientSum::gather(std::span<double> of_rows, std::span<double> of_leaves, std::size_t leaves,
                         std::uint64_t& notices) {
  if (ranks_ == nullptr) return;
  // Calls visit(place, numbers of its rows, of its leaves, where its bytes begin).
  const auto for_places = [&](const auto& visit) {
    std::size_t begin = 0;
    for (std::size_t place = 0; place + 1 < note_bounds_.size(); ++place) {
      const auto rows = of_range(of_rows, {row_bounds_[place], row_bounds_[place + 1]}, 1);
      const auto own = of_range(of_leaves, leaves_of(rank_at(place, size()), leaves), kLeafNumbers);
      visit(place, rows, own, notes_.data() + begin);
      note_bounds_[place] = begin;
      begin += rows.size_bytes() + own.size_bytes() + sizeof notices;
    }
    note_bounds_.back() = begin;
  };
  for_places([&](std::size_t place, std::span<double> rows, std::span<double> own, std::byte* to) {
    if (place != place_) return;
    std::memcpy(to, rows.data(), rows.size_bytes());
    std::memcpy(to + rows.size_bytes(), own.data(), own.size_bytes());
    std::memcpy(to + rows.size_bytes() + own.size_bytes(), &notices, sizeof notices);
  });
  move([&] { (*gather_)(notes_.first(note_bounds_.back()), note_bounds_); });
  if (has_failed()) return;
  for_places([&](std::size_t, std::span<double> rows, std::span<double> own, std::byte* from) {
    std::uint64_t theirs = 0;
    std::memcpy(rows.data(), from, rows.size_bytes());
    std::memcpy(own.data(), from + rows.size_bytes(), own.size_bytes());
    std::memcpy(&theirs, from + rows.size_bytes() + own.size_bytes(), sizeof theirs);
    notices |= theirs;
  });
}

void GradientSum::gather(std::span<float> values) {
  if (ranks_ == nullptr) return;
  move([&] { (*gather_)(std::as_writable_bytes(values), float_bounds_); });
}

}  // namespace lockstep
