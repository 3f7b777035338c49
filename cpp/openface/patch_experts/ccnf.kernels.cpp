// The contrast-normalised patch u = (p - m) / |p - m| never gets formed. With c a constant grey level near
// the area's mean,
//     sum T u = (sum T (p - c) - (m - c) sum T) / |p - m|,
// where the first sum is a plain correlation, and m and |p - m| come from running sums. Grey samples are
// multiples of 2^-10 below 256 and c is an integer, so p - c and all running sums (in double) are exact: no
// digit is lost.
#include "openface/patch_experts/ccnf_kernels.h"

#include "openface/core/simd_math.h"

namespace openface::OPENFACE_ISA {

namespace {

constexpr int pad(int n, int lanes) {
    return (n + lanes - 1) / lanes * lanes;
}

OPENFACE_INLINE void centre_area(float* area, int stride, int size) {
    F8 total = zero();
    for (int y = 0; y < size; ++y)
        for (int x = 0; x < size; x += 8) {
            const F8 v = load(area + y * stride + x);
            total = total + select(iota() + x < size, v, zero());
        }
    const float level = float(int(sum(total) / float(size * size)));
    for (int y = 0; y < size; ++y)
        for (int x = 0; x < size; x += 8)
            store(area + y * stride + x, load(area + y * stride + x) - broadcast(level));
}

// Mean and reciprocal norm of the support x support patch at each position, row by row.
OPENFACE_INLINE void patch_statistics(const float* area, int stride, int window, int support, double* sums,
                                      double* squares, float* means, float* reciprocals) {
    const int size = window + support - 1;
    const double count = double(support * support);
    for (int x = 0; x < size; x += 8) {
        store(sums + x, D8{});
        store(squares + x, D8{});
    }
    const auto add_row = [&](int y, double sign) {
        for (int x = 0; x < size; x += 8) {
            const D8 v = to_double(load(area + y * stride + x));
            store(sums + x, load8d(sums + x) + v * sign);
            store(squares + x, load8d(squares + x) + v * v * sign);
        }
    };
    for (int y = 0; y + 1 < support; ++y) add_row(y, 1.0);
    for (int row = 0; row < window; ++row) {
        add_row(row + support - 1, 1.0);
        if (row > 0) add_row(row - 1, -1.0);
        for (int x = 0; x < window; x += 8) {
            D8 s = D8{}, q = D8{};
            for (int i = 0; i < support; ++i) {
                s += load8d(sums + x + i);
                q += load8d(squares + x + i);
            }
            const F8 spread = max(to_float(q - s * s / count), zero());
            const F8 norm = sqrt(spread);
            store(means + row * window + x, to_float(s / count));
            store(reciprocals + row * window + x,
                  broadcast(1.0f) / select(norm == 0.0f, broadcast(1.0f), norm));
        }
    }
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
constexpr int lane_count = 16, most_neurons = 7, most_vectors = 3;
OPENFACE_INLINE Lanes load_lanes(const float* p) {
    return load16(p);
}
OPENFACE_INLINE Lanes broadcast_lanes(float x) {
    return broadcast16(x);
}
#else
typedef F8 Lanes;
constexpr int lane_count = 8, most_neurons = 4, most_vectors = 3;
OPENFACE_INLINE Lanes load_lanes(const float* p) {
    return load(p);
}
OPENFACE_INLINE Lanes broadcast_lanes(float x) {
    return broadcast(x);
}
#endif

// Correlations of N neurons at V vectors of positions: one chain of fused multiply-adds per result, column by
// column of the patch. Results: neuron n at correlation + n * positions.
template <int N, int V>
OPENFACE_INLINE void correlate(const float* compact, int length, int window, int support,
                               const float* weights, int weight_stride, float* correlation, int positions) {
    Lanes total[N][V];
    for (int n = 0; n < N; ++n)
        for (int v = 0; v < V; ++v) total[n][v] = broadcast_lanes(0.0f);
    for (int x = 0; x < support; ++x) {
        const float* value = compact + x * length;
        for (int y = 0; y < support; ++y, value += window, weights += weight_stride) {
            Lanes p[V];
            for (int v = 0; v < V; ++v) p[v] = load_lanes(value + v * lane_count);
            for (int n = 0; n < N; ++n) {
                const Lanes w = broadcast_lanes(weights[n]);
                for (int v = 0; v < V; ++v) total[n][v] = fma(w, p[v], total[n][v]);
            }
        }
    }
    for (int n = 0; n < N; ++n)
        for (int v = 0; v < V; ++v) store(correlation + n * positions + v * lane_count, total[n][v]);
}

template <int V>
OPENFACE_INLINE void correlate_all_neurons(const float* compact, int length, int window, int support,
                                           const CcnfNeurons& neurons, float* correlation, int positions) {
    int n = 0;
    while (n < neurons.count) {
        const int left = neurons.count - n;
        const float* weights = neurons.weights + n;
        float* out = correlation + n * positions;
        if (left >= most_neurons) {
            correlate<most_neurons, V>(compact, length, window, support, weights, neurons.stride, out,
                                       positions);
            n += most_neurons;
        } else if (left >= 3) {
            correlate<3, V>(compact, length, window, support, weights, neurons.stride, out, positions);
            n += 3;
        } else {
            correlate<1, V>(compact, length, window, support, weights, neurons.stride, out, positions);
            n += 1;
        }
    }
}

}  // namespace

void ccnf_neuron_responses(float* area, int area_stride, int window, int support, const CcnfNeurons& neurons,
                           float* scratch, float* responses) {
    const int size = window + support - 1;
    const int length = pad(size * window, 16) + 32;
    const int columns = pad(size, 8) + 16;
    const int positions = pad(window * window, 16) + 32;
    float* compact = scratch;
    float* means = compact + support * length;
    float* reciprocals = means + positions;
    double* sums = reinterpret_cast<double*>(reciprocals + positions);
    double* squares = sums + columns;
    float* correlation = reinterpret_cast<float*>(squares + columns);

    centre_area(area, area_stride, size);
    patch_statistics(area, area_stride, window, support, sums, squares, means, reciprocals);
    compact_columns(area, area_stride, window, support, compact, length);

    const int count = window * window;
    const int used = pad(count, 16);
    // Neurons in batches of at most 16, which is what the scratch holds.
    for (int i = 0; i < used; i += 8) store(responses + i, zero());
    for (int first = 0; first < neurons.count; first += 16) {
        CcnfNeurons batch = neurons;
        batch.weights += first;
        batch.count = neurons.count - first < 16 ? neurons.count - first : 16;
        int done = 0;
        while (done < count) {
            const int vectors = (count - done + lane_count - 1) / lane_count;
            const float* from = compact + done;
            float* to = correlation + done;
            if (vectors >= most_vectors) {
                correlate_all_neurons<most_vectors>(from, length, window, support, batch, to, positions);
                done += most_vectors * lane_count;
            } else if (vectors == 2) {
                correlate_all_neurons<2>(from, length, window, support, batch, to, positions);
                done += 2 * lane_count;
            } else {
                correlate_all_neurons<1>(from, length, window, support, batch, to, positions);
                done += lane_count;
            }
        }
        for (int i = 0; i < used; i += lane_count) {
            Lanes response = load_lanes(responses + i);
            const Lanes mean = load_lanes(means + i), reciprocal = load_lanes(reciprocals + i);
            for (int n = 0; n < batch.count; ++n) {
                const float factor = neurons.twice_alphas[first + n];
                if (factor == 0.0f) continue;
                const Lanes centred = fma(-mean, broadcast_lanes(neurons.weight_sums[first + n]),
                                          load_lanes(correlation + n * positions + i));
                const Lanes z = fma(centred, reciprocal, broadcast_lanes(neurons.biases[first + n]));
                response = fma(broadcast_lanes(factor), logistic(z), response);
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
