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
  explicit Gather(Ranks& ranks);

  // `all` holds the part of this rank, and gets the others: that at place p is the bytes bounds[p]
  // to bounds[p + 1]. By groups of ranks that double, log2(size) messages of each; where ranks are
  // no power of two each sends to every other. Allocates nothing.
  void operator()(std::span<std::byte> all, std::span<const std::size_t> bounds);

 private:
  void by_doubling(std::span<std::byte> all, std::span<const std::size_t> bounds);
  void directly(std::span<std::byte> all, std::span<const std::size_t> bounds);

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
