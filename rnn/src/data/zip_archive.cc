#include <zlib.h>

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <new>
#include <optional>
#include <string_view>

#include "binary.h"
#include "data/npz.h"
#include "data/text_file.h"
#include "data/unpack.h"
#include "files/input_file.h"
#include "lockstep/rnn/data_file.h"

namespace lockstep::data_file {
namespace {

// Fixed parts of the records, and where the fields that are read begin.
constexpr std::string_view kEndMark = "PK\5\6";
constexpr std::size_t kEndBytes = 22, kLongestComment = 65535;
constexpr std::string_view kEnd64Mark = "PK\6\6", kLocatorMark = "PK\6\7";
constexpr std::size_t kEnd64Bytes = 56, kLocatorBytes = 20;
constexpr std::string_view kEntryMark = "PK\1\2", kDataMark = "PK\3\4";
constexpr std::size_t kEntryBytes = 46, kDataBytes = 30;

constexpr std::uint64_t kInZip64 = 0xffffffff;  // a size that the ZIP64 record has
constexpr std::uint64_t kStored = 0, kDeflated = 8;
constexpr std::uint64_t kLargestDeflateRatio = 1032;
constexpr std::uint64_t kPieceBytes = 1 << 16;

std::uint64_t field(std::string_view record, std::size_t at, std::size_t count) {
  const std::string_view bytes = record.substr(at, count);
  return read_little_endian(bytes.data(), bytes.size());
}

struct Entry {
  std::string place;  // as messages name it
  std::uint64_t flags, method, checksum, packed_bytes, bytes, at;

  // Sizes of 64 bits are in an extra field, in this order.
  void read_zip64(std::string_view extra) {
    while (extra.size() >= 4) {
      std::string_view content = extra.substr(4, field(extra, 2, 2));
      if (field(extra, 0, 2) == 1) {
        for (std::uint64_t* const value : {&bytes, &packed_bytes, &at}) {
          if (*value != kInZip64 || content.size() < 8) continue;
          *value = field(content, 0, 8);
          content.remove_prefix(8);
        }
        return;
      }
      extra.remove_prefix(4 + content.size());
    }
  }
};

class ZipArchive {
 public:
  explicit ZipArchive(const std::filesystem::path& path)
      : name_(path.string()),
        file_(about_file(name_, [&] { return InputFile(path); })),
        file_bytes_(std::filesystem::file_size(path)),
        directory_(read_directory()) {}

  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    for_entries([&](std::string_view name, std::string_view) { names.emplace_back(name); });
    return names;
  }

  std::optional<std::string> read(const std::string& name) {
    const std::optional<Entry> entry = find(name);
    if (!entry) return std::nullopt;
    check(*entry);
    const std::uint64_t at = find_data(*entry);
    std::string bytes =
        entry->method == kStored ? bytes_at(at, entry->packed_bytes) : expand(*entry, at);
    const auto* const content = reinterpret_cast<const Bytef*>(bytes.data());
    if (bytes.size() != entry->bytes || crc32_z(0, content, bytes.size()) != entry->checksum) {
      throw DataError(entry->place + " is damaged: its data is cut short or fails its checksum");
    }
    return bytes;
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw DataError(name_ + ": " + message);
  }

  std::string bytes_at(std::uint64_t at, std::uint64_t count) {
    if (at > file_bytes_ || count > file_bytes_ - at) fail("the .npz (zip) archive is cut short");
    return about_file(name_, [&] { return file_.read_at(at, count); });
  }

  // The list of the entries, which the record at the end of the file points to.
  std::string read_directory() {
    const std::uint64_t tail_bytes =
        std::min<std::uint64_t>(file_bytes_, kEndBytes + kLongestComment);
    const std::string tail = bytes_at(file_bytes_ - tail_bytes, tail_bytes);
    const std::size_t at = tail.rfind(kEndMark);
    if (at == std::string::npos || tail.size() - at < kEndBytes) {
      fail("the file is not a readable .npz (zip) archive");
    }
    std::uint64_t bytes = field(tail, at + 12, 4);
    std::uint64_t begin = field(tail, at + 16, 4);
    if (at >= kLocatorBytes && tail.compare(at - kLocatorBytes, 4, kLocatorMark) == 0) {
      const std::string end = bytes_at(field(tail, at - kLocatorBytes + 8, 8), kEnd64Bytes);
      if (!end.starts_with(kEnd64Mark)) fail("the .npz (zip) archive has a damaged end");
      bytes = field(end, 40, 8);
      begin = field(end, 48, 8);
    }
    return bytes_at(begin, bytes);
  }

  // Calls visit(name, record) for each entry.
  template <class Visit>
  void for_entries(const Visit& visit) const {
    std::string_view rest = directory_;
    while (rest.size() >= kEntryBytes && rest.starts_with(kEntryMark)) {
      const std::size_t name_bytes = field(rest, 28, 2);
      const std::size_t entry_bytes =
          kEntryBytes + name_bytes + field(rest, 30, 2) + field(rest, 32, 2);
      if (entry_bytes > rest.size()) break;
      visit(rest.substr(kEntryBytes, name_bytes), rest.substr(0, entry_bytes));
      rest.remove_prefix(entry_bytes);
    }
    if (!rest.empty()) fail("the list of entries of the .npz (zip) archive is damaged");
  }

  [[nodiscard]] std::optional<Entry> find(const std::string& name) const {
    std::optional<Entry> found;
    for_entries([&](std::string_view entry_name, std::string_view record) {
      if (entry_name != name) return;
      if (found) fail("the .npz (zip) archive has two entries " + in_quotes(name));
      Entry entry{name_ + ": entry " + in_quotes(name),
                  field(record, 8, 2),
                  field(record, 10, 2),
                  field(record, 16, 4),
                  field(record, 20, 4),
                  field(record, 24, 4),
                  field(record, 42, 4)};
      entry.read_zip64(record.substr(kEntryBytes + name.size(), field(record, 30, 2)));
      found = entry;
    });
    return found;
  }

  // Before memory is taken: what the archive claims must be possible for a file of its size.
  void check(const Entry& entry) const {
    if ((entry.flags & 1) != 0) throw DataError(entry.place + " is encrypted");
    if (entry.method != kStored && entry.method != kDeflated) {
      throw DataError(entry.place + " has compression method " + std::to_string(entry.method) +
                      ", expected stored or deflated");
    }
    const std::string claim = entry.place + " claims " + std::to_string(entry.bytes) + " bytes, ";
    const std::uint64_t ratio = entry.method == kStored ? 1 : kLargestDeflateRatio;
    if (entry.packed_bytes > file_bytes_ || entry.bytes / ratio > entry.packed_bytes) {
      throw DataError(claim + "more than the file can hold");
    }
    if (entry.method == kDeflated) require_unpackable(entry.bytes, file_bytes_, entry.place);
  }

  std::uint64_t find_data(const Entry& entry) {
    const std::string header = bytes_at(entry.at, kDataBytes);
    if (!header.starts_with(kDataMark)) throw DataError(entry.place + " is not where it should be");
    return entry.at + kDataBytes + field(header, 26, 2) + field(header, 28, 2);
  }

  std::string expand(const Entry& entry, std::uint64_t at) {
    z_stream stream{};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
    const std::unique_ptr<z_stream, decltype(&inflateEnd)> end(&stream, inflateEnd);
    std::string bytes;
    std::string piece;
    std::uint64_t unread = entry.packed_bytes;
    int status = Z_OK;
    while (status == Z_OK) {
      if (stream.avail_in == 0 && unread > 0) {
        piece = bytes_at(at + entry.packed_bytes - unread, std::min(unread, kPieceBytes));
        unread -= piece.size();
        stream.next_in = reinterpret_cast<Bytef*>(piece.data());
        stream.avail_in = static_cast<uInt>(piece.size());
      }
      const std::uint64_t done = stream.total_out;
      bytes.resize(
          std::min(entry.bytes, std::max<std::uint64_t>(bytes.size(), done + kPieceBytes)));
      stream.next_out = reinterpret_cast<Bytef*>(bytes.data() + done);
      stream.avail_out = static_cast<uInt>(std::min(bytes.size() - done, kPieceBytes));
      status = inflate(&stream, Z_NO_FLUSH);
      if (status == Z_MEM_ERROR) throw std::bad_alloc();
    }
    bytes.resize(status == Z_STREAM_END && unread + stream.avail_in == 0 ? stream.total_out : 0);
    return bytes;
  }

  std::string name_;
  InputFile file_;
  std::uint64_t file_bytes_;
  std::string directory_;
};

}  // namespace

std::vector<std::string> zip_entry_names(const std::filesystem::path& path) {
  return ZipArchive(path).names();
}

std::string read_zip_entry(const std::filesystem::path& path, const std::string& name) {
  if (auto bytes = ZipArchive(path).read(name)) return *std::move(bytes);
  throw DataError(path.string() + ": the archive has no entry " + in_quotes(name));
}

}  // namespace lockstep::data_file
