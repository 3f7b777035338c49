// The hot loops of CCNF patch experts (landmark-fitting.md, section 4.4); memory layouts are said here.
#pragma once

#include <cstddef>

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

// Experts of one support and their areas of interest, evaluated together: window + support - 1 rows, readable
// for eight floats behind the last one. Memory that is needed next, such as the expert's association matrix,
// can be announced.
inline constexpr int ccnf_batch_size = 8;
struct CcnfBatch {
    int count = 0;
    const float* areas[ccnf_batch_size] = {};
    CcnfNeurons neurons[ccnf_batch_size];
    const void* upcoming[ccnf_batch_size] = {};
    std::size_t upcoming_bytes = 0;
    float* responses[ccnf_batch_size] = {};  // padded(window^2, 16) floats each, written up to window^2
};

// Sum over neurons of 2 alpha / (1 + exp(-z)) at each of the window's positions, row by row, with the
// reference's order of operations (section 9.3, items 7 and 8). Rows of the areas are `area_stride` floats
// apart. scratch: ccnf_scratch_size floats.
OPENFACE_KERNEL(ccnf_neuron_responses,
                void(const CcnfBatch& batch, int area_stride, int window, int support, float* scratch));

inline constexpr int ccnf_experts_together = 4;  // in the statistics of small windows
constexpr int ccnf_scratch_size(int window, int support) {
    const int positions = padded(window * window, 16) + 96;
    const int compact = support * (padded((window + support - 1) * window, 16) + 32);
    const int last = 8 * support * (support + 8);
    const int patches = ccnf_experts_together * compact;
    return (patches > last ? patches : last) + (2 * ccnf_experts_together + 16) * positions;
}

// Writes a window x window map (rows `stride` apart, zero padded): each value times `factor`, raised by the
// minimum of these if that is negative.
OPENFACE_KERNEL(ccnf_write_map, void(const float* values, int window, float factor, float* map, int stride));

}  // namespace openface
