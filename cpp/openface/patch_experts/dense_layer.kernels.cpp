// The register tile of a layer: a few vectors of outputs times a few positions. Weights are loaded as
// vectors, inputs are broadcast. A weight is fetched from far memory once, while the positions are walked
// inside.
#include "openface/patch_experts/dense_layer.h"

#include "openface/core/simd_math.h"
#include "openface/nn/term_parts.h"

namespace openface::OPENFACE_ISA {

namespace {

#if defined(OPENFACE_ISA_AVX512)
using Lanes = F16;
constexpr int most_positions = 12;  // 2 x 12 accumulators of 32 registers
constexpr int most_in_two_chains = 8;
#else
using Lanes = F8;
constexpr int most_positions = 6;  // 2 x 6 accumulators of 16 registers
constexpr int most_in_two_chains = 4;
#endif
constexpr int lanes_of_vector = sizeof(Lanes) / sizeof(float);

// The eights of a vector's lanes that are in I-order, as bits.
constexpr int all_eights = lanes_of_vector == 8 ? 1 : 3;

OPENFACE_INLINE Lanes load_lanes(const float* p) {
    Lanes v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

OPENFACE_INLINE Lanes broadcast_lanes(float x) {
#if defined(OPENFACE_ISA_AVX512)
    return broadcast16(x);
#else
    return broadcast(x);
#endif
}

// a * b + c in the named eights, c in the others.
template <int eights>
OPENFACE_INLINE Lanes fma_in(Lanes a, Lanes b, Lanes c) {
    if constexpr (eights == 0) return c;
    if constexpr (eights == all_eights) return fma(a, b, c);
#if defined(OPENFACE_ISA_AVX512)
    return F16(_mm512_mask3_fmadd_ps(__m512(a), __m512(b), __m512(c), eights == 1 ? 0x00ff : 0xff00));
#endif
}

OPENFACE_INLINE F8 activate(F8 v, Activation activation) {
    if (activation == Activation::logistic) return logistic(v);
    if (activation == Activation::rectifier) return max(v, zero());
    return v;
}
#if defined(OPENFACE_ISA_AVX512)
OPENFACE_INLINE F16 activate(F16 v, Activation activation) {
    if (activation == Activation::logistic) return join(logistic(low(v)), logistic(high(v)));
    if (activation == Activation::rectifier) return max(v, F16{});
    return v;
}
#endif

// One or two vectors of outputs.
struct Columns {
    const DenseLayer& layer;
    const float* weights[2];
    std::ptrdiff_t step[2];  // from one term to the next
    const float* bias;
};

template <int vectors, int positions, int eights>
void tile(const Columns& columns, const float* in, std::ptrdiff_t in_stride, float* out,
          std::ptrdiff_t out_stride) {
    static_assert(vectors == 1 || eights == 0);
    Lanes sums[positions][vectors];
    Lanes second[positions];
    Lanes totals[positions][vectors];
    const float* weights[vectors];
    for (int v = 0; v < vectors; ++v) weights[v] = columns.weights[v];
    // One pointer for four positions: twelve would not fit into the registers of x86.
    constexpr int groups = (positions + 3) / 4;
    const float* inputs[groups];
    for (int g = 0; g < groups; ++g) inputs[g] = in + 4 * g * in_stride;

    const auto add = [&](auto odd) __attribute__((always_inline)) {
        constexpr int apart = odd.value ? eights : 0;
        Lanes w[vectors];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) {
            w[v] = load_lanes(weights[v]);
            weights[v] += columns.step[v];
        }
#pragma GCC unroll 12
        for (int p = 0; p < positions; ++p) {
            const Lanes x = broadcast_lanes(inputs[p / 4][p % 4 * in_stride]);
            second[p] = fma_in<apart>(w[0], x, second[p]);
            sums[p][0] = fma_in<all_eights - apart>(w[0], x, sums[p][0]);
            if constexpr (vectors == 2) sums[p][1] = fma(w[1], x, sums[p][1]);
        }
        for (int g = 0; g < groups; ++g) {
            ++inputs[g];
            asm("" : "+r"(inputs[g]));  // keeps the compiler from deriving the pointers from each other
        }
    };
    for (int begin = 0; begin < columns.layer.inputs;) {
        const int size = next_part(columns.layer.inputs - begin);
        for (int p = 0; p < positions; ++p) {
            second[p] = Lanes{};
            for (int v = 0; v < vectors; ++v) sums[p][v] = Lanes{};
        }
        int k = 0;
        if constexpr (eights != 0)
            for (; k < size / 8 * 8; k += 2) {
                add(std::false_type{});
                add(std::true_type{});
            }
        for (; k < size; ++k) add(std::false_type{});
#pragma GCC unroll 12
        for (int p = 0; p < positions; ++p) {
            if constexpr (eights != 0) sums[p][0] = sums[p][0] + second[p];
            if (begin > 0)
#pragma GCC unroll 2
                for (int v = 0; v < vectors; ++v) sums[p][v] = totals[p][v] + sums[p][v];
        }
        begin += size;
        if (begin < columns.layer.inputs)
#pragma GCC unroll 12
            for (int p = 0; p < positions; ++p)
#pragma GCC unroll 2
                for (int v = 0; v < vectors; ++v) totals[p][v] = sums[p][v];
    }
#pragma GCC unroll 12
    for (int p = 0; p < positions; ++p)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v)
            store(out + p * out_stride + v * lanes_of_vector,
                  activate(sums[p][v] + load_lanes(columns.bias + v * lanes_of_vector),
                           columns.layer.activation));
}

// A run of positions, all in S-order.
template <int vectors>
void run_in_one_chain(const Columns& columns, const float* in, std::ptrdiff_t in_stride, int count,
                      float* out, std::ptrdiff_t out_stride) {
    // Tiles of nearly equal height, rather than full ones and a small rest.
    const int tiles = (count + most_positions - 1) / most_positions;
    for (int t = 0; t < tiles; ++t) {
        const int begin = int(std::ptrdiff_t(count) * t / tiles);
        const int end = int(std::ptrdiff_t(count) * (t + 1) / tiles);
        const float* tile_in = in + begin * in_stride;
        float* tile_out = out + begin * out_stride;
#define OPENFACE_TILE(P)                                                        \
    case P:                                                                     \
        tile<vectors, P, 0>(columns, tile_in, in_stride, tile_out, out_stride); \
        break
        switch (end - begin) {
            OPENFACE_TILE(1);
            OPENFACE_TILE(2);
            OPENFACE_TILE(3);
            OPENFACE_TILE(4);
            OPENFACE_TILE(5);
            OPENFACE_TILE(6);
#if defined(OPENFACE_ISA_AVX512)
            OPENFACE_TILE(7);
            OPENFACE_TILE(8);
            OPENFACE_TILE(9);
            OPENFACE_TILE(10);
            OPENFACE_TILE(11);
            OPENFACE_TILE(12);
#endif
        }
#undef OPENFACE_TILE
    }
}

// Eight positions with the named eights of one vector in I-order.
void eight_positions(const Columns& columns, int eights, const float* in, std::ptrdiff_t in_stride,
                     float* out, std::ptrdiff_t out_stride) {
    for (int p = 0; p < 8; p += most_in_two_chains) {
        const float* tile_in = in + p * in_stride;
        float* tile_out = out + p * out_stride;
        if (eights == all_eights)
            tile<1, most_in_two_chains, all_eights>(columns, tile_in, in_stride, tile_out, out_stride);
#if defined(OPENFACE_ISA_AVX512)
        else if (eights == 1)
            tile<1, most_in_two_chains, 1>(columns, tile_in, in_stride, tile_out, out_stride);
        else
            tile<1, most_in_two_chains, 2>(columns, tile_in, in_stride, tile_out, out_stride);
#endif
    }
}

// Which lanes are in I-order at which eights of positions.
class Orders {
  public:
    Orders(const DenseLanes& lanes, int positions) : lanes_(lanes), eights_(positions / 8) {}

    // Of the vector of lanes that begins at `first`, as bits.
    int of_vector(int first, int eight) const {
        int bits = 0;
        for (int i = 0; i < lanes_of_vector / 8; ++i) {
            // Lanes behind the last one are free to follow those before.
            const int lane = first + 8 * i < lanes_.count ? first + 8 * i : first;
            if (of_lane(lane, eight)) bits |= 1 << i;
        }
        return bits;
    }

  private:
    bool of_lane(int lane, int eight) const {
        if (eight >= eights_ || lane >= lanes_.last) return false;
        if (lane >= lanes_.fours) return true;
        if (eights_ < 2) return false;
        const bool even = eights_ % 2 == 0;
        const bool last = eight == eights_ - 1;
        return lane < lanes_.second_sixes ? eight == 0 || (last && even) : last && !even;
    }

    const DenseLanes& lanes_;
    int eights_;
};

template <int vectors>
void evaluate_columns(const Columns& columns, const Orders& orders, int first, const float* in,
                      std::ptrdiff_t in_stride, int count, float* out, std::ptrdiff_t out_stride) {
    const auto any = [&](int eight) {
        return orders.of_vector(first, eight) != 0 ||
               (vectors == 2 && orders.of_vector(first + lanes_of_vector, eight) != 0);
    };
    for (int begin = 0; begin < count;) {
        int end = begin;
        while (end < count && !any(end / 8)) end += 8;
        if (end > begin) {
            if (end > count) end = count;
            run_in_one_chain<vectors>(columns, in + begin * in_stride, in_stride, end - begin,
                                      out + begin * out_stride, out_stride);
        } else {
            end = begin + 8;
            for (int v = 0; v < vectors; ++v) {
                const Columns column{columns.layer,
                                     {columns.weights[v]},
                                     {columns.step[v]},
                                     columns.bias + v * lanes_of_vector};
                const int eights = orders.of_vector(first + v * lanes_of_vector, begin / 8);
                const float* eight_in = in + begin * in_stride;
                float* eight_out = out + begin * out_stride + v * lanes_of_vector;
                if (eights == 0)
                    run_in_one_chain<1>(column, eight_in, in_stride, 8, eight_out, out_stride);
                else
                    eight_positions(column, eights, eight_in, in_stride, eight_out, out_stride);
            }
        }
        begin = end;
    }
}

// Lanes -> outputs. Eight are copied for six; the next copy, or nobody, needs the place of the other two.
void order_outputs(const DenseLanes& lanes, const float* from, int count, float* to, std::ptrdiff_t stride) {
    for (int p = 0; p < count; ++p, from += stride, to += stride) {
        for (int t = 0; t < lanes.twelves; ++t) {
            store(to + 12 * t, load(from + 6 * t));
            store(to + 12 * t + 6, load(from + lanes.second_sixes + 6 * t));
        }
        float* target = to + 12 * lanes.twelves;
        if (lanes.in_fours > 0) store(target, load(from + lanes.fours));
        if (lanes.rest > 0) store(target + lanes.in_fours, load(from + lanes.last));
    }
}

}  // namespace

void evaluate_dense_layer(const DenseLayer& layer, const float* in, std::ptrdiff_t in_stride, int count,
                          float* lanes, float* out, std::ptrdiff_t out_stride) {
    const DenseLanes& layout = layer.lanes;
    for (int begin = 0, size; begin < count; begin += size) {
        size = next_part(count - begin);
        const Orders orders(layout, size);
        const float* part_in = in + begin * in_stride;
        float* part_out = lanes + begin * out_stride;
        for (int first = 0; first < layout.count;) {
            Columns columns{layer, {}, {}, layer.bias + first};
            for (int v = 0; v < 2; ++v) {
                const int lane = first + v * lanes_of_vector;
                const int panel = lane / dense_panel * dense_panel;
                columns.weights[v] =
                    layer.weights + std::ptrdiff_t(panel) * layer.inputs + lane % dense_panel;
                columns.step[v] = layout.count - panel < dense_panel ? layout.count - panel : dense_panel;
            }
            // Two vectors only where most positions have one order.
            if (first + lanes_of_vector < layout.count && first + 2 * lanes_of_vector <= layout.fours) {
                evaluate_columns<2>(columns, orders, first, part_in, in_stride, size, part_out + first,
                                    out_stride);
                first += 2 * lanes_of_vector;
            } else {
                evaluate_columns<1>(columns, orders, first, part_in, in_stride, size, part_out + first,
                                    out_stride);
                first += lanes_of_vector;
            }
        }
    }
    order_outputs(layout, lanes, count, out, out_stride);
}

}  // namespace openface::OPENFACE_ISA
