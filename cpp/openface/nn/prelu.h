// The activation of convolutions and dot layers: v, or slope times v where v is negative. For *.kernels.cpp
// files only.
#pragma once

#include "openface/core/simd.h"

namespace openface::OPENFACE_ISA {

OPENFACE_INLINE F16 activate(F16 v, F16 slope) {
#if defined(OPENFACE_ISA_AVX512)
    return F16(_mm512_mask_mul_ps(__m512(v), _mm512_cmp_ps_mask(__m512(v), _mm512_setzero_ps(), _CMP_LT_OQ),
                                  __m512(v), __m512(slope)));
#else
    return join(select(low(v) < zero(), low(v) * low(slope), low(v)),
                select(high(v) < zero(), high(v) * high(slope), high(v)));
#endif
}

}  // namespace openface::OPENFACE_ISA
