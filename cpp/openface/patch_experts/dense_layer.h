// One fully connected layer on many inputs at once: out = activation(W in + b) (landmark-fitting.md,
// section 4.6).
//
// Each output is one chain of fused multiply-adds over the inputs in ascending order, to which the bias is
// added last, so blocking and vector width do not change a bit.
#pragma once

#include <cstddef>

#include "openface/core/dispatch.h"

namespace openface {

// The codes of the model files; 1 is the identity, as the reference treats it.
enum class Activation : int { logistic = 0, identity = 1, rectifier = 2 };

// Weights are packed in panels of 16 outputs: within a panel the 16 weights of input 0, then those of input
// 1, ...; the last panel has only as many outputs per input as are left. A panel's rows are read as whole
// vectors, so 16 floats behind weights and bias must be readable.
struct DenseLayer {
    const float* weights;
    const float* bias;
    int inputs;
    int outputs;
    Activation activation;
};

inline constexpr int dense_panel = 16;
// The floats that `outputs` outputs of one position need: results are written as whole vectors.
constexpr int dense_stride(int outputs) {
    return (outputs + dense_panel - 1) / dense_panel * dense_panel + dense_panel;
}

// Row-major outputs x inputs -> panels, in the same memory; `panel` holds dense_panel * inputs floats.
void pack_dense_weights(float* weights, int outputs, int inputs, float* panel);

// `count` inputs, `in_stride` floats apart; outputs `out_stride` floats apart.
OPENFACE_KERNEL(evaluate_dense_layer, void(const DenseLayer& layer, const float* in, std::ptrdiff_t in_stride,
                                           int count, float* out, std::ptrdiff_t out_stride));

}  // namespace openface
