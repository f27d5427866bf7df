// THE list of backends, best first, and all of run-time dispatch.
#include "dispatch.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <span>
#include <string>

#include "backends.h"
#include "lockstep/backend.h"
#include "lockstep/error.h"
#include "system/cpu_features.h"

namespace lockstep {
namespace {

#if LOCKSTEP_HAVE_HIGHWAY
#define LOCKSTEP_HIGHWAY(target) "highway/" #target, highway_##target
#else
#define LOCKSTEP_HIGHWAY(target) "highway/" #target, nullptr
#endif
#if LOCKSTEP_HAVE_XSIMD
#define LOCKSTEP_XSIMD(target) "xsimd/" #target, xsimd_##target
#else
#define LOCKSTEP_XSIMD(target) "xsimd/" #target, nullptr
#endif

struct Entry {
  std::string_view name;
  BackendTable table;  // null: not in this build
  bool CpuFeatures::* needs;
};

// A function, so that kernels work in other people's static initialisers.
std::span<const Entry> entries() {
  static const Entry kBackends[] = {
#if defined(__x86_64__)
      {LOCKSTEP_HIGHWAY(avx3), &CpuFeatures::avx512},
      {LOCKSTEP_XSIMD(avx512), &CpuFeatures::avx512},
      {LOCKSTEP_HIGHWAY(avx2), &CpuFeatures::avx2},
      {LOCKSTEP_XSIMD(avx2), &CpuFeatures::avx2},
      {LOCKSTEP_HIGHWAY(sse4), &CpuFeatures::sse4},
      {LOCKSTEP_XSIMD(sse4), &CpuFeatures::sse4},
      {LOCKSTEP_HIGHWAY(ssse3), &CpuFeatures::ssse3},
      {LOCKSTEP_HIGHWAY(sse2), nullptr},
#elif defined(__aarch64__)
      {LOCKSTEP_HIGHWAY(sve_256), &CpuFeatures::sve_256_bits},
      {LOCKSTEP_HIGHWAY(sve2), &CpuFeatures::sve2},
      {LOCKSTEP_HIGHWAY(sve), &CpuFeatures::sve},
      {LOCKSTEP_HIGHWAY(neon_bf16), &CpuFeatures::neon_bf16},
      {LOCKSTEP_HIGHWAY(neon), &CpuFeatures::neon_crypto},
      {LOCKSTEP_HIGHWAY(neon_without_aes), &CpuFeatures::neon},
      {LOCKSTEP_XSIMD(neon64), &CpuFeatures::neon},
      // Vectors of the same length, but of a size that the compiler does not know.
      {LOCKSTEP_HIGHWAY(sve2_128), &CpuFeatures::sve2_128_bits},
#endif
      {"reference", &reference_table, nullptr},
  };
  return kBackends;
}

bool runnable(const Entry& e) {
  return e.table != nullptr && (e.needs == nullptr || cpu_features().*e.needs);
}

BackendInfo info(const Entry& e) {
  if (!runnable(e)) return {e.name, false, false, 0};
  const Backend& b = e.table();
  return {e.name, true, b.fused, b.lanes};
}

const Entry& named(std::string_view name) {
  const auto e = std::ranges::find_if(
      entries(), [&](const Entry& entry) { return entry.name == name && entry.table != nullptr; });
  const bool known = e != entries().end();
  if (known && runnable(*e)) return *e;
  std::string message = "backend \"" + std::string(name) + "\" ";
  message += known ? "needs instructions that this CPU lacks" : "is not in this build";
  message += "; backends that run here:";
  for (const Entry& other : entries()) {
    if (runnable(other)) message += " " + std::string(other.name);
  }
  if (known) throw Unsupported(message);
  throw InvalidArgument(message);
}

const Entry& default_entry() {
  const char* forced = std::getenv("LOCKSTEP_BACKEND");
  if (forced != nullptr && *forced != '\0') return named(forced);
  return *std::ranges::find_if(entries(), runnable);
}

std::atomic<const Backend*> g_active{nullptr};
thread_local const Backend* t_last = nullptr;
thread_local const Backend* t_forced = nullptr;  // by a ThreadBackend

const Entry& entry_of(const Backend& backend) {
  return *std::ranges::find_if(
      entries(), [&](const Entry& e) { return runnable(e) && &e.table() == &backend; });
}

const Backend& active() {
  if (t_forced != nullptr) return *t_forced;
  const Backend* backend = g_active.load(std::memory_order_acquire);
  if (backend == nullptr) {
    static_cast<void>(caches());  // which may throw
    const Backend* preset = &default_entry().table();
    // A backend that another thread forced in the meantime stays.
    if (g_active.compare_exchange_strong(backend, preset)) backend = preset;
  }
  return *backend;
}

}  // namespace

const Backend& dispatch() {
  const Backend& backend = active();
  note_backend(backend);
  return backend;
}

void note_backend(const Backend& backend) { t_last = &backend; }

const Backend& backend_named(std::string_view name) { return named(name).table(); }

std::vector<BackendInfo> backends() {
  std::vector<BackendInfo> list;
  for (const Entry& e : entries()) {
    if (e.table != nullptr) list.push_back(info(e));
  }
  return list;
}

BackendInfo active_backend() { return info(entry_of(active())); }

void set_backend(std::string_view name) {
  static_cast<void>(caches());
  const Entry& e = name.empty() ? default_entry() : named(name);
  g_active.store(&e.table(), std::memory_order_release);
}

ThreadBackend::ThreadBackend(std::string_view name) : saved_(t_forced) {
  static_cast<void>(caches());
  t_forced = &backend_named(name);
}

ThreadBackend::~ThreadBackend() { t_forced = static_cast<const Backend*>(saved_); }

std::string_view last_backend() {
  return t_last == nullptr ? std::string_view() : entry_of(*t_last).name;
}

}  // namespace lockstep
