#include "data/unpack.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

#include "data/text_file.h"
#include "lockstep/rnn/data_file.h"

#ifdef LOCKSTEP_HAVE_ZLIB
#include <zlib.h>
#endif

namespace lockstep::data_file {
namespace {

std::uint64_t bound_for(std::uint64_t packed) {
  const char* const text = std::getenv("LOCKSTEP_MAX_UNPACKED");
  if (text != nullptr) {
    if (const auto bytes = from_text<std::uint64_t>(text)) return *bytes;
  }
  const std::uint64_t more = packed > kSmallFile ? packed - kSmallFile : 0;
  return more > (UINT64_MAX - kFreelyUnpacked) / kFreeRatio ? UINT64_MAX
                                                            : kFreelyUnpacked + more * kFreeRatio;
}

}  // namespace

void require_unpackable(std::uint64_t unpacked, std::uint64_t packed, const std::string& what) {
  const std::uint64_t bound = bound_for(packed);
  if (unpacked <= bound) return;
  throw DataError(what + " unpacks to more than " + std::to_string(bound) +
                  " bytes; LOCKSTEP_MAX_UNPACKED=BYTES in the environment allows more");
}

#ifndef LOCKSTEP_HAVE_ZLIB

std::string unpack_gzip(std::string_view, const std::string& file) {
  throw DataError(file + ": this build cannot read compressed files, as it is without zlib");
}

#else

std::string unpack_gzip(std::string_view bytes, const std::string& file) {
  constexpr int kGzipOnly = 16;
  constexpr std::size_t kPiece = 1 << 20;
  z_stream stream{};
  if (inflateInit2(&stream, MAX_WBITS + kGzipOnly) != Z_OK) throw std::bad_alloc();
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> end(&stream, inflateEnd);
  std::string content;
  std::size_t done = 0;
  std::size_t unread = bytes.size();
  while (unread > 0 || stream.avail_in > 0) {
    if (stream.avail_in == 0) {
      const std::size_t piece = std::min(unread, kPiece);
      // zlib does not write to its input.
      stream.next_in =
          reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data() + bytes.size() - unread));
      stream.avail_in = static_cast<uInt>(piece);
      unread -= piece;
    }
    if (done == content.size()) content.resize(done + kPiece);
    const std::size_t room = std::min(content.size() - done, kPiece);
    stream.next_out = reinterpret_cast<Bytef*>(content.data() + done);
    stream.avail_out = static_cast<uInt>(room);
    const int status = inflate(&stream, Z_NO_FLUSH);
    if (status == Z_MEM_ERROR) throw std::bad_alloc();
    done += room - stream.avail_out;
    require_unpackable(done, bytes.size(), file + ": the file");
    if (status == Z_STREAM_END) {
      // Tapes and tar pad with zeros.
      const std::string_view rest = bytes.substr(bytes.size() - unread - stream.avail_in);
      if (rest.find_first_not_of('\0') == std::string_view::npos) {
        content.resize(done);
        return content;
      }
      if (inflateReset(&stream) != Z_OK) break;
    } else if (status != Z_OK) {
      break;
    }
  }
  throw DataError(file + ": the compressed file is damaged or cut short");
}

#endif

}  // namespace lockstep::data_file
