#include "openface/patch_experts/ccnf_kernels.h"

#include "openface/core/simd_math.h"

namespace openface::OPENFACE_ISA {

namespace {

constexpr int pad(int n, int lanes) {
    return (n + lanes - 1) / lanes * lanes;
}

// For each column x of the patch, the area from that column on with rows of just `window` values. Then the
// values under patch element (x, y), for all positions in order, are contiguous from element y * window on.
OPENFACE_INLINE void compact_columns(const float* area, int stride, int window, int support, float* compact,
                                     int length) {
    const int size = window + support - 1;
    for (int x = 0; x < support; ++x) {
        float* out = compact + x * length;
        for (int y = 0; y < size; ++y, out += window)
            for (int i = 0; i < window; i += 8) store(out + i, load(area + y * stride + x + i));
        for (int i = 0; i < 32; i += 8) store(out + i, zero());
    }
}

#if defined(OPENFACE_ISA_AVX512)
typedef F16 Lanes;
constexpr int lane_count = 16, most_vectors = 2;
OPENFACE_INLINE Lanes load_lanes(const float* p) {
    return load16(p);
}
OPENFACE_INLINE Lanes broadcast_lanes(float x) {
    return broadcast16(x);
}
OPENFACE_INLINE Lanes divide(Lanes a, Lanes b) {
    return a / b;
}
OPENFACE_INLINE Lanes reciprocal_norm(Lanes squares) {
    const __m512 norm = _mm512_sqrt_ps(__m512(squares)), one = _mm512_set1_ps(1.0f);
    return F16(one) /
           F16(_mm512_mask_blend_ps(_mm512_cmp_ps_mask(norm, _mm512_setzero_ps(), _CMP_EQ_OQ), norm, one));
}
#else
typedef F8 Lanes;
constexpr int lane_count = 8, most_vectors = 1;
OPENFACE_INLINE Lanes load_lanes(const float* p) {
    return load(p);
}
OPENFACE_INLINE Lanes broadcast_lanes(float x) {
    return broadcast(x);
}
OPENFACE_INLINE Lanes divide(Lanes a, Lanes b) {
    return a / b;
}
OPENFACE_INLINE Lanes reciprocal_norm(Lanes squares) {
    const F8 norm = sqrt(squares);
    return broadcast(1.0f) / select(norm == 0.0f, broadcast(1.0f), norm);
}
#endif

// Where a window's patches are: element e of the patch (column by column) at position p is values[offsets[e]
// + p].
struct Patches {
    const float* values;
    const int* offsets;
    int support;
    int elements;
};

// Means and reciprocals of the norms of V vectors of positions, summed as the reference does it: values row
// by row, squares column by column and fused only behind the last multiple of eight (section 9.3, item 7).
template <int V>
OPENFACE_INLINE void patch_statistics(const Patches& patches, int position, Lanes* mean, Lanes* reciprocal) {
    const float* values = patches.values + position;
    Lanes total[V], squares[V];
    for (int v = 0; v < V; ++v) total[v] = squares[v] = broadcast_lanes(0.0f);
    for (int y = 0; y < patches.support; ++y)
        for (int x = 0; x < patches.support; ++x) {
            const float* p = values + patches.offsets[x * patches.support + y];
            for (int v = 0; v < V; ++v) total[v] = total[v] + load_lanes(p + v * lane_count);
        }
    for (int v = 0; v < V; ++v) mean[v] = divide(total[v], broadcast_lanes(float(patches.elements)));
    const int plain = patches.elements / 8 * 8;
    for (int e = 0; e < plain; ++e)
        for (int v = 0; v < V; ++v) {
            const Lanes u = load_lanes(values + patches.offsets[e] + v * lane_count) - mean[v];
            squares[v] = squares[v] + u * u;
        }
    for (int e = plain; e < patches.elements; ++e)
        for (int v = 0; v < V; ++v) {
            const Lanes u = load_lanes(values + patches.offsets[e] + v * lane_count) - mean[v];
            squares[v] = fma(u, u, squares[v]);
        }
    for (int v = 0; v < V; ++v) reciprocal[v] = reciprocal_norm(squares[v]);
}

// Neurons of which the first `Paired` sum even and odd terms apart, the others in one chain (section 9.3,
// item 8: "I-order" and "S-order"). The bias is the first term.
template <int Paired, int Single, int V>
OPENFACE_INLINE void correlate(const Patches& patches, int position, const Lanes* mean,
                               const Lanes* reciprocal, const CcnfNeurons& neurons, int first_neuron,
                               float* z, int positions) {
    const float* values = patches.values + position;
    const float* weights = neurons.weights + first_neuron;
    Lanes even[Paired + Single][V], odd[Paired + 1][V];
    for (int n = 0; n < Paired + Single; ++n)
        for (int v = 0; v < V; ++v) even[n][v] = broadcast_lanes(neurons.biases[first_neuron + n]);
    for (int n = 0; n < Paired; ++n)
        for (int v = 0; v < V; ++v) odd[n][v] = broadcast_lanes(0.0f);
    const auto add = [&](int e, auto& paired_chain) {
        const float* w = weights + e * neurons.stride;
        Lanes u[V];
        for (int v = 0; v < V; ++v)
            u[v] = (load_lanes(values + patches.offsets[e] + v * lane_count) - mean[v]) * reciprocal[v];
        for (int n = 0; n < Paired; ++n) {
            const Lanes weight = broadcast_lanes(w[n]);
            for (int v = 0; v < V; ++v) paired_chain[n][v] = fma(weight, u[v], paired_chain[n][v]);
        }
        for (int n = Paired; n < Paired + Single; ++n) {
            const Lanes weight = broadcast_lanes(w[n]);
            for (int v = 0; v < V; ++v) even[n][v] = fma(weight, u[v], even[n][v]);
        }
    };
    // Element e is term e + 1.
    const int paired_terms = (patches.elements + 1) / 8 * 8;
    int e = 0;
    for (; e + 2 < paired_terms; e += 2) {
        add(e, odd);
        add(e + 1, even);
    }
    for (; e < patches.elements; ++e) {
        if (e + 1 < paired_terms)
            add(e, odd);
        else
            add(e, even);
    }
    for (int n = 0; n < Paired; ++n)
        for (int v = 0; v < V; ++v) even[n][v] = even[n][v] + odd[n][v];
    for (int n = 0; n < Paired + Single; ++n)
        for (int v = 0; v < V; ++v) store(z + n * positions + v * lane_count, even[n][v]);
}

// The reference's matrix product treats the first four of seven neurons, the number in all published models,
// differently from the others, except at the window's last position.
constexpr int usual_neurons = 7, paired_neurons = 4;

template <int V>
OPENFACE_INLINE void evaluate(const Patches& patches, int position, const CcnfNeurons& neurons,
                              int first_neuron, int neuron_count, float* z, int positions) {
    Lanes mean[V], reciprocal[V];
    patch_statistics<V>(patches, position, mean, reciprocal);
    if (neurons.count == usual_neurons) {
        correlate<paired_neurons, usual_neurons - paired_neurons, V>(patches, position, mean, reciprocal,
                                                                     neurons, 0, z, positions);
        return;
    }
    int n = 0;
    for (; n + 4 <= neuron_count; n += 4)
        correlate<0, 4, V>(patches, position, mean, reciprocal, neurons, first_neuron + n, z + n * positions,
                           positions);
    for (; n < neuron_count; ++n)
        correlate<0, 1, V>(patches, position, mean, reciprocal, neurons, first_neuron + n, z + n * positions,
                           positions);
}

// The paired neurons at the last position, each in one chain; lanes are neurons.
OPENFACE_INLINE void evaluate_last(const Patches& patches, int position, const CcnfNeurons& neurons, float* z,
                                   int positions) {
    const float* values = patches.values + position;
    float total = 0.0f, squares = 0.0f;
    for (int y = 0; y < patches.support; ++y)
        for (int x = 0; x < patches.support; ++x) total += values[patches.offsets[x * patches.support + y]];
    const float mean = total / float(patches.elements);
    const int plain = patches.elements / 8 * 8;
    for (int e = 0; e < patches.elements; ++e) {
        const float u = values[patches.offsets[e]] - mean;
        squares = e < plain ? squares + u * u : fma(u, u, squares);
    }
    const float norm = __builtin_sqrtf(squares);
    const float reciprocal = 1.0f / (norm == 0.0f ? 1.0f : norm);
    F8 sum = load(neurons.biases);
    for (int e = 0; e < patches.elements; ++e)
        sum = fma(load(neurons.weights + e * neurons.stride),
                  broadcast((values[patches.offsets[e]] - mean) * reciprocal), sum);
    for (int n = 0; n < paired_neurons; ++n) z[n * positions + position] = sum[n];
}

}  // namespace

void ccnf_neuron_responses(const float* area, int area_stride, int window, int support,
                           const CcnfNeurons& neurons, float* scratch, float* responses) {
    const int size = window + support - 1;
    const int length = pad(size * window, 16) + 32;
    const int positions = pad(window * window, 16) + 32;
    float* compact = scratch;
    float* z = compact + support * length;
    compact_columns(area, area_stride, window, support, compact, length);
    int offsets[ccnf_largest_support * ccnf_largest_support];
    for (int x = 0; x < support; ++x)
        for (int y = 0; y < support; ++y) offsets[x * support + y] = x * length + y * window;
    const Patches patches{compact, offsets, support, support * support};

    const int count = window * window;
    for (int i = 0; i < pad(count, 16); i += 8) store(responses + i, zero());
    // Neurons in batches of at most 16, which is what the scratch holds.
    for (int first = 0; first < neurons.count; first += 16) {
        const int batch = neurons.count - first < 16 ? neurons.count - first : 16;
        for (int done = 0; done < count;) {
            if (count - done > lane_count && most_vectors == 2) {
                evaluate<most_vectors>(patches, done, neurons, first, batch, z + done, positions);
                done += most_vectors * lane_count;
            } else {
                evaluate<1>(patches, done, neurons, first, batch, z + done, positions);
                done += lane_count;
            }
        }
        if (neurons.count == usual_neurons) evaluate_last(patches, count - 1, neurons, z, positions);
        for (int i = 0; i < count; i += 8) {
            F8 response = load(responses + i);
            for (int n = 0; n < batch; ++n) {
                const double factor = neurons.twice_alphas[first + n];
                if (factor == 0.0) continue;
                const D8 divisor = exp(to_double(-load(z + n * positions + i))) + 1.0;
                response = to_float(to_double(response) + broadcast8d(factor) / divisor);
            }
            store(responses + i, response);
        }
    }
}

void ccnf_write_map(const float* values, int window, float factor, float* map, int stride) {
    const int count = window * window;
    F8 minima = zero();
    for (int i = 0; i < count; i += 8)
        minima = min(select(iota() + i < count, load(values + i) * broadcast(factor), zero()), minima);
    float lowest = 0.0f;
    for (int lane = 0; lane < 8; ++lane) lowest = minima[lane] < lowest ? minima[lane] : lowest;
    for (int y = 0; y < window; ++y)
        for (int x = 0; x < stride; x += 8) {
            const F8 v = load(values + y * window + x) * broadcast(factor) - broadcast(lowest);
            store(map + y * stride + x, select(iota() + x < window, v, zero()));
        }
}

}  // namespace openface::OPENFACE_ISA
