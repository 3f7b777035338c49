// One fully connected layer on many inputs at once: out = activation(W in + b) (landmark-fitting.md,
// section 4.6).
//
// The reference multiplies the matrix of all inputs (positions x terms) by the transposed weights with
// OpenBLAS 0.3.21 on Haswell, whose order of additions depends on where an output of a position lies. S-order
// is one chain of fused multiply-adds over the terms in ascending order. I-order has two, one of the terms
// with even numbers, one of those with odd ones; terms after a multiple of eight all belong to the first; the
// two are added up in the end. Let n be the number of complete eights of positions, counted from 0. In
// I-order are
//   - outputs 0-5 of each complete twelve: eight 0, and eight n - 1 if n is even (only if n is at least 2);
//   - outputs 6-11 of each complete twelve: eight n - 1 if n is odd (only if n is at least 2);
//   - the complete fours of outputs that are left: all n eights.
// Everything else is in S-order. Many terms are cut into parts that are added up (term_parts.h), and more
// than 320 positions (windows from 19 on) are cut in the same way, each part being counted anew; there, and
// only there, OpenBLAS has another order if eight to eleven outputs are left behind the last twelve. The bias
// is added last.
#pragma once

#include <cstddef>

#include "openface/core/dispatch.h"

namespace openface {

// The codes of the model files; 1 is the identity, as the reference treats it.
enum class Activation : int { logistic = 0, identity = 1, rectifier = 2 };

// The outputs of a layer in lanes, so that eight lanes have one order of additions: the first sixes of all
// twelves, the second sixes, the fours, the rest, each filled up to a multiple of eight lanes.
struct DenseLanes {
    int twelves;
    int in_fours;
    int rest;
    int second_sixes;  // where these lanes begin
    int fours;
    int last;
    int count;
};
constexpr DenseLanes dense_lanes(int outputs) {
    const auto eights = [](int count) { return (count + 7) / 8 * 8; };
    const int twelves = outputs / 12;
    const int in_fours = outputs % 12 / 4 * 4;
    const int rest = outputs % 4;
    const int sixes = eights(6 * twelves);
    const int fours = 2 * sixes;
    const int last = fours + eights(in_fours);
    return {twelves, in_fours, rest, sixes, fours, last, last + eights(rest)};
}

// Weights are packed in panels of 16 lanes: within a panel the 16 weights of term 0, then those of term
// 1, ...; the last panel may have eight lanes. Panels are read as whole vectors, so 16 floats behind weights
// and bias must be readable.
struct DenseLayer {
    const float* weights;
    const float* bias;
    int inputs;
    DenseLanes lanes;
    Activation activation;
};

inline constexpr int dense_panel = 16;
// The floats that `outputs` outputs of one position need: results are written as whole vectors.
constexpr int dense_stride(int outputs) {
    return (dense_lanes(outputs).count + dense_panel - 1) / dense_panel * dense_panel + dense_panel;
}

// Row-major outputs x inputs -> panels, dense_lanes(outputs).count * inputs floats.
void pack_dense_weights(const float* weights, int outputs, int inputs, float* panels);
// One value per output -> one per lane.
void pack_dense_bias(const float* bias, int outputs, float* lanes);

// `count` inputs, `in_stride` floats apart; outputs `out_stride` floats apart, at least
// dense_stride(outputs). `lanes` has room for as much as `out`; it overlaps with neither `in` nor `out`,
// which may be the same.
OPENFACE_KERNEL(evaluate_dense_layer, void(const DenseLayer& layer, const float* in, std::ptrdiff_t in_stride,
                                           int count, float* lanes, float* out, std::ptrdiff_t out_stride));

}  // namespace openface
