// FNV-1a, 64 bit: tells models apart and guards saved states against damage (not against malice).
#pragma once

#include <cstddef>
#include <cstdint>

namespace openface {

inline constexpr std::uint64_t fnv_start = 14695981039346656037ull;

inline std::uint64_t fnv1a(const void* data, std::size_t size, std::uint64_t hash = fnv_start) {
    const unsigned char* bytes = static_cast<const unsigned char*>(data);
    for (std::size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 1099511628211ull;
    return hash;
}

}  // namespace openface
