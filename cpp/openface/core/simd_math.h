// Exponential and logistic function for eight float lanes, the same bits on every CPU. For *.kernels.cpp
// files only.
//
// exp: x = n ln 2 + r with |r| <= ln(2)/2, Taylor polynomial of degree 7 in r (truncation 5e-9 relative),
// scaled by 2^n. Error below 1.5 units in the last place. Arguments are limited to [-87, 88], so results stay
// normal floats.
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
