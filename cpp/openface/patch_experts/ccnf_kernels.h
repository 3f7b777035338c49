// The hot loops of CCNF patch experts (landmark-fitting.md, section 4.4); memory layouts are said here.
#pragma once

#include "openface/core/aligned.h"
#include "openface/core/dispatch.h"

namespace openface {

inline constexpr int ccnf_largest_support = 31;

// One expert's neurons, laid out for the kernels. Rows of weights and the biases are read as whole vectors.
struct CcnfNeurons {
    const float* weights = nullptr;  // support^2 rows (column by column of the patch) of `stride` neurons
    const float* biases = nullptr;
    const double* twice_alphas = nullptr;  // 0 for neurons that don't count
    int count = 0;
    int stride = 0;
};

// Sum over neurons of 2 alpha / (1 + exp(-z)) at each of the window's positions, row by row: padded(window^2,
// 16) floats, with the reference's order of operations (section 9.3, items 7 and 8). area: window + support -
// 1 rows, `area_stride` floats apart. scratch: ccnf_scratch_size floats.
OPENFACE_KERNEL(ccnf_neuron_responses, void(const float* area, int area_stride, int window, int support,
                                            const CcnfNeurons& neurons, float* scratch, float* responses));

constexpr int ccnf_scratch_size(int window, int support) {
    const int positions = padded(window * window, 16) + 32;
    return support * (padded((window + support - 1) * window, 16) + 32) + 16 * positions;
}

// Writes a window x window map (rows `stride` apart, zero padded): each value times `factor`, raised by the
// minimum of these if that is negative.
OPENFACE_KERNEL(ccnf_write_map, void(const float* values, int window, float factor, float* map, int stride));

}  // namespace openface
