// Dot products of vectors with many weight vectors: fully connected layers, also as convolutions of 1 x 1.
//
// Outputs are the SIMD lanes, in blocks of 16. A layer is summed in one of the two ways that the reference
// has, depending on the layer:
//   in floats   the bias, plus the sum of each part of the terms (term_parts.h), which is one chain of fused
//               multiply-adds from zero on;
//   in doubles  rounded to float at the end.
// Nothing depends on the vector width.
#pragma once

#include <cstddef>

#include "openface/core/aligned.h"
#include "openface/core/dispatch.h"

namespace openface {

struct DotWeights {
    const float* weights;  // [block of 16 outputs][term][16]
    const float* bias;     // padded to whole blocks
    const float* slopes;   // of the activation: v >= 0 ? v : slope v; 1 for none; padded to whole blocks
    int outputs;
    int terms;
};

// Reads in[vector * terms + 0 .. terms) and writes the outputs of each vector one after another; up to 15
// floats behind the last one may be overwritten.
OPENFACE_KERNEL(dot_vectors, void(const DotWeights& layer, const float* in, int vectors, float* out));

// The same, summed in doubles. The bias is added before rounding, or to the rounded sum. Reads up to 7 floats
// behind the last vector.
enum class BiasRounding { together, apart };
OPENFACE_KERNEL(dot_vectors_in_double,
                void(const DotWeights& layer, BiasRounding bias, const float* in, int vectors, float* out));

inline constexpr int dot_block = 16;
inline constexpr int dot_slack = 16;  // floats that an input or output buffer needs behind its end

struct DotLayer {
    int outputs = 0;
    int terms = 0;
    AlignedVector<float> weights;
    AlignedVector<float> bias;
    AlignedVector<float> slopes;

    DotWeights view() const { return {weights.data(), bias.data(), slopes.data(), outputs, terms}; }
};

template <class Weight>
DotLayer pack_dot_layer(int outputs, int terms, const float* bias, Weight weight) {
    DotLayer layer{outputs, terms, {}, {}, {}};
    const int lanes = padded(outputs, dot_block);
    layer.weights.resize(std::size_t(lanes) * std::size_t(terms));
    layer.bias.resize(std::size_t(lanes));
    layer.slopes.assign(std::size_t(lanes), 1.0f);
    for (int output = 0; output < outputs; ++output) {
        layer.bias[std::size_t(output)] = bias[output];
        float* block =
            layer.weights.data() + std::size_t(output / dot_block) * std::size_t(terms) * dot_block;
        for (int term = 0; term < terms; ++term)
            block[term * dot_block + output % dot_block] = weight(term, output);
    }
    return layer;
}

}  // namespace openface
