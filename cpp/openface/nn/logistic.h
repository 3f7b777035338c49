// The logistic activation. No published network has one, so it is not worth a kernel.
#pragma once

#include <cstddef>

#include "openface/core/math.h"

namespace openface {

inline void apply_logistic(float* values, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) values[i] = float(1.0 / (1.0 + math::exp(-double(values[i]))));
}

}  // namespace openface
