#include "ranks/gradient_sum.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <system_error>

#include "lockstep/detail/floating_point_mode.h"

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

// The part of an array of `each` numbers for one row or leaf that belongs to a range of them.
std::span<std::byte> numbers_of(std::span<double> all, Range range, std::size_t each) {
  return std::as_writable_bytes(all.subspan(range.begin * each, range.size() * each));
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

GradientSum::GradientSum(Workspace& workspace, const Network& network, Ranks* ranks,
                         std::size_t most_leaves)
    : ranks_(ranks != nullptr && ranks->size() > 1 ? ranks : nullptr),
      size_(ranks_ == nullptr ? 1 : ranks_->size()),
      rank_(ranks_ == nullptr ? 0 : ranks_->rank()),
      slices_(network, size_),
      sections_left_(slices_.section_count()) {
  if (ranks_ == nullptr) return;
  std::size_t floats = 0;
  std::size_t subtrees = 0;
  for (std::size_t leaves = 1; leaves <= most_leaves; leaves *= 2) {
    for (std::size_t s = 0; s < slices_.section_count(); ++s) {
      floats = std::max(floats, incoming_floats(leaves, s));
    }
    std::size_t count = 0;
    for (int rank = 0; rank < size_; ++rank) count += subtree_count(leaves_of(rank, leaves));
    subtrees = std::max(subtrees, count);
  }
  const auto ranks_in_all = static_cast<std::size_t>(size_);
  incoming_ = workspace.take<float>(floats);
  notes_ = workspace.take<std::byte>(sizeof(double) *
                                         (slices_.row_count() + kLeafNumbers * most_leaves) +
                                     sizeof(std::uint64_t) * ranks_in_all);
  parts_.reserve(subtrees);
  outgoing_.reserve(kMostSubtrees * ranks_in_all);
  incoming_messages_.reserve(subtrees);
  note_bounds_.resize(ranks_in_all + 1);
  note_gather_.emplace(*ranks_);
  slice_gather_.emplace(*ranks_, slices_);
  if (workspace.has_memory() && slices_.section_count() > 1 && ranks_->serves_any_thread()) {
    const auto add_begun = [this](std::size_t section) {
      const detail::FloatingPointScope scope(begun_mode_);
      add_section(section, begun_, Team());
    };
    try {
      background_.emplace(add_begun, slices_.section_count());
    } catch (const std::system_error&) {
      background_.reset();  // there is no thread to be had: all is summed at the end
    }
  }
}

bool GradientSum::halves(int ranks, std::size_t leaves) {
  return is_power_of_two(ranks) && leaves >= static_cast<std::size_t>(ranks);
}

Range GradientSum::leaves_of(int rank, std::size_t leaves) const {
  return share(leaves, rank, size_);
}

Range GradientSum::own_leaves(std::size_t leaves) const { return leaves_of(rank_, leaves); }

std::size_t GradientSum::most_own_leaves(const Ranks* ranks, std::size_t most_leaves) {
  const std::size_t size = ranks == nullptr ? 1 : static_cast<std::size_t>(ranks->size());
  return (most_leaves + size - 1) / size;
}

std::size_t GradientSum::incoming_floats(std::size_t leaves, std::size_t section) const {
  if (halves(size_, leaves)) {
    const std::span<const std::size_t> bounds = slices_.byte_bounds(section);
    const std::size_t middle = bounds[static_cast<std::size_t>(size_) / 2];
    return std::max(middle - bounds.front(), bounds.back() - middle) / sizeof(float);
  }
  std::size_t subtrees = 0;
  for (int rank = 0; rank < size_; ++rank) {
    if (rank != rank_) subtrees += subtree_count(leaves_of(rank, leaves));
  }
  return subtrees * slices_.weights_of(rank_, section).size();
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

void GradientSum::begin_section(std::size_t section, const Subtree& own, std::size_t leaves,
                                std::span<float> gradient) {
  if (!background_ || section + 1 != sections_left_) return;
  if (sections_left_ == slices_.section_count()) {
    own_begun_ = own;
    begun_ = {std::span(&own_begun_, 1), leaves, gradient};
    begun_mode_ = detail::floating_point_mode();
    ranks_->set_awaited(false);
  }
  background_->start(section);
  sections_left_ = section;
}

void GradientSum::add(std::span<const Subtree> own, std::size_t leaves, std::span<float> gradient,
                      const Team& team) {
  if (ranks_ == nullptr) return;
  if (background_ && team.index() == 0) {
    ranks_->set_awaited(true);
    background_->wait();
  }
  team.barrier();
  const std::size_t left = sections_left_;
  for (std::size_t section = left; section-- > 0;) {
    add_section(section, {own, leaves, gradient}, team);
  }
  if (team.index() == 0) sections_left_ = slices_.section_count();
}

// A barrier behind.
void GradientSum::add_section(std::size_t section, const Sum& sum, const Team& team) {
  if (halves(size_, sum.leaves)) {
    add_by_halving(section, sum, team);
  } else {
    add_at_owners(section, sum, team);
  }
}

void GradientSum::add_by_halving(std::size_t section, const Sum& sum, const Team& team) {
  float* const own = sum.own[0].sum;
  const std::span<const std::size_t> bounds = slices_.byte_bounds(section);
  const std::size_t place = place_of(rank_, size_);
  auto group = static_cast<std::size_t>(size_);
  for (int digit = 1; digit < size_; digit *= 2) {
    group /= 2;
    const std::size_t kept = place / group * group;
    const auto floats_at = [&](std::size_t first) {
      const Range bytes{bounds[first], bounds[first + group]};
      return std::span(own + bytes.begin / sizeof(float), bytes.size() / sizeof(float));
    };
    const std::span<float> mine = floats_at(kept);
    if (team.index() == 0) {
      move([&] {
        const int partner = ranks_->rank() ^ digit;
        outgoing_.clear();
        incoming_messages_.clear();
        const auto theirs = std::as_bytes(floats_at(kept ^ group));
        if (!theirs.empty()) outgoing_.push_back({partner, theirs});
        if (!mine.empty()) {
          incoming_messages_.push_back(
              {partner, std::as_writable_bytes(incoming_.first(mine.size()))});
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
  if (own == sum.gradient.data()) return;
  const Range slice = slices_.weights_of(rank_, section);
  const Range part = share(slice.size(), team.index(), team.size());
  std::copy_n(own + slice.begin + part.begin, part.size(),
              sum.gradient.data() + slice.begin + part.begin);
  team.barrier();
}

void GradientSum::add_at_owners(std::size_t section, const Sum& sum, const Team& team) {
  if (team.index() == 0) move([&] { send_to_owners(section, sum); });
  team.barrier();
  if (has_failed()) return;
  const Range slice = slices_.weights_of(rank_, section);
  const Range part = share(slice.size(), team.index(), team.size());
  add_parts(part);
  const float* whole = parts_.front().sum;
  float* place = sum.gradient.data() + slice.begin;
  if (whole != place) std::copy_n(whole + part.begin, part.size(), place + part.begin);
  team.barrier();
}

void GradientSum::send_to_owners(std::size_t section, const Sum& sum) {
  outgoing_.clear();
  incoming_messages_.clear();
  parts_.clear();
  const Range mine = slices_.weights_of(rank_, section);
  float* received = incoming_.data();
  for (int rank = 0; rank < size_; ++rank) {
    if (rank == rank_) {
      for (const Subtree& subtree : sum.own) {
        parts_.push_back({subtree.leaves, subtree.sum + mine.begin});
      }
      continue;
    }
    const Range theirs = slices_.weights_of(rank, section);
    for (const Subtree& subtree : sum.own) {
      const std::span<const float> sent(subtree.sum + theirs.begin, theirs.size());
      if (theirs.size() > 0) outgoing_.push_back({rank, std::as_bytes(sent)});
    }
    for_subtrees(leaves_of(rank, sum.leaves), [&](Range subtree) {
      const std::span<float> place(received, mine.size());
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
  std::uint64_t of_place = notices;
  // Calls visit(place, bytes of a part, where they are in the notes).
  const auto for_parts = [&](const auto& visit) {
    std::byte* at = notes_.data();
    for (std::size_t place = 0; place + 1 < note_bounds_.size(); ++place) {
      note_bounds_[place] = static_cast<std::size_t>(at - notes_.data());
      const auto take = [&](std::span<std::byte> part) {
        visit(place, part, at);
        at += part.size();
      };
      for (std::size_t s = 0; s < slices_.section_count(); ++s) {
        take(numbers_of(of_rows, slices_.rows_of(rank_at(place, size_), s), 1));
      }
      take(numbers_of(of_leaves, leaves_of(rank_at(place, size_), leaves), kLeafNumbers));
      take(std::as_writable_bytes(std::span(&of_place, 1)));
      notices |= of_place;
    }
    note_bounds_.back() = static_cast<std::size_t>(at - notes_.data());
  };
  for_parts([&](std::size_t place, std::span<std::byte> part, std::byte* to) {
    if (place == place_of(rank_, size_)) std::ranges::copy(part, to);
  });
  move([&] { (*note_gather_)(notes_.first(note_bounds_.back()), note_bounds_); });
  if (has_failed()) return;
  for_parts([](std::size_t, std::span<std::byte> part, const std::byte* from) {
    std::copy_n(from, part.size(), part.begin());
  });
}

void GradientSum::gather(std::span<float> values) {
  if (ranks_ == nullptr) return;
  move([&] { (*slice_gather_)(values); });
}

}  // namespace lockstep
