// Convolution of interleaved maps (row, column, channel), every output summed in the order in which the
// reference's matrix product sums it (landmark-fitting.md, section 9.2).
//
// The reference multiplies the kernels (rows: outputs) with the windows (columns: positions, row by row of
// the map). A window's terms are its input maps, each column by column, and a last one for the bias. Its
// library, OpenBLAS 0.3.21 for Haswell, takes them by two rules, S-order (one chain of fused multiply-adds)
// and I-order (two chains, of the even and of the odd terms; those that fill no group of eight go to the
// first), both with sums of more than 320 terms cut into parts (term_parts.h). Which rule holds depends on
// the tile: with outputs in eights e = 0 .. n-1 (those of an incomplete eight are always S) and positions in
// twelves,
//     positions 0 to 5 of a twelve     I for e = 0, and for e = n-1 if n is even,
//     positions 6 to 11                I for e = n-1 if n is odd,          both only for n >= 2;
//     whole fours behind the twelves   I for every e,
//     up to three positions more       S.
// The twelves are counted anew every 104512 positions.
// The outputs are the SIMD lanes, with the eights 0 and n-1 side by side in the first sixteen, so nothing
// depends on the vector width.
#pragma once

#include <cstddef>

#include "openface/core/aligned.h"
#include "openface/core/dispatch.h"

namespace openface {

struct ConvolutionWeights {
    const float* weights;  // [block of 16 lanes][term][16], without the bias
    const float* bias;     // [lane]
    const float* slopes;   // [lane], of the activation: v >= 0 ? v : slope v; 1 for none
    const int* eights;     // first output of the eight lanes
    int outputs;
    int lanes;  // a multiple of 16
    int terms;  // without the bias
};

// The map that windows lie in, and where a window's terms are, counted from its first float.
struct ConvolutionInput {
    const float* data;
    const std::ptrdiff_t* term_offsets;
    std::ptrdiff_t row_stride;
    std::ptrdiff_t position_stride;
};

// All positions of a map of height x width outputs, written one after another; up to 15 floats behind the
// last may be overwritten.
OPENFACE_KERNEL(convolve_interleaved, void(const ConvolutionWeights& layer, const ConvolutionInput& in,
                                           int height, int width, float* out));

// Max pooling of one output row of interleaved maps: `columns` outputs of `channels` floats, windows of
// kernel_x columns and `rows` rows that start stride_x columns apart and are cut at `width`. May write up to
// 7 floats more.
OPENFACE_KERNEL(pool_row_interleaved, void(const float* in, int width, int channels, int rows, int kernel_x,
                                           int stride_x, float* out, int columns));

inline constexpr int convolution_block = 16;  // lanes that are computed together

struct ConvolutionLayer {
    int outputs = 0;
    int terms = 0;
    AlignedVector<float> weights;
    AlignedVector<float> bias;
    AlignedVector<float> slopes;
    std::vector<int> eights;

    int lane_of(int output) const {
        const int eight = output / 8 * 8;
        int position = 0;
        while (eights[std::size_t(position)] != eight) ++position;
        return position * 8 + output % 8;
    }
    ConvolutionWeights view() const {
        return {weights.data(), bias.data(), slopes.data(), eights.data(), outputs, int(bias.size()), terms};
    }
};

// The first and the last complete eight of outputs, the others, and behind them padding.
inline std::vector<int> eights_by_lane(int outputs) {
    const int complete = outputs / 8;
    std::vector<int> eights;
    if (complete > 0) eights.push_back(0);
    if (complete > 1) eights.push_back(8 * (complete - 1));
    for (int eight = 1; eight < complete - 1; ++eight) eights.push_back(8 * eight);
    for (int first = 8 * complete; first < padded(outputs, convolution_block); first += 8)
        eights.push_back(first);
    return eights;
}

// weight(term, output) is the weight of a window's term.
template <class Weight>
ConvolutionLayer pack_convolution_layer(int outputs, int terms, const float* bias, Weight weight) {
    const std::size_t lanes = std::size_t(padded(outputs, convolution_block));
    ConvolutionLayer layer{outputs, terms, {}, {}, {}, eights_by_lane(outputs)};
    layer.weights.resize(lanes * std::size_t(terms));
    layer.bias.resize(lanes);
    layer.slopes.assign(lanes, 1.0f);
    for (int output = 0; output < outputs; ++output) {
        const std::size_t lane = std::size_t(layer.lane_of(output));
        layer.bias[lane] = bias[output];
        float* block =
            layer.weights.data() + lane / convolution_block * std::size_t(terms) * convolution_block;
        for (int term = 0; term < terms; ++term)
            block[std::size_t(term) * convolution_block + lane % convolution_block] = weight(term, output);
    }
    return layer;
}

}  // namespace openface
