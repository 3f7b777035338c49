// Exponentials and the logistic function for eight lanes, the same bits on every CPU. For *.kernels.cpp files
// only.
//
// exp of floats: x = n ln 2 + r with |r| <= ln(2)/2, Taylor polynomial of degree 7 in r (truncation 5e-9
// relative), scaled by 2^n. Error below 1.5 units in the last place. Arguments are limited to [-87, 88], so
// results stay normal floats.
//
// exp of doubles: x = n ln(2)/16 + r with |r| <= ln(2)/32, Taylor polynomial of degree 7 in r (truncation
// 1e-18 relative), times 2^(n/16) from a table of sixteen. Error below 1 unit in the last place: where the
// reference rounds a double exponential to float, the same float comes out but for about one value in 10^8.
// For |x| <= 700.
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

alignas(64) constexpr double powers_of_two[16] = {1.0,
                                                  1.0442737824274138,
                                                  1.0905077326652577,
                                                  1.1387886347566916,
                                                  1.189207115002721,
                                                  1.241857812073484,
                                                  1.2968395546510096,
                                                  1.3542555469368927,
                                                  1.4142135623730951,
                                                  1.4768261459394993,
                                                  1.5422108254079407,
                                                  1.6104903319492543,
                                                  1.681792830507429,
                                                  1.7562521603732995,
                                                  1.8340080864093424,
                                                  1.9152065613971474};
#if defined(OPENFACE_ISA_AVX512)
OPENFACE_INLINE D8 power_of_two(L8 sixteenths) {
    return D8(_mm512_permutex2var_pd(_mm512_load_pd(powers_of_two), __m512i(sixteenths),
                                     _mm512_load_pd(powers_of_two + 8)));
}
#elif defined(OPENFACE_ISA_AVX2)
OPENFACE_INLINE D4 power_of_two(L4 sixteenths) {
    return D4(_mm256_i64gather_pd(powers_of_two, __m256i(sixteenths & 15), 8));
}
#else
OPENFACE_INLINE D8 power_of_two(L8 sixteenths) {
    D8 r;
    for (int i = 0; i < 8; ++i) r[i] = powers_of_two[sixteenths[i] & 15];
    return r;
}
#endif

template <class Doubles, class Integers>
OPENFACE_INLINE Doubles exp_of_doubles(Doubles x) {
    // 16 / ln 2; adding 1.5 * 2^52 rounds to n.
    const Doubles shifted = x * 23.083120654223414 + 6755399441055744.0;
    const Doubles n = shifted - 6755399441055744.0;
    // ln(2) / 16 in two parts; the first has 32 bits, so the product is exact.
    const Doubles r = (x - n * 0.04332169877307024) - n * 1.1926343307941173e-11;
    Doubles p = r * (1.0 / 5040.0) + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * (r * r) + r;
    Integers pattern;
    std::memcpy(&pattern, &shifted, sizeof pattern);
    Doubles power = power_of_two(pattern);
    Integers scaled;
    std::memcpy(&scaled, &power, sizeof scaled);
    scaled += (pattern >> 4) << 52;
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
// The exponential of floats, limited to [-700, 700], in double.
OPENFACE_INLINE D8 exp_in_double(F8 x) {
    return exp(to_double(min(max(x, broadcast(-700.0f)), broadcast(700.0f))));
}

// Powers of two for exp_as_glibc: 2^(i/32), of which i * 2^47 is subtracted as bits, so that n/32 can be
// added to the exponent without taking n apart.
alignas(64) constexpr std::uint64_t thirty_second_powers[32] = {
    0x3ff0000000000000, 0x3fefd9b0d3158574, 0x3fefb5586cf9890f, 0x3fef9301d0125b51, 0x3fef72b83c7d517b,
    0x3fef54873168b9aa, 0x3fef387a6e756238, 0x3fef1e9df51fdee1, 0x3fef06fe0a31b715, 0x3feef1a7373aa9cb,
    0x3feedea64c123422, 0x3feece086061892d, 0x3feebfdad5362a27, 0x3feeb42b569d4f82, 0x3feeab07dd485429,
    0x3feea47eb03a5585, 0x3feea09e667f3bcd, 0x3fee9f75e8ec5f74, 0x3feea11473eb0187, 0x3feea589994cce13,
    0x3feeace5422aa0db, 0x3feeb737b0cdc5e5, 0x3feec49182a3f090, 0x3feed503b23e255d, 0x3feee89f995ad3ad,
    0x3feeff76f2fb5e47, 0x3fef199bdd85529c, 0x3fef3720dcef9069, 0x3fef5818dcfba487, 0x3fef7c97337b9b5f,
    0x3fefa4afa2a490da, 0x3fefd0765b6e4540};
#if defined(OPENFACE_ISA_AVX512)
OPENFACE_INLINE L8 thirty_second_power(L8 index) {
    return L8(_mm512_i64gather_epi64(__m512i(index), thirty_second_powers, 8));
}
#elif defined(OPENFACE_ISA_AVX2)
OPENFACE_INLINE L4 thirty_second_power(L4 index) {
    return L4(
        _mm256_i64gather_epi64(reinterpret_cast<const long long*>(thirty_second_powers), __m256i(index), 8));
}
#else
OPENFACE_INLINE L8 thirty_second_power(L8 index) {
    L8 r;
    for (int i = 0; i < 8; ++i) r[i] = std::int64_t(thirty_second_powers[index[i]]);
    return r;
}
#endif

template <class Doubles, class Integers>
OPENFACE_INLINE Doubles exp_as_glibc(Doubles x) {
    x = x < -104.0 ? Doubles{} - 104.0 : x;                        // less than half of the smallest float
    x = x > 89.0 ? Doubles{} + 89.0 : x;                           // infinite as a float
    const Doubles shifted = x * 0x1.71547652b82fep+5 + 0x1.8p+52;  // 32 / ln 2; 1.5 * 2^52 rounds to n
    const Doubles n = shifted - 0x1.8p+52;
    const Doubles r = (x * 0x1.715476p+5 - n) + x * 0x1.4ae0bf8p-21;
    const Doubles p =
        (r * 0x1.c6af84b912394p-20 + 0x1.ebfce50fac4f3p-13) * (r * r) + (r * 0x1.62e42ff0c52d6p-6 + 1.0);
    Integers pattern;
    std::memcpy(&pattern, &shifted, sizeof pattern);
    const Integers scaled = thirty_second_power(pattern & 31) + (pattern << 47);
    Doubles power;
    std::memcpy(&power, &scaled, sizeof power);
    return p * power;
}

// The exponential of floats as glibc has it (2.27 and later), to the last bit of every result: x = n ln(2)/32
// + r in double, a cubic polynomial of r times 2^(n/32), one rounding to float. glibc computes r with a fused
// multiply-add; here 32 / ln 2 is in two parts, the first of 24 bits.
OPENFACE_INLINE F8 exp_as_glibc(F8 x) {
#if defined(OPENFACE_ISA_AVX2)
    const D8 wide = to_double(x);
    return to_float(D8{exp_as_glibc<D4, L4>(wide.lower), exp_as_glibc<D4, L4>(wide.upper)});
#else
    return to_float(exp_as_glibc<D8, L8>(to_double(x)));
#endif
}

// 1 / (1 + exp(-x)), each operation rounded to float.
OPENFACE_INLINE F8 logistic(F8 x) {
    const F8 one = broadcast(1.0f);
    return one / (one + exp_as_glibc(-x));
}

}  // namespace openface::OPENFACE_ISA
