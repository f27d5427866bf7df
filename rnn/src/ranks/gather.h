// Small exchanges between ranks: gathered parts, texts, bits, and checks that they agree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "lockstep/rnn/ranks.h"

namespace lockstep {

// Parts of a whole, one of each rank, are kept in an order in which neighbours, and neighbouring
// groups of neighbours, exchange with each other: rank r is at the place whose number has the
// digits of r, of base 2, in reverse. Where the ranks are no power of two they are in the order of
// their numbers.
[[nodiscard]] bool is_power_of_two(int size);
[[nodiscard]] std::size_t place_of(int rank, int size);
[[nodiscard]] int rank_at(std::size_t place, int size);

// Collects the parts of all ranks on every rank.
class Gather {
 public:
  // The part at place p is the bytes bounds[p] to bounds[p + 1].
  struct Whole {
    std::span<std::byte> bytes;
    std::span<const std::size_t> bounds;
  };

  // Of up to `most` wholes at once.
  explicit Gather(Ranks& ranks, std::size_t most = 1);

  // Each holds the part of this rank, and gets the others. By groups of ranks that double,
  // log2(size) messages of each; where ranks are no power of two each sends to every other.
  // Allocates nothing.
  void operator()(std::span<const Whole> wholes);
  void operator()(std::span<std::byte> all, std::span<const std::size_t> bounds) {
    const Whole whole{all, bounds};
    (*this)(std::span(&whole, 1));
  }

 private:
  void by_doubling(std::span<const Whole> wholes);
  void directly(std::span<const Whole> wholes);
  void send(int to, std::span<const std::byte> bytes);
  void receive(int from, std::span<std::byte> bytes);

  Ranks& ranks_;
  std::vector<Ranks::Outgoing> outgoing_;
  std::vector<Ranks::Incoming> incoming_;
};

// The texts of all ranks, by rank.
[[nodiscard]] std::vector<std::string> gather_texts(Ranks& ranks, const std::string& own);

// Bits of all ranks, each set if some rank has set it. Without ranks those given.
[[nodiscard]] std::uint64_t gather_bits(Ranks* ranks, std::uint64_t own);

// What must be the same on all ranks, by name. No value has a zero in it.
struct Trait {
  std::string name;
  std::string value;
};

// Throws InvalidArgument, on every rank the same, if a trait of one differs from that of rank 0.
void require_same(Ranks& ranks, std::span<const Trait> own);

// A failure that rank 0 reports.
class ReportedElsewhere : public RanksError {
 public:
  using RanksError::RanksError;
};

// Does work that may fail on some ranks: then all throw. Rank 0 throws its own
// failure, or that of the first other rank that failed, and other ranks ReportedElsewhere.
void together(Ranks& ranks, const std::function<void()>& work);

}  // namespace lockstep
