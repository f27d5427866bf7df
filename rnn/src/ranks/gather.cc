#include "ranks/gather.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <exception>
#include <new>
#include <utility>

namespace lockstep {

RanksError::~RanksError() = default;

Ranks::Ranks(int rank, int size, bool serves_any_thread)
    : rank_(rank), size_(size), serves_any_thread_(serves_any_thread) {
  if (size < 1 || rank < 0 || rank >= size) {
    throw InvalidArgument("Ranks: there is no rank " + std::to_string(rank) + " of " +
                          std::to_string(size));
  }
}

Ranks::~Ranks() = default;

void Ranks::exchange(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming) {
  for (const Outgoing& message : outgoing) {
    ++sent_.messages;
    sent_.bytes += message.bytes.size();
  }
  move(outgoing, incoming);
}

bool is_power_of_two(int size) { return std::has_single_bit(static_cast<unsigned>(size)); }

std::size_t place_of(int rank, int size) {
  const auto number = static_cast<std::size_t>(rank);
  if (!is_power_of_two(size)) return number;
  std::size_t place = 0;
  std::size_t left = number;
  for (int bit = 1; bit < size; bit *= 2, left /= 2) place = 2 * place + left % 2;
  return place;
}

// Reversing digits twice changes nothing.
int rank_at(std::size_t place, int size) {
  return static_cast<int>(place_of(static_cast<int>(place), size));
}

Gather::Gather(Ranks& ranks, std::size_t most) : ranks_(ranks) {
  outgoing_.reserve(most * static_cast<std::size_t>(ranks.size()));
  incoming_.reserve(most * static_cast<std::size_t>(ranks.size()));
}

void Gather::operator()(std::span<const Whole> wholes) {
  if (ranks_.size() == 1) return;
  is_power_of_two(ranks_.size()) ? by_doubling(wholes) : directly(wholes);
}

void Gather::send(int to, std::span<const std::byte> bytes) {
  if (!bytes.empty()) outgoing_.push_back({to, bytes});
}

void Gather::receive(int from, std::span<std::byte> bytes) {
  if (!bytes.empty()) incoming_.push_back({from, bytes});
}

// A group's parts are neighbours. It meets first the rank that differs in the highest digit, whose
// place is the next.
void Gather::by_doubling(std::span<const Whole> wholes) {
  const int size = ranks_.size();
  const std::size_t place = place_of(ranks_.rank(), size);
  std::size_t group = 1;
  for (int digit = size / 2; digit > 0; digit /= 2, group *= 2) {
    const std::size_t own = place / group * group;
    const std::size_t other = own ^ group;
    const int partner = ranks_.rank() ^ digit;
    outgoing_.clear();
    incoming_.clear();
    for (const auto& [bytes, bounds] : wholes) {
      send(partner, bytes.subspan(bounds[own], bounds[own + group] - bounds[own]));
      receive(partner, bytes.subspan(bounds[other], bounds[other + group] - bounds[other]));
    }
    ranks_.exchange(outgoing_, incoming_);
  }
}

void Gather::directly(std::span<const Whole> wholes) {
  outgoing_.clear();
  incoming_.clear();
  for (const auto& [bytes, bounds] : wholes) {
    const auto part_of = [&, all = bytes, of = bounds](int rank) {
      const std::size_t place = place_of(rank, ranks_.size());
      return all.subspan(of[place], of[place + 1] - of[place]);
    };
    for (int rank = 0; rank < ranks_.size(); ++rank) {
      if (rank == ranks_.rank()) continue;
      send(rank, part_of(ranks_.rank()));
      receive(rank, part_of(rank));
    }
  }
  ranks_.exchange(outgoing_, incoming_);
}

std::vector<std::string> gather_texts(Ranks& ranks, const std::string& own) {
  const auto size = static_cast<std::size_t>(ranks.size());
  Gather gather(ranks);
  std::vector<std::uint64_t> lengths(size);
  lengths[place_of(ranks.rank(), ranks.size())] = own.size();
  std::vector<std::size_t> bounds(size + 1);
  for (std::size_t p = 0; p < size; ++p) bounds[p + 1] = bounds[p] + sizeof(std::uint64_t);
  gather(std::as_writable_bytes(std::span(lengths)), bounds);
  for (std::size_t p = 0; p < size; ++p) bounds[p + 1] = bounds[p] + lengths[p];
  std::string all(bounds[size], '\0');
  all.replace(bounds[place_of(ranks.rank(), ranks.size())], own.size(), own);
  gather(std::as_writable_bytes(std::span(all)), bounds);
  std::vector<std::string> texts(size);
  for (std::size_t p = 0; p < size; ++p) {
    texts[static_cast<std::size_t>(rank_at(p, ranks.size()))] =
        all.substr(bounds[p], bounds[p + 1] - bounds[p]);
  }
  return texts;
}

std::uint64_t gather_bits(Ranks* ranks, std::uint64_t own) {
  if (ranks == nullptr || ranks->size() == 1) return own;
  const auto size = static_cast<std::size_t>(ranks->size());
  std::vector<std::uint64_t> of_all(size);
  std::vector<std::size_t> bounds(size + 1);
  for (std::size_t p = 0; p < size; ++p) bounds[p + 1] = bounds[p] + sizeof own;
  of_all[place_of(ranks->rank(), ranks->size())] = own;
  Gather gather(*ranks);
  gather(std::as_writable_bytes(std::span(of_all)), bounds);
  std::uint64_t bits = 0;
  for (const std::uint64_t theirs : of_all) bits |= theirs;
  return bits;
}

namespace {

std::string difference(std::size_t rank, const std::string& trait, const std::string& value,
                       const std::string& expected) {
  return "rank " + std::to_string(rank) + " has another " + trait + " than rank 0: '" + value +
         "', not '" + expected + "'";
}

}  // namespace

void require_same(Ranks& ranks, std::span<const Trait> own) {
  std::string joined;
  for (const Trait& trait : own) joined.append(trait.value).push_back('\0');
  const std::vector<std::string> texts = gather_texts(ranks, joined);
  std::size_t begin = 0;
  for (const Trait& trait : own) {
    const std::size_t end = texts[0].find('\0', begin);
    const std::string expected = texts[0].substr(begin, end - begin);
    for (std::size_t rank = 1; rank < texts.size(); ++rank) {
      const std::string value = texts[rank].substr(begin, texts[rank].find('\0', begin) - begin);
      if (value == expected) continue;
      throw InvalidArgument(difference(rank, trait.name, value, expected));
    }
    begin = end + 1;
  }
}

void together(Ranks& ranks, const std::function<void()>& work) {
  std::exception_ptr failure;
  std::string text;
  try {
    work();
  } catch (const std::bad_alloc&) {
    failure = std::current_exception();
    text = "!not enough memory for a problem of this size";
  } catch (const std::exception& error) {
    failure = std::current_exception();
    text = std::string("!") + error.what();
  }
  const std::vector<std::string> texts = gather_texts(ranks, text);
  const auto first = std::ranges::find_if(texts, [](const std::string& t) { return !t.empty(); });
  if (first == texts.end()) return;
  if (ranks.rank() == 0 && failure != nullptr) std::rethrow_exception(failure);
  const std::string sentence =
      "rank " + std::to_string(first - texts.begin()) + ": " + first->substr(1);
  if (ranks.rank() == 0) throw RanksError(sentence);
  throw ReportedElsewhere(sentence);
}

}  // namespace lockstep
