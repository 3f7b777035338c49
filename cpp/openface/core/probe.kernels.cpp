#include "openface/core/probe.h"

#include "openface/core/simd_math.h"

namespace openface::OPENFACE_ISA {

// Counts are multiples of 8; the bindings pad.
void probe_fma(const float* a, const float* b, const float* c, float* out, int count) {
    for (int i = 0; i < count; i += 8) store(out + i, fma(load(a + i), load(b + i), load(c + i)));
}

void probe_exp(const float* x, float* out, int count) {
    for (int i = 0; i < count; i += 8) store(out + i, exp(load(x + i)));
}

}  // namespace openface::OPENFACE_ISA
