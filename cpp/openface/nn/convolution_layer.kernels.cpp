#include "openface/nn/convolution_layer.h"

#include <type_traits>

#include "openface/core/simd.h"
#include "openface/nn/prelu.h"
#include "openface/nn/term_parts.h"

namespace openface::OPENFACE_ISA {

namespace {

// The half of a lane block that is in I-order, as bits; all other lanes are in S-order.
enum Halves : int { none = 0, lower = 1, upper = 2, both = 3 };

constexpr int six = 6;
constexpr int four = 4;
// Positions computed together where all outputs are in S-order.
#if defined(OPENFACE_ISA_AVX512)
constexpr int wide = 8;
#else
constexpr int wide = 6;
#endif
// Positions that the reference's product handles at a time.
constexpr int positions_of_a_product = 104512;

// How many of a group's positions make a tile, and of how many blocks at most, so that the sums and the
// factors in hand fit into the registers. A block with I-order lanes has twice the sums.
#if defined(OPENFACE_ISA_AVX512)
constexpr int most_sums = 24;
constexpr int tile_positions(int group, int) {
    return group;
}
#else
constexpr int most_sums = 6;
constexpr int tile_positions(int group, int halves) {
    return halves == none ? group : group / 2;
}
#endif
constexpr int most_blocks(int positions, int halves) {
    const int blocks = most_sums / positions - (halves == none ? 0 : 1);
    return blocks < 4 ? blocks : 4;
}

// a * b + c in the named halves, c in the others.
template <int halves>
OPENFACE_INLINE F16 fma_in(F16 a, F16 b, F16 c) {
    if constexpr (halves == none) return c;
    if constexpr (halves == both) return fma(a, b, c);
#if defined(OPENFACE_ISA_AVX512)
    return F16(_mm512_mask3_fmadd_ps(__m512(a), __m512(b), __m512(c), halves == lower ? 0x00ff : 0xff00));
#else
    if constexpr (halves == lower) return {fma(a.lower, b.lower, c.lower), c.upper};
    return {c.lower, fma(a.upper, b.upper, c.upper)};
#endif
}

// A part of a window's terms; the bias is the last term of the last part.
struct Part {
    int begin;
    int size;
    bool last;
};

// `positions` windows times `blocks` blocks of lanes from `block` on, of which the first has lanes in
// I-order. `totals` keeps the sums of the parts before.
template <int positions, int blocks, int halves>
__attribute__((noinline)) void convolve_part(const ConvolutionWeights& layer, const float* const* starts,
                                             const std::ptrdiff_t* term_offsets, int block, const Part& part,
                                             F16* totals, float* out) {
    const float* window[positions];
#pragma GCC unroll 8
    for (int p = 0; p < positions; ++p) window[p] = starts[p];
    const std::ptrdiff_t block_stride = std::ptrdiff_t(layer.terms) * convolution_block;
    const float* weights =
        layer.weights + block * block_stride + std::ptrdiff_t(part.begin) * convolution_block;

    F16 sums[positions][blocks];
    F16 second[positions];  // of the first block's lanes in I-order
#pragma GCC unroll 8
    for (int p = 0; p < positions; ++p) {
        second[p] = broadcast16(0.0f);
#pragma GCC unroll 4
        for (int b = 0; b < blocks; ++b) sums[p][b] = broadcast16(0.0f);
    }
    const std::ptrdiff_t* offset = term_offsets + part.begin;
    const auto add = [&](auto odd, std::ptrdiff_t at) __attribute__((always_inline)) {
        constexpr int apart = odd.value ? halves : none;
        F16 weight[blocks];
#pragma GCC unroll 4
        for (int b = 0; b < blocks; ++b) weight[b] = load16(weights + b * block_stride);
        weights += convolution_block;
#pragma GCC unroll 8
        for (int p = 0; p < positions; ++p) {
            const F16 value = broadcast16(window[p][at]);
            second[p] = fma_in<apart>(value, weight[0], second[p]);
            sums[p][0] = fma_in<both - apart>(value, weight[0], sums[p][0]);
#pragma GCC unroll 4
            for (int b = 1; b < blocks; ++b) sums[p][b] = fma(value, weight[b], sums[p][b]);
        }
    };
    const std::ptrdiff_t* const end = offset + part.size - (part.last ? 1 : 0);
    // Where the terms fill their groups of eight, the bias is an odd one.
    const bool odd_bias = part.last && part.size % 8 == 0;
    if constexpr (halves != none) {
        const std::ptrdiff_t* const paired = odd_bias ? end - 1 : offset + part.size / 8 * 8;
        for (; offset < paired; offset += 2) {
            add(std::false_type{}, offset[0]);
            add(std::true_type{}, offset[1]);
        }
    }
    for (; offset < end; ++offset) add(std::false_type{}, *offset);

    if (part.last) {
#pragma GCC unroll 4
        for (int b = 0; b < blocks; ++b) {
            const F16 bias = load16(layer.bias + (block + b) * convolution_block);
            const bool to_second = halves != none && b == 0 && odd_bias;
            const F16 first_bias = to_second ? broadcast16(0.0f) : bias;
            const F16 second_bias = to_second ? bias : broadcast16(0.0f);
#pragma GCC unroll 8
            for (int p = 0; p < positions; ++p) {
                sums[p][b] = sums[p][b] + first_bias;
                if (halves != none && b == 0) second[p] = second[p] + second_bias;
            }
        }
    }
    if constexpr (halves != none) {
#pragma GCC unroll 8
        for (int p = 0; p < positions; ++p) sums[p][0] = sums[p][0] + second[p];
    }
    if (part.begin > 0) {
#pragma GCC unroll 8
        for (int p = 0; p < positions; ++p)
#pragma GCC unroll 4
            for (int b = 0; b < blocks; ++b) sums[p][b] = totals[p * blocks + b] + sums[p][b];
    }
    if (!part.last) {
#pragma GCC unroll 8
        for (int p = 0; p < positions; ++p)
#pragma GCC unroll 4
            for (int b = 0; b < blocks; ++b) totals[p * blocks + b] = sums[p][b];
        return;
    }

    // Lanes without an output spill into the next position's first sixteen outputs. Those are written later,
    // because positions go up and blocks go down.
#pragma GCC unroll 4
    for (int b = blocks - 1; b >= 0; --b) {
        const F16 slope = load16(layer.slopes + (block + b) * convolution_block);
        float* lower_eight = out + layer.eights[2 * (block + b)];
        float* upper_eight = out + layer.eights[2 * (block + b) + 1];
#pragma GCC unroll 8
        for (int p = 0; p < positions; ++p) sums[p][b] = activate(sums[p][b], slope);
        if (upper_eight == lower_eight + 8) {
#pragma GCC unroll 8
            for (int p = 0; p < positions; ++p)
                store(lower_eight + std::ptrdiff_t(p) * layer.outputs, sums[p][b]);
        } else {
#pragma GCC unroll 8
            for (int p = 0; p < positions; ++p) {
                store(lower_eight + std::ptrdiff_t(p) * layer.outputs, low(sums[p][b]));
                store(upper_eight + std::ptrdiff_t(p) * layer.outputs, high(sums[p][b]));
            }
        }
    }
}

// All parts of a tile.
template <int positions, int blocks, int halves>
void convolve_tile(const ConvolutionWeights& layer, const float* const* starts,
                   const std::ptrdiff_t* term_offsets, int block, float* out) {
    F16 totals[positions * blocks];
    const int terms = layer.terms + 1;
    for (int begin = 0; begin < terms;) {
        const int size = next_part(terms - begin);
        convolve_part<positions, blocks, halves>(layer, starts, term_offsets, block,
                                                 {begin, size, begin + size == terms}, totals, out);
        begin += size;
    }
}

// All positions of a group.
template <int group, int blocks, int halves>
void convolve_positions(const ConvolutionWeights& layer, const float* const* starts,
                        const std::ptrdiff_t* term_offsets, int block, float* out) {
    constexpr int positions = tile_positions(group, halves);
    for (int first = 0; first < group; first += positions)
        convolve_tile<positions, blocks, halves>(layer, starts + first, term_offsets, block,
                                                 out + std::ptrdiff_t(first) * layer.outputs);
}

template <int group, int halves>
void convolve_blocks(const ConvolutionWeights& layer, const float* const* starts,
                     const std::ptrdiff_t* term_offsets, int block, int count, float* out) {
    constexpr int most = most_blocks(tile_positions(group, halves), halves);
    if constexpr (most >= 4)
        if (count == 4) return convolve_positions<group, 4, halves>(layer, starts, term_offsets, block, out);
    if constexpr (most >= 3)
        if (count == 3) return convolve_positions<group, 3, halves>(layer, starts, term_offsets, block, out);
    if constexpr (most >= 2)
        if (count == 2) return convolve_positions<group, 2, halves>(layer, starts, term_offsets, block, out);
    convolve_positions<group, 1, halves>(layer, starts, term_offsets, block, out);
}

// The `halves` of the first block in I-order, everything else in S-order; the first block last.
template <int group, int halves>
void convolve_group(const ConvolutionWeights& layer, const float* const* starts,
                    const std::ptrdiff_t* term_offsets, float* out) {
    constexpr int most_with_first = most_blocks(tile_positions(group, halves), halves);
    constexpr int most = most_blocks(tile_positions(group, none), none);
    int left = layer.lanes / convolution_block;
    int passes = left <= most_with_first ? 1 : 1 + (left - most_with_first + most - 1) / most;
    for (; passes > 1; --passes) {
        int count = left / passes;
        if (left - count > most_with_first + (passes - 2) * most) ++count;
        left -= count;
        convolve_blocks<group, none>(layer, starts, term_offsets, left, count, out);
    }
    convolve_blocks<group, halves>(layer, starts, term_offsets, 0, left, out);
}

// Four positions with every complete eight in I-order.
void convolve_four(const ConvolutionWeights& layer, const float* const* starts,
                   const std::ptrdiff_t* term_offsets, float* out) {
    const int complete = layer.outputs / 8;
    for (int block = layer.lanes / convolution_block - 1; block >= 0; --block) {
        if (2 * block + 1 < complete)
            convolve_positions<four, 1, both>(layer, starts, term_offsets, block, out);
        else if (2 * block < complete)
            convolve_positions<four, 1, lower>(layer, starts, term_offsets, block, out);
        else
            convolve_positions<four, 1, none>(layer, starts, term_offsets, block, out);
    }
}

typedef void (*Group)(const ConvolutionWeights&, const float* const*, const std::ptrdiff_t*, float*);

// Where the windows of consecutive positions start.
class Windows {
  public:
    Windows(const ConvolutionInput& in, int width) : in_(in), width_(width), row_(in.data) {}

    const float* const* next(int count) {
        for (int i = 0; i < count;) {
            if (x_ == width_) {
                x_ = 0;
                row_ += in_.row_stride;
            }
            const float* start = row_ + x_ * in_.position_stride;
            const int run = count - i < width_ - x_ ? count - i : width_ - x_;
            for (int k = 0; k < run; ++k, start += in_.position_stride) starts_[i + k] = start;
            i += run;
            x_ += run;
        }
        return starts_;
    }

  private:
    const ConvolutionInput& in_;
    int width_;
    const float* row_;
    int x_ = 0;
    const float* starts_[wide] = {};
};

}  // namespace

void convolve_interleaved(const ConvolutionWeights& layer, const ConvolutionInput& in, int height, int width,
                          float* out) {
    const int complete = layer.outputs / 8;
    const Group first_six = complete % 2 == 0 ? convolve_group<six, both> : convolve_group<six, lower>;
    const Group second_six = complete % 2 == 0 ? convolve_group<six, none> : convolve_group<six, upper>;
    Windows windows(in, width);
    const auto run = [&](Group group, int positions) {
        group(layer, windows.next(positions), in.term_offsets, out);
        out += std::ptrdiff_t(positions) * layer.outputs;
    };
    for (int left = height * width; left > 0;) {
        int count = left < positions_of_a_product ? left : positions_of_a_product;
        left -= count;
        int twelves = count / (2 * six) * (2 * six);
        count -= twelves;
        if (complete < 2) {
            for (; twelves >= wide; twelves -= wide) run(convolve_group<wide, none>, wide);
            for (; twelves > 0; twelves -= four) run(convolve_group<four, none>, four);
        }
        for (; twelves > 0; twelves -= 2 * six) {
            run(first_six, six);
            run(second_six, six);
        }
        for (; count >= four; count -= four) run(convolve_four, four);
        for (; count > 0; --count) run(convolve_group<1, none>, 1);
    }
}

namespace {

// Windows of `taps` columns and `rows` rows; with zeros, of the sizes given at run time.
template <int fixed_rows, int fixed_taps>
void pool_columns(const float* in, std::ptrdiff_t row_stride, int channels, int rows, int taps, int stride_x,
                  float* out, int columns) {
    if (fixed_rows > 0) rows = fixed_rows;
    if (fixed_taps > 0) taps = fixed_taps;
    for (int column = 0; column < columns; ++column, out += channels) {
        const float* window = in + std::ptrdiff_t(column) * stride_x * channels;
        for (int c = 0; c < channels; c += 8) {
            F8 most = load(window + c);
            for (int row = 0; row < rows; ++row)
                for (int tap = 0; tap < taps; ++tap)
                    most = max(most, load(window + row * row_stride + std::ptrdiff_t(tap) * channels + c));
            store(out + c, most);
        }
    }
}

}  // namespace

void pool_row_interleaved(const float* in, int width, int channels, int rows, int kernel_x, int stride_x,
                          float* out, int columns) {
    const std::ptrdiff_t row_stride = std::ptrdiff_t(width) * channels;
    const int complete = (width - kernel_x) / stride_x + 1;
    const auto pool = rows == 3 && kernel_x == 3   ? pool_columns<3, 3>
                      : rows == 2 && kernel_x == 2 ? pool_columns<2, 2>
                                                   : pool_columns<0, 0>;
    pool(in, row_stride, channels, rows, kernel_x, stride_x, out, complete < columns ? complete : columns);
    for (int column = complete; column < columns; ++column) {
        const int first = column * stride_x;
        pool_columns<0, 0>(in + std::ptrdiff_t(first) * channels, row_stride, channels, rows, width - first,
                           stride_x, out + std::ptrdiff_t(column) * channels, 1);
    }
}

}  // namespace openface::OPENFACE_ISA
