// Exponential and logistic function for eight lanes, the same bits on every CPU. For *.kernels.cpp files
// only.
//
// exp of floats: x = n ln 2 + r with |r| <= ln(2)/2, Taylor polynomial of degree 7 in r (truncation 5e-9
// relative), scaled by 2^n. Error below 1.5 units in the last place. Arguments are limited to [-87, 88], so
// results stay normal floats.
//
// exp of doubles: x = n ln(2)/8 + r with |r| <= ln(2)/16, Taylor polynomial of degree 8 in r (truncation
// 2e-18 relative), times 2^(n/8) from a table of eight. Error below 1 unit in the last place: where the
// reference rounds a double exponential to float, the same float comes out but for about one value in 10^8.
// Arguments are limited to [-700, 700].
#pragma once

#include "openface/core/simd.h"

namespace openface::OPENFACE_ISA {

OPENFACE_INLINE F8 exp(F8 x) {
    x = min(max(x, broadcast(-87.0f)), broadcast(88.0f));
    const F8 n = round_even(x * broadcast(1.44269504088896341f));
    F8 r = fma(n, broadcast(-0.693359375f),
               x);  // ln 2 in two parts; the first has few bits, so the product is exact
    r = fma(n, broadcast(2.12194440054690583e-4f), r);
    F8 p = broadcast(1.0f / 5040.0f);
    p = fma(p, r, broadcast(1.0f / 720.0f));
    p = fma(p, r, broadcast(1.0f / 120.0f));
    p = fma(p, r, broadcast(1.0f / 24.0f));
    p = fma(p, r, broadcast(1.0f / 6.0f));
    p = fma(p, r, broadcast(0.5f));
    p = fma(p, r, broadcast(1.0f));
    p = fma(p, r, broadcast(1.0f));
    return p * from_bits((to_int(n) + 127) << 23);
}

alignas(64) constexpr double eighth_powers_of_two[8] = {1.0,
                                                        1.0905077326652577,
                                                        1.189207115002721,
                                                        1.2968395546510096,
                                                        1.4142135623730951,
                                                        1.5422108254079407,
                                                        1.681792830507429,
                                                        1.8340080864093424};
#if defined(OPENFACE_ISA_AVX512)
OPENFACE_INLINE D8 eighth_power(L8 index) {
    return D8(_mm512_permutexvar_pd(__m512i(index), _mm512_load_pd(eighth_powers_of_two)));
}
#elif defined(OPENFACE_ISA_AVX2)
OPENFACE_INLINE D4 eighth_power(L4 index) {
    return D4(_mm256_i64gather_pd(eighth_powers_of_two, __m256i(index), 8));
}
#else
OPENFACE_INLINE D8 eighth_power(L8 index) {
    D8 r;
    for (int i = 0; i < 8; ++i) r[i] = eighth_powers_of_two[index[i]];
    return r;
}
#endif

template <class Doubles, class Integers>
OPENFACE_INLINE Doubles exp_of_doubles(Doubles x) {
    x = x < -700.0 ? Doubles{} - 700.0 : x;
    x = x > 700.0 ? Doubles{} + 700.0 : x;
    const Doubles shifted = x * 11.541560327111707 + 6755399441055744.0;  // 8 / ln 2; 1.5 * 2^52 rounds to n
    const Doubles n = shifted - 6755399441055744.0;
    // ln(2) / 8 in two parts; the first has 32 bits, so the product is exact.
    const Doubles r = (x - n * 0.08664339754614048) - n * 2.3852686615882346e-11;
    Doubles p = r * (1.0 / 40320.0) + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * (r * r) + r;
    Integers pattern;
    std::memcpy(&pattern, &shifted, sizeof pattern);
    Doubles power = eighth_power(pattern & 7);
    Integers scaled;
    std::memcpy(&scaled, &power, sizeof scaled);
    scaled += (pattern & ~std::int64_t(7)) << 49;
    std::memcpy(&power, &scaled, sizeof power);
    return power * p + power;
}
#if defined(OPENFACE_ISA_AVX2)
OPENFACE_INLINE D8 exp(D8 x) {
    return {exp_of_doubles<D4, L4>(x.lower), exp_of_doubles<D4, L4>(x.upper)};
}
#else
OPENFACE_INLINE D8 exp(D8 x) {
    return exp_of_doubles<D8, L8>(x);
}
#endif

// 1 / (1 + exp(-x))
OPENFACE_INLINE F8 logistic(F8 x) {
    const F8 one = broadcast(1.0f);
    return one / (one + exp(-x));
}

#if defined(OPENFACE_ISA_AVX512)
// The same for sixteen lanes.
OPENFACE_INLINE F16 exp(F16 x) {
    x = F16(_mm512_min_ps(_mm512_max_ps(__m512(x), _mm512_set1_ps(-87.0f)), _mm512_set1_ps(88.0f)));
    const F16 magic = broadcast16(12582912.0f);
    const F16 n = (x * broadcast16(1.44269504088896341f) + magic) - magic;
    F16 r = fma(n, broadcast16(-0.693359375f), x);
    r = fma(n, broadcast16(2.12194440054690583e-4f), r);
    F16 p = broadcast16(1.0f / 5040.0f);
    p = fma(p, r, broadcast16(1.0f / 720.0f));
    p = fma(p, r, broadcast16(1.0f / 120.0f));
    p = fma(p, r, broadcast16(1.0f / 24.0f));
    p = fma(p, r, broadcast16(1.0f / 6.0f));
    p = fma(p, r, broadcast16(0.5f));
    p = fma(p, r, broadcast16(1.0f));
    p = fma(p, r, broadcast16(1.0f));
    const __m512i exponent = _mm512_add_epi32(_mm512_cvttps_epi32(__m512(n)), _mm512_set1_epi32(127));
    return p * F16(_mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23)));
}
OPENFACE_INLINE F16 logistic(F16 x) {
    const F16 one = broadcast16(1.0f);
    return one / (one + exp(-x));
}
#endif

}  // namespace openface::OPENFACE_ISA
