// Dot products of a window with many weight vectors: convolutions of interleaved maps and fully connected
// layers alike.
//
// In an interleaved map (row, column, channel) one kernel row covers a contiguous run of kernel_width *
// channels floats, so a convolution's output at one position is a sum over kernel rows of dot products with
// such runs, and the next position starts `channels` floats later. A fully connected layer is the same with
// one row, and its positions are the vectors of a batch. Outputs are the SIMD lanes, in blocks of 16; every
// output is one chain of fused multiply-adds from the bias on, row by row, so nothing depends on the vector
// width.
#pragma once

#include <cstddef>

#include "openface/core/aligned.h"
#include "openface/core/dispatch.h"

namespace openface {

struct DotWeights {
    const float* weights;  // [block of 16 outputs][row][run][16]
    const float* bias;     // padded to whole blocks
    const float* slopes;   // of the activation: v >= 0 ? v : slope v; 1 for none; padded to whole blocks
    int outputs;
    int rows;
    int run;
};

// One row of positions: reads in[row * row_stride + position * position_stride + 0 .. run) and writes the
// outputs of each position at out + position * out_stride, where up to 15 floats behind the last one may be
// overwritten too.
OPENFACE_KERNEL(dot_positions,
                void(const DotWeights& layer, const float* in, std::ptrdiff_t position_stride,
                     std::ptrdiff_t row_stride, int positions, float* out, std::ptrdiff_t out_stride));

// Max pooling of one output row of interleaved maps: `columns` outputs of `channels` floats, windows of
// kernel_x columns and `rows` rows that start stride_x columns apart and are cut at `width`. May write up to
// 7 floats more.
OPENFACE_KERNEL(pool_row_interleaved, void(const float* in, int width, int channels, int rows, int kernel_x,
                                           int stride_x, float* out, int columns));

inline constexpr int dot_block = 16;
inline constexpr int dot_slack = 16;  // floats that an output buffer needs behind its end

struct DotLayer {
    int outputs = 0;
    int rows = 0;
    int run = 0;
    AlignedVector<float> weights;
    AlignedVector<float> bias;
    AlignedVector<float> slopes;

    DotWeights view() const { return {weights.data(), bias.data(), slopes.data(), outputs, rows, run}; }
};

// weight(depth, output) is the weight of element depth = row * run + j.
template <class Weight>
DotLayer pack_dot_layer(int outputs, int rows, int run, const float* bias, Weight weight) {
    DotLayer layer{outputs, rows, run, {}, {}, {}};
    const int depth = rows * run;
    const int lanes = padded(outputs, dot_block);
    layer.weights.resize(std::size_t(lanes) * std::size_t(depth));
    layer.bias.resize(std::size_t(lanes));
    layer.slopes.assign(std::size_t(lanes), 1.0f);
    for (int output = 0; output < outputs; ++output) {
        layer.bias[std::size_t(output)] = bias[output];
        float* block =
            layer.weights.data() + std::size_t(output / dot_block) * std::size_t(depth) * dot_block;
        for (int d = 0; d < depth; ++d) block[d * dot_block + output % dot_block] = weight(d, output);
    }
    return layer;
}

}  // namespace openface
