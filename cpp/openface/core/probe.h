// Small functions that expose the engine's arithmetic to tests: does every instruction set give the same
// bits?
#pragma once

#include "openface/core/dispatch.h"

namespace openface {

// out[i] = a[i] * b[i] + c[i], rounded once.
OPENFACE_KERNEL(probe_fma, void(const float* a, const float* b, const float* c, float* out, int count));
// out[i] = exp(x[i]) with the engine's exponential.
OPENFACE_KERNEL(probe_exp, void(const float* x, float* out, int count));

}  // namespace openface
