// Eight float lanes with one arithmetic on every CPU. For *.kernels.cpp files only.
//
// F8, I8 and F16 are the compilers' own vector types (or a pair of them), so +, -, *, / and comparisons are
// written as usual and mean one IEEE operation per lane. What the operators can't say stands here: fma (a*b +
// c with a single rounding, the same bits in hardware and in the portable version), loads and stores,
// conversions, gathers, and reductions in one fixed order. The build forbids the compiler to contract a*b + c
// by itself (-ffp-contract=off).
//
// F16 is one AVX-512 register or two F8. Lanes never mix except in sum(), so width does not change a bit.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(OPENFACE_ISA_AVX2) || defined(OPENFACE_ISA_AVX512)
#include <immintrin.h>
#elif defined(OPENFACE_ISA_NEON)
#include <arm_neon.h>
#endif

#define OPENFACE_INLINE [[maybe_unused]] static inline __attribute__((always_inline))

namespace openface::OPENFACE_ISA {

typedef float F8 __attribute__((vector_size(32)));
typedef std::int32_t I8 __attribute__((vector_size(32)));
typedef double D4 __attribute__((vector_size(32)));
typedef std::int64_t L4 __attribute__((vector_size(32)));
#if defined(OPENFACE_ISA_AVX2)
// GCC takes vectors wider than a register apart into single lanes, so here the pair of registers is spelt
// out.
struct D8 {
    D4 lower, upper;
};
#else
typedef double D8 __attribute__((vector_size(64)));
#endif
typedef std::int64_t L8 __attribute__((vector_size(64)));

// ---- loads, stores, broadcasts (no alignment required)

OPENFACE_INLINE F8 load(const float* p) {
    F8 v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
OPENFACE_INLINE void store(float* p, F8 v) {
    std::memcpy(p, &v, sizeof v);
}
OPENFACE_INLINE I8 load(const std::int32_t* p) {
    I8 v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
OPENFACE_INLINE void store(std::int32_t* p, I8 v) {
    std::memcpy(p, &v, sizeof v);
}
OPENFACE_INLINE F8 broadcast(float x) {
    return F8{x, x, x, x, x, x, x, x};
}
OPENFACE_INLINE I8 broadcast(std::int32_t x) {
    return I8{x, x, x, x, x, x, x, x};
}
OPENFACE_INLINE F8 zero() {
    return F8{};
}
OPENFACE_INLINE I8 iota() {
    return I8{0, 1, 2, 3, 4, 5, 6, 7};
}

// ---- conversions

OPENFACE_INLINE F8 to_float(I8 v) {
    return __builtin_convertvector(v, F8);
}
// Truncates toward zero.
OPENFACE_INLINE I8 to_int(F8 v) {
    return __builtin_convertvector(v, I8);
}
OPENFACE_INLINE I8 bits(F8 v) {
    I8 r;
    std::memcpy(&r, &v, sizeof r);
    return r;
}
OPENFACE_INLINE F8 from_bits(I8 v) {
    F8 r;
    std::memcpy(&r, &v, sizeof r);
    return r;
}
// Eight unsigned bytes to floats.
OPENFACE_INLINE F8 load_u8(const std::uint8_t* p) {
    typedef std::uint8_t U8 __attribute__((vector_size(8)));
    U8 v;
    std::memcpy(&v, p, sizeof v);
#if defined(OPENFACE_ISA_AVX2) || defined(OPENFACE_ISA_AVX512)
    std::int64_t raw;
    std::memcpy(&raw, p, sizeof raw);
    return F8(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(raw))));
#else
    return __builtin_convertvector(v, F8);
#endif
}

// ---- lane-wise functions

// mask lanes are all ones (take a) or zero (take b), as comparisons give them.
OPENFACE_INLINE F8 select(I8 mask, F8 a, F8 b) {
    return mask ? a : b;
}
OPENFACE_INLINE I8 select(I8 mask, I8 a, I8 b) {
    return mask ? a : b;
}
OPENFACE_INLINE F8 min(F8 a, F8 b) {
#if defined(OPENFACE_ISA_AVX2) || defined(OPENFACE_ISA_AVX512)
    return F8(_mm256_min_ps(__m256(a), __m256(b)));
#else
    return a < b ? a : b;
#endif
}
OPENFACE_INLINE F8 max(F8 a, F8 b) {
#if defined(OPENFACE_ISA_AVX2) || defined(OPENFACE_ISA_AVX512)
    return F8(_mm256_max_ps(__m256(a), __m256(b)));
#else
    return a > b ? a : b;
#endif
}
OPENFACE_INLINE F8 sqrt(F8 v) {
#if defined(OPENFACE_ISA_AVX2) || defined(OPENFACE_ISA_AVX512)
    return F8(_mm256_sqrt_ps(__m256(v)));
#else
    for (int i = 0; i < 8; ++i) v[i] = __builtin_sqrtf(v[i]);
    return v;
#endif
}

#if defined(OPENFACE_ISA_AVX2) || defined(OPENFACE_ISA_AVX512)
OPENFACE_INLINE F8 fma(F8 a, F8 b, F8 c) {
    return F8(_mm256_fmadd_ps(__m256(a), __m256(b), __m256(c)));
}
OPENFACE_INLINE float fma(float a, float b, float c) {
    return __builtin_fmaf(a, b, c);
}
#elif defined(OPENFACE_ISA_NEON)
OPENFACE_INLINE F8 fma(F8 a, F8 b, F8 c) {
    float32x4_t av[2], bv[2], cv[2];
    std::memcpy(av, &a, sizeof a);
    std::memcpy(bv, &b, sizeof b);
    std::memcpy(cv, &c, sizeof c);
    cv[0] = vfmaq_f32(cv[0], av[0], bv[0]);
    cv[1] = vfmaq_f32(cv[1], av[1], bv[1]);
    F8 r;
    std::memcpy(&r, cv, sizeof r);
    return r;
}
OPENFACE_INLINE float fma(float a, float b, float c) {
    return __builtin_fmaf(a, b, c);
}
#else
// Without the instruction: the product of two floats is exact in double, the sum is rounded to odd (Boldo and
// Melquiond 2008), and then the rounding to float is the only one that counts. A library fmaf would give the
// same bits, one slow call per lane.
OPENFACE_INLINE F8 fma(F8 a, F8 b, F8 c) {
    const D8 product = __builtin_convertvector(a, D8) * __builtin_convertvector(b, D8);
    const D8 addend = __builtin_convertvector(c, D8);
    const D8 sum = product + addend;
    const D8 part = sum - product;
    const D8 error = (product - (sum - part)) + (addend - part);
    L8 pattern;
    std::memcpy(&pattern, &sum, sizeof pattern);
    const L8 inexact = (error > 0.0) | (error < 0.0);
    const L8 even = (pattern & 1) == 0;
    const L8 away = (error > 0.0) == (sum > 0.0);
    pattern += (inexact & even) & (away ? L8{} + 1 : L8{} - 1);
    D8 odd;
    std::memcpy(&odd, &pattern, sizeof odd);
    return __builtin_convertvector(odd, F8);
}
OPENFACE_INLINE float fma(float a, float b, float c) {
    return fma(broadcast(a), broadcast(b), broadcast(c))[0];
}
#endif

// Rounds to the nearest integer, halves to even; |v| < 2^22.
OPENFACE_INLINE F8 round_even(F8 v) {
    const F8 magic = broadcast(12582912.0f);  // 1.5 * 2^23
    return (v + magic) - magic;
}
OPENFACE_INLINE I8 floor_int(F8 v) {
    const I8 t = to_int(v);
    return t + (to_float(t) > v);  // a true comparison is -1
}

// Values table[index[lane]].
OPENFACE_INLINE F8 gather(const float* table, I8 index) {
#if defined(OPENFACE_ISA_AVX2) || defined(OPENFACE_ISA_AVX512)
    return F8(_mm256_i32gather_ps(table, __m256i(index), 4));
#else
    F8 r;
    for (int i = 0; i < 8; ++i) r[i] = table[index[i]];
    return r;
#endif
}
// The four bytes at base + offset[lane], as one little-endian word per lane.
OPENFACE_INLINE I8 gather_bytes4(const std::uint8_t* base, I8 offset) {
#if defined(OPENFACE_ISA_AVX2) || defined(OPENFACE_ISA_AVX512)
    return I8(_mm256_i32gather_epi32(reinterpret_cast<const int*>(base), __m256i(offset), 1));
#else
    I8 r;
    for (int i = 0; i < 8; ++i) {
        std::int32_t word;
        std::memcpy(&word, base + offset[i], sizeof word);
        r[i] = word;
    }
    return r;
#endif
}

// rows[i][j] <-> rows[j][i]
OPENFACE_INLINE void transpose(F8 (&rows)[8]) {
    F8 pairs[8], quads[8];
    for (int i = 0; i < 8; i += 2) {
        pairs[i] = __builtin_shufflevector(rows[i], rows[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        pairs[i + 1] = __builtin_shufflevector(rows[i], rows[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; ++j) {
            quads[i + 2 * j] =
                __builtin_shufflevector(pairs[i + j], pairs[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
            quads[i + 2 * j + 1] =
                __builtin_shufflevector(pairs[i + j], pairs[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (int i = 0; i < 4; ++i) {
        rows[i] = __builtin_shufflevector(quads[i], quads[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        rows[i + 4] = __builtin_shufflevector(quads[i], quads[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

// ---- reduction: the engine's one order for the sum of eight lanes

OPENFACE_INLINE float sum(F8 v) {
    const float a = v[0] + v[4], b = v[1] + v[5], c = v[2] + v[6], d = v[3] + v[7];
    return (a + c) + (b + d);
}

// ---- sixteen lanes

#if defined(OPENFACE_ISA_AVX512)
typedef float F16 __attribute__((vector_size(64)));
OPENFACE_INLINE F16 load16(const float* p) {
    F16 v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
OPENFACE_INLINE void store(float* p, F16 v) {
    std::memcpy(p, &v, sizeof v);
}
OPENFACE_INLINE F16 broadcast16(float x) {
    return F16(_mm512_set1_ps(x));
}
OPENFACE_INLINE F16 fma(F16 a, F16 b, F16 c) {
    return F16(_mm512_fmadd_ps(__m512(a), __m512(b), __m512(c)));
}
OPENFACE_INLINE F8 low(F16 v) {
    return F8(_mm512_castps512_ps256(__m512(v)));
}
OPENFACE_INLINE F8 high(F16 v) {
    return F8(_mm512_extractf32x8_ps(__m512(v), 1));
}
OPENFACE_INLINE F16 join(F8 lower, F8 upper) {
    return F16(_mm512_insertf32x8(_mm512_castps256_ps512(__m256(lower)), __m256(upper), 1));
}
OPENFACE_INLINE F16 max(F16 a, F16 b) {
    return F16(_mm512_max_ps(__m512(a), __m512(b)));
}
#else
struct F16 {
    F8 lower, upper;
};
OPENFACE_INLINE F16 load16(const float* p) {
    return {load(p), load(p + 8)};
}
OPENFACE_INLINE void store(float* p, F16 v) {
    store(p, v.lower);
    store(p + 8, v.upper);
}
OPENFACE_INLINE F16 broadcast16(float x) {
    return {broadcast(x), broadcast(x)};
}
OPENFACE_INLINE F16 fma(F16 a, F16 b, F16 c) {
    return {fma(a.lower, b.lower, c.lower), fma(a.upper, b.upper, c.upper)};
}
OPENFACE_INLINE F16 operator+(F16 a, F16 b) {
    return {a.lower + b.lower, a.upper + b.upper};
}
OPENFACE_INLINE F16 operator-(F16 a, F16 b) {
    return {a.lower - b.lower, a.upper - b.upper};
}
OPENFACE_INLINE F16 operator*(F16 a, F16 b) {
    return {a.lower * b.lower, a.upper * b.upper};
}
OPENFACE_INLINE F8 low(F16 v) {
    return v.lower;
}
OPENFACE_INLINE F8 high(F16 v) {
    return v.upper;
}
OPENFACE_INLINE F16 join(F8 lower, F8 upper) {
    return {lower, upper};
}
OPENFACE_INLINE F16 max(F16 a, F16 b) {
    return {max(a.lower, b.lower), max(a.upper, b.upper)};
}
#endif

// ---- doubles: eight lanes, for accumulators that the specification keeps in double

#if defined(OPENFACE_ISA_AVX2)
OPENFACE_INLINE D8 operator+(D8 a, D8 b) {
    return {a.lower + b.lower, a.upper + b.upper};
}
OPENFACE_INLINE D8 operator-(D8 a, D8 b) {
    return {a.lower - b.lower, a.upper - b.upper};
}
OPENFACE_INLINE D8 operator*(D8 a, D8 b) {
    return {a.lower * b.lower, a.upper * b.upper};
}
OPENFACE_INLINE D8 operator+(D8 a, double b) {
    return {a.lower + b, a.upper + b};
}
OPENFACE_INLINE D8 operator-(D8 a, double b) {
    return {a.lower - b, a.upper - b};
}
OPENFACE_INLINE D8 operator*(D8 a, double b) {
    return {a.lower * b, a.upper * b};
}
OPENFACE_INLINE D8 operator/(D8 a, double b) {
    return {a.lower / b, a.upper / b};
}
OPENFACE_INLINE D8 operator/(D8 a, D8 b) {
    return {a.lower / b.lower, a.upper / b.upper};
}
OPENFACE_INLINE D8& operator+=(D8& a, D8 b) {
    a.lower += b.lower;
    a.upper += b.upper;
    return a;
}
OPENFACE_INLINE D8& operator-=(D8& a, D8 b) {
    a.lower -= b.lower;
    a.upper -= b.upper;
    return a;
}
OPENFACE_INLINE D8 to_double(F8 v) {
    return {D4(_mm256_cvtps_pd(_mm256_castps256_ps128(__m256(v)))),
            D4(_mm256_cvtps_pd(_mm256_extractf128_ps(__m256(v), 1)))};
}
OPENFACE_INLINE F8 to_float(D8 v) {
    return F8(_mm256_set_m128(_mm256_cvtpd_ps(__m256d(v.upper)), _mm256_cvtpd_ps(__m256d(v.lower))));
}
OPENFACE_INLINE D8 to_double(I8 v) {
    return {D4(_mm256_cvtepi32_pd(_mm256_castsi256_si128(__m256i(v)))),
            D4(_mm256_cvtepi32_pd(_mm256_extracti128_si256(__m256i(v), 1)))};
}
// Truncates toward zero.
OPENFACE_INLINE I8 to_int(D8 v) {
    return I8(_mm256_set_m128i(_mm256_cvttpd_epi32(__m256d(v.upper)), _mm256_cvttpd_epi32(__m256d(v.lower))));
}
// The first `count` lanes; zero in the others.
OPENFACE_INLINE D8 first_lanes(D8 v, int count) {
    const L4 lane = {0, 1, 2, 3};
    return {lane < count ? v.lower : D4{}, lane + 4 < count ? v.upper : D4{}};
}
OPENFACE_INLINE D8 broadcast8d(double x) {
    return {D4{x, x, x, x}, D4{x, x, x, x}};
}
OPENFACE_INLINE double sum(D8 v) {
    const D4 pairs = v.lower + v.upper;
    return (pairs[0] + pairs[2]) + (pairs[1] + pairs[3]);
}
#else
// GCC makes two conversions of half a register each out of the one that AVX-512 has.
OPENFACE_INLINE D8 to_double(F8 v) {
#if defined(OPENFACE_ISA_AVX512)
    return D8(_mm512_cvtps_pd(__m256(v)));
#else
    return __builtin_convertvector(v, D8);
#endif
}
OPENFACE_INLINE F8 to_float(D8 v) {
    return __builtin_convertvector(v, F8);
}
OPENFACE_INLINE D8 to_double(I8 v) {
    return __builtin_convertvector(v, D8);
}
OPENFACE_INLINE I8 to_int(D8 v) {
    return __builtin_convertvector(v, I8);
}
OPENFACE_INLINE D8 first_lanes(D8 v, int count) {
    const L8 lane = {0, 1, 2, 3, 4, 5, 6, 7};
    return lane < count ? v : D8{};
}
OPENFACE_INLINE D8 broadcast8d(double x) {
    return D8{x, x, x, x, x, x, x, x};
}
OPENFACE_INLINE double sum(D8 v) {
    const double a = v[0] + v[4], b = v[1] + v[5], c = v[2] + v[6], d = v[3] + v[7];
    return (a + c) + (b + d);
}
#endif
#if defined(OPENFACE_ISA_AVX2)
OPENFACE_INLINE D8 load8d(const double* p) {
    return {D4(_mm256_loadu_pd(p)), D4(_mm256_loadu_pd(p + 4))};
}
OPENFACE_INLINE void store(double* p, D8 v) {
    _mm256_storeu_pd(p, __m256d(v.lower));
    _mm256_storeu_pd(p + 4, __m256d(v.upper));
}
#else
OPENFACE_INLINE D8 load8d(const double* p) {
    D8 v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
OPENFACE_INLINE void store(double* p, D8 v) {
    std::memcpy(p, &v, sizeof v);
}
#endif

}  // namespace openface::OPENFACE_ISA
