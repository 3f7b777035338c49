// Rows of pixels to grey. All integer, so every version gives the same bytes.
#include "openface/image/grey.h"

#include "openface/core/simd.h"

namespace openface::OPENFACE_ISA {

namespace {

inline std::uint8_t grey_of(int b, int g, int r) {
    return std::uint8_t((3735 * b + 19235 * g + 9798 * r + 16384) >> 15);
}

#if defined(OPENFACE_ISA_AVX2) || defined(OPENFACE_ISA_AVX512)

// Grey of eight pixels as 32-bit lanes: pixels 0 to 3 at `first`, 4 to 7 at `second`. Reads 16 bytes at each.
template <int channels>
inline __m256i grey8(const std::uint8_t* first, const std::uint8_t* second) {
    const __m256i pixels = _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(first))),
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(second)), 1);
    constexpr int c = channels;
    const __m256i blue_green =
        _mm256_setr_epi8(0, -1, 1, -1, c, -1, c + 1, -1, 2 * c, -1, 2 * c + 1, -1, 3 * c, -1, 3 * c + 1, -1,
                         0, -1, 1, -1, c, -1, c + 1, -1, 2 * c, -1, 2 * c + 1, -1, 3 * c, -1, 3 * c + 1, -1);
    const __m256i red =
        _mm256_setr_epi8(2, -1, -1, -1, c + 2, -1, -1, -1, 2 * c + 2, -1, -1, -1, 3 * c + 2, -1, -1, -1, 2,
                         -1, -1, -1, c + 2, -1, -1, -1, 2 * c + 2, -1, -1, -1, 3 * c + 2, -1, -1, -1);
    const __m256i sum_blue_green =
        _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, blue_green), _mm256_set1_epi32((19235 << 16) | 3735));
    const __m256i sum_red = _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, red), _mm256_set1_epi32(9798));
    return _mm256_srli_epi32(
        _mm256_add_epi32(_mm256_add_epi32(sum_blue_green, sum_red), _mm256_set1_epi32(16384)), 15);
}

// Whole vectors of 32 pixels as long as their loads stay among the readable pixels; returns how many pixels
// were done.
template <int channels>
inline int grey_vectors(const std::uint8_t* pixels, std::uint8_t* grey, int count, int readable) {
    constexpr int step = 4 * channels;
    constexpr int overread = 16 - step;
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    int i = 0;
    for (; count - i >= 32 && (readable - i) * channels >= 32 * channels + overread; i += 32) {
        const std::uint8_t* p = pixels + i * channels;
        const __m256i a = grey8<channels>(p, p + step);
        const __m256i b = grey8<channels>(p + 2 * step, p + 3 * step);
        const __m256i c = grey8<channels>(p + 4 * step, p + 5 * step);
        const __m256i d = grey8<channels>(p + 6 * step, p + 7 * step);
        const __m256i bytes = _mm256_packus_epi16(_mm256_packus_epi32(a, b), _mm256_packus_epi32(c, d));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(grey + i), _mm256_permutevar8x32_epi32(bytes, order));
    }
    return i;
}

#else

template <int channels>
inline int grey_vectors(const std::uint8_t*, std::uint8_t*, int, int) {
    return 0;
}

#endif

template <int channels>
inline void grey_row(const std::uint8_t* pixels, std::uint8_t* grey, int count, int readable) {
    for (int i = grey_vectors<channels>(pixels, grey, count, readable); i < count; ++i)
        grey[i] = grey_of(pixels[channels * i], pixels[channels * i + 1], pixels[channels * i + 2]);
}

}  // namespace

void grey_row_bgr(const std::uint8_t* bgr, std::uint8_t* grey, int count, int readable) {
    grey_row<3>(bgr, grey, count, readable);
}

void grey_row_bgra(const std::uint8_t* bgra, std::uint8_t* grey, int count, int readable) {
    grey_row<4>(bgra, grey, count, readable);
}

void narrow_row(const std::uint16_t* wide, std::uint8_t* narrow, int count) {
    for (int i = 0; i < count; ++i) {
        const int value = wide[i];
        const int rounded = (value + 127 + ((value >> 8) & 1)) >> 8;
        narrow[i] = std::uint8_t(rounded < 255 ? rounded : 255);
    }
}

}  // namespace openface::OPENFACE_ISA
