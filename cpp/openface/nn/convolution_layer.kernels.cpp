#include "openface/nn/convolution_layer.h"

#include <type_traits>

#include "openface/core/simd.h"
#include "openface/nn/term_parts.h"

namespace openface::OPENFACE_ISA {

namespace {

// The half of a lane block that is in I-order, as bits; all other lanes are in S-order.
enum Halves : int { none = 0, lower = 1, upper = 2, both = 3 };

constexpr int six = 6;
constexpr int four = 4;
// The matrix product handles so many positions at a time; the pattern starts anew behind them.
constexpr int positions_of_a_product = 104528;

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

OPENFACE_INLINE F16 activate(F16 v, F16 slope) {
#if defined(OPENFACE_ISA_AVX512)
    return F16(_mm512_mask_mul_ps(__m512(v), _mm512_cmp_ps_mask(__m512(v), _mm512_setzero_ps(), _CMP_LT_OQ),
                                  __m512(v), __m512(slope)));
#else
    return join(select(low(v) < zero(), low(v) * low(slope), low(v)),
                select(high(v) < zero(), high(v) * high(slope), high(v)));
#endif
}

OPENFACE_INLINE void store_eight(float* out, F8 v, int count, bool spill) {
    if (count >= 8 || (spill && count > 0)) {
        store(out, v);
        return;
    }
    float lanes[8];
    store(lanes, v);
    for (int i = 0; i < count; ++i) out[i] = lanes[i];
}

// `positions` windows times `blocks` blocks of lanes from `block` on, of which the first has lanes in
// I-order.
template <int positions, int blocks, int halves>
void convolve_tile(const ConvolutionWeights& layer, const float* const* starts,
                   const std::ptrdiff_t* term_offsets, int block, float* out) {
    const float* window[positions];
#pragma GCC unroll 6
    for (int p = 0; p < positions; ++p) window[p] = starts[p];
    const std::ptrdiff_t lanes = layer.lanes;
    const float* weights = layer.weights + block * convolution_block;

    F16 sums[positions][blocks];
    F16 second[positions];  // of the first block's lanes in I-order
    F16 total[positions][blocks];
    int term = 0;
    for (int left = layer.terms + 1; left > 0;) {
        const int part = next_part(left);
        const bool first_part = term == 0;
        left -= part;
        // The bias is the last term. Where the terms fill their groups of eight, it is an odd one.
        const bool last_part = left == 0;
        const bool odd_bias = last_part && part % 8 == 0;
        const int end = term + part - (last_part ? 1 : 0);
        const int paired = odd_bias ? end - 1 : term + part / 8 * 8;
#pragma GCC unroll 6
        for (int p = 0; p < positions; ++p) {
            second[p] = broadcast16(0.0f);
#pragma GCC unroll 4
            for (int b = 0; b < blocks; ++b) sums[p][b] = broadcast16(0.0f);
        }
        const auto add = [&](auto odd) __attribute__((always_inline)) {
            constexpr int apart = odd.value ? halves : none;
            F16 weight[blocks];
#pragma GCC unroll 4
            for (int b = 0; b < blocks; ++b) weight[b] = load16(weights + b * convolution_block);
            weights += lanes;
            const std::ptrdiff_t offset = term_offsets[term++];
#pragma GCC unroll 6
            for (int p = 0; p < positions; ++p) {
                const F16 value = broadcast16(window[p][offset]);
                second[p] = fma_in<apart>(value, weight[0], second[p]);
                sums[p][0] = fma_in<both - apart>(value, weight[0], sums[p][0]);
#pragma GCC unroll 4
                for (int b = 1; b < blocks; ++b) sums[p][b] = fma(value, weight[b], sums[p][b]);
            }
        };
        while (term < paired) {
            add(std::false_type{});
            add(std::true_type{});
        }
        while (term < end) add(std::false_type{});
#pragma GCC unroll 6
        for (int p = 0; p < positions; ++p)
#pragma GCC unroll 4
            for (int b = 0; b < blocks; ++b) {
                F16 sum = sums[p][b];
                const F16 bias = load16(layer.bias + (block + b) * convolution_block);
                const bool apart = halves != none && b == 0;
                if (last_part && !(apart && odd_bias)) sum = sum + bias;
                if (apart) sum = sum + (odd_bias ? second[p] + bias : second[p]);
                total[p][b] = first_part ? sum : total[p][b] + sum;
            }
    }

    // If all lanes are in hand, the last outputs may spill into the next position, which is written after.
    const bool spill = blocks * convolution_block == layer.lanes;
#pragma GCC unroll 6
    for (int p = 0; p < positions; ++p)
#pragma GCC unroll 4
        for (int b = 0; b < blocks; ++b) {
            const F16 value = activate(total[p][b], load16(layer.slopes + (block + b) * convolution_block));
            const int lower_first = layer.eights[2 * (block + b)];
            const int upper_first = layer.eights[2 * (block + b) + 1];
            float* target = out + std::ptrdiff_t(p) * layer.outputs;
            store_eight(target + lower_first, low(value), layer.outputs - lower_first, spill);
            store_eight(target + upper_first, high(value), layer.outputs - upper_first, spill);
        }
}

// All positions of a group and `count` blocks, in passes of nearly equal size.
template <int group, int halves>
OPENFACE_INLINE void convolve_blocks(const ConvolutionWeights& layer, const float* const* starts,
                                     const std::ptrdiff_t* term_offsets, int block, int count, float* out) {
    constexpr int positions = tile_positions(group, halves);
    constexpr int most = most_blocks(positions, halves);
    for (int first = 0; first < group; first += positions) {
        const float* const* windows = starts + first;
        float* target = out + std::ptrdiff_t(first) * layer.outputs;
        switch (count) {
            case 4:
                if constexpr (most >= 4)
                    convolve_tile<positions, 4, halves>(layer, windows, term_offsets, block, target);
                break;
            case 3:
                if constexpr (most >= 3)
                    convolve_tile<positions, 3, halves>(layer, windows, term_offsets, block, target);
                break;
            case 2:
                if constexpr (most >= 2)
                    convolve_tile<positions, 2, halves>(layer, windows, term_offsets, block, target);
                break;
            default:
                convolve_tile<positions, 1, halves>(layer, windows, term_offsets, block, target);
                break;
        }
    }
}

// The first `halves` of the first block in I-order, everything else in S-order.
template <int group, int halves>
void convolve_group(const ConvolutionWeights& layer, const float* const* starts,
                    const std::ptrdiff_t* term_offsets, float* out) {
    const int blocks = layer.lanes / convolution_block;
    int block = 0;
    if constexpr (halves != none) {
        constexpr int most = most_blocks(tile_positions(group, halves), halves);
        block = blocks < most ? blocks : most;
        convolve_blocks<group, halves>(layer, starts, term_offsets, 0, block, out);
    }
    constexpr int most = most_blocks(tile_positions(group, none), none);
    for (int passes = (blocks - block + most - 1) / most; passes > 0; --passes) {
        const int count = (blocks - block + passes - 1) / passes;
        convolve_blocks<group, none>(layer, starts, term_offsets, block, count, out);
        block += count;
    }
}

// Four positions with every complete eight in I-order.
void convolve_four(const ConvolutionWeights& layer, const float* const* starts,
                   const std::ptrdiff_t* term_offsets, float* out) {
    const int complete = layer.outputs / 8;
    for (int block = 0; block < layer.lanes / convolution_block; ++block) {
        if (2 * block + 1 < complete)
            convolve_blocks<four, both>(layer, starts, term_offsets, block, 1, out);
        else if (2 * block < complete)
            convolve_blocks<four, lower>(layer, starts, term_offsets, block, 1, out);
        else
            convolve_blocks<four, none>(layer, starts, term_offsets, block, 1, out);
    }
}

typedef void (*Group)(const ConvolutionWeights&, const float* const*, const std::ptrdiff_t*, float*);

// Where the windows of consecutive positions start.
class Windows {
  public:
    Windows(const ConvolutionInput& in, int width) : in_(in), width_(width), row_(in.data) {}

    const float* const* next(int count) {
        for (int i = 0; i < count; ++i) {
            if (x_ == width_) {
                x_ = 0;
                row_ += in_.row_stride;
            }
            starts_[i] = row_ + x_ * in_.position_stride;
            ++x_;
        }
        return starts_;
    }

  private:
    const ConvolutionInput& in_;
    int width_;
    const float* row_;
    int x_ = 0;
    const float* starts_[six] = {};
};

}  // namespace

void convolve_interleaved(const ConvolutionWeights& layer, const ConvolutionInput& in, int height, int width,
                          float* out) {
    const int complete = layer.outputs / 8;
    Group first_six = convolve_group<six, none>;
    Group second_six = convolve_group<six, none>;
    if (complete >= 2 && complete % 2 == 0) first_six = convolve_group<six, both>;
    if (complete >= 2 && complete % 2 == 1) {
        first_six = convolve_group<six, lower>;
        second_six = convolve_group<six, upper>;
    }
    Windows windows(in, width);
    const auto run = [&](Group group, int positions) {
        group(layer, windows.next(positions), in.term_offsets, out);
        out += std::ptrdiff_t(positions) * layer.outputs;
    };
    for (int left = height * width; left > 0;) {
        int count = left < positions_of_a_product ? left : positions_of_a_product;
        left -= count;
        for (; count >= 2 * six; count -= 2 * six) {
            run(first_six, six);
            run(second_six, six);
        }
        for (; count >= four; count -= four) run(convolve_four, four);
        for (; count > 0; --count) run(convolve_group<1, none>, 1);
    }
}

void pool_row_interleaved(const float* in, int width, int channels, int rows, int kernel_x, int stride_x,
                          float* out, int columns) {
    const std::ptrdiff_t row_stride = std::ptrdiff_t(width) * channels;
    for (int column = 0; column < columns; ++column, out += channels) {
        const int first = column * stride_x;
        const int taps = width - first < kernel_x ? width - first : kernel_x;
        const float* window = in + std::ptrdiff_t(first) * channels;
        for (int c = 0; c < channels; c += 8) {
            F8 most = load(window + c);
            for (int row = 0; row < rows; ++row)
                for (int tap = 0; tap < taps; ++tap)
                    most = max(most, load(window + row * row_stride + std::ptrdiff_t(tap) * channels + c));
            store(out + c, most);
        }
    }
}

}  // namespace openface::OPENFACE_ISA
