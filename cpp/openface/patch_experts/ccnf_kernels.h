// The hot loops of CCNF patch experts (landmark-fitting.md, section 4.4); memory layouts are said here.
#pragma once

#include "openface/core/aligned.h"
#include "openface/core/dispatch.h"

namespace openface {

// One expert's neurons, laid out for the kernels.
struct CcnfNeurons {
    const float* weights = nullptr;      // support^2 rows (column by column of the patch) of `stride` neurons
    const float* weight_sums = nullptr;  // per neuron
    const float* biases = nullptr;
    const float* twice_alphas = nullptr;  // 0 for neurons that don't count
    int count = 0;
    int stride = 0;
};

// Sum over neurons of 2 alpha / (1 + exp(-z)) at each of the window's positions, row by row: padded(window^2,
// 16) floats. area: window + support - 1 rows, `area_stride` floats apart; it is changed (its grey level is
// shifted). scratch: ccnf_scratch_size floats.
OPENFACE_KERNEL(ccnf_neuron_responses, void(float* area, int area_stride, int window, int support,
                                            const CcnfNeurons& neurons, float* scratch, float* responses));

constexpr int ccnf_scratch_size(int window, int support) {
    const int area = window + support - 1;
    const int columns = padded(area, 8) + 16;
    const int positions = padded(window * window, 16) + 32;
    return support * (padded(area * window, 16) + 32) + 6 * columns + 2 * positions + 17 * positions;
}

// Writes a window x window map (rows `stride` apart, zero padded): each value times `factor`, raised by the
// minimum of these if that is negative.
OPENFACE_KERNEL(ccnf_write_map, void(const float* values, int window, float factor, float* map, int stride));

}  // namespace openface
