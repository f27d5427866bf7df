// The sum of a minibatch's gradients over ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <span>
#include <vector>

#include "layers/workspace.h"
#include "lockstep/range.h"
#include "lockstep/rnn/ranks.h"
#include "lockstep/threads.h"
#include "ranks/background.h"
#include "ranks/gather.h"
#include "ranks/slices.h"

namespace lockstep {

// Of the balanced tree over the leaves of a minibatch: the sum of neighbouring leaves, a power of
// two of them that begins at a multiple of their number.
struct Subtree {
  Range leaves;
  float* sum = nullptr;  // as Parameters::values
};

// The largest subtree of at most `most` leaves that begins the range, which is not empty.
[[nodiscard]] Range first_subtree(Range leaves, std::size_t most);
// The fewest subtrees that make up a range.
[[nodiscard]] std::size_t subtree_count(Range leaves);
// Numbers that a rank sends of each of its leaves.
inline constexpr std::size_t kLeafNumbers = 6;

// Whether two subtrees are the halves of one.
[[nodiscard]] bool are_halves(Range left, Range right);

// Gradients of all ranks become one sum, of which each rank has slices of whole rows: what it
// updates. Neither the way of the bytes nor the number of ranks shows, since each sum adds the
// halves of a subtree.
//
// A rank has an equal share of the leaves, neighbours. Where ranks are a power of two, and each has
// a leaf, every rank has one subtree, and pairs of ranks halve what they exchange until each has
// its slice (recursive halving). Otherwise every rank sends each slice of its subtrees to the rank
// that has that slice.
//
// Sections are summed from the last to the first: those that are ready early in the background.
// All threads of a team call; the first of them moves the bytes.
class GradientSum {
 public:
  // `ranks` may be null: one rank, to which all belongs. Minibatches have up to `most_leaves`.
  GradientSum(Workspace& workspace, const Network& network, Ranks* ranks, std::size_t most_leaves);

  [[nodiscard]] bool is_shared() const { return ranks_ != nullptr; }
  [[nodiscard]] const Slices& slices() const { return slices_; }
  // Of `leaves` in all, those of this rank.
  [[nodiscard]] Range own_leaves(std::size_t leaves) const;
  // Of the most leaves, the most that a rank has.
  [[nodiscard]] static std::size_t most_own_leaves(const Ranks* ranks, std::size_t most_leaves);
  // Of a minibatch of `leaves` leaves, whether pairs of ranks halve what they exchange.
  [[nodiscard]] static bool halves(int ranks, std::size_t leaves);

  // Of this rank's slice of a section.
  [[nodiscard]] Range rows(std::size_t s) const { return slices_.rows_of(rank_, s); }

  // Whether sections can be added up in the background.
  [[nodiscard]] bool begins_early() const { return background_.has_value(); }
  // Begins with a section whose successors were begun, of this rank's only subtree; one thread
  // calls. Nobody else calls Ranks until `add` is called.
  void begin_section(std::size_t section, const Subtree& own, std::size_t leaves,
                     std::span<float> gradient);
  // Adds up the subtrees of all ranks, of the sections that were not begun, and waits for those
  // that were; `own` are the largest of this rank's leaves, in their order, whose memory is used
  // up. The sum of this rank's slices goes to its place in `gradient`. A barrier before and behind.
  void add(std::span<const Subtree> own, std::size_t leaves, std::span<float> gradient,
           const Team& team);

  // Gathers, on one thread, what each rank has of its own rows and leaves: `of_rows` at its rows,
  // `of_leaves` [leaves][kLeafNumbers] at its leaves, and the notices of all, bit by bit.
  void gather(std::span<double> of_rows, std::span<double> of_leaves, std::size_t leaves,
              std::uint64_t& notices);
  // Gathers the slices of all ranks of numbers as Parameters::values; on one thread.
  void gather(std::span<float> values);

  // Whether moving bytes has failed, the same for all threads behind a barrier; then all of the
  // above do nothing more.
  [[nodiscard]] bool has_failed() const { return failure_ != nullptr; }
  void rethrow() const {
    if (failure_ != nullptr) std::rethrow_exception(failure_);
  }

 private:
  // What is added up.
  struct Sum {
    std::span<const Subtree> own;
    std::size_t leaves;
    std::span<float> gradient;
  };

  [[nodiscard]] Range leaves_of(int rank, std::size_t leaves) const;
  [[nodiscard]] std::size_t incoming_floats(std::size_t leaves, std::size_t section) const;
  void add_section(std::size_t section, const Sum& sum, const Team& team);
  void add_by_halving(std::size_t section, const Sum& sum, const Team& team);
  void add_at_owners(std::size_t section, const Sum& sum, const Team& team);
  void send_to_owners(std::size_t section, const Sum& sum);
  void add_parts(Range floats);
  template <class Work>
  void move(const Work& work) noexcept;

  Ranks* ranks_;
  int size_;
  int rank_;
  Slices slices_;
  std::vector<std::size_t> note_bounds_;  // in bytes
  std::span<float> incoming_;
  std::span<std::byte> notes_;
  std::vector<Subtree> parts_;  // of this rank's slice, in the order of their leaves
  std::vector<Ranks::Outgoing> outgoing_;
  std::vector<Ranks::Incoming> incoming_messages_;
  std::optional<Gather> note_gather_;
  std::optional<SliceGather> slice_gather_;
  std::exception_ptr failure_;
  std::size_t sections_left_;  // that were not begun
  Subtree own_begun_;
  Sum begun_{};
  unsigned long long begun_mode_ = 0;  // of the thread's floating-point unit
  std::optional<Background> background_;
};

}  // namespace lockstep
