#include "openface/patch_experts/ccnf_kernels.h"

#include "openface/core/simd_math.h"

namespace openface::OPENFACE_ISA {

namespace {

constexpr int pad(int n, int lanes) {
    return (n + lanes - 1) / lanes * lanes;
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
OPENFACE_INLINE Lanes reciprocal_norm(Lanes squares) {
    const F8 norm = sqrt(squares);
    return broadcast(1.0f) / select(norm == 0.0f, broadcast(1.0f), norm);
}
#endif

// For each column x of the patch, the area from that column on with rows of just `window` values. Then the
// values under patch element (x, y), for all positions in order, are contiguous from element y * window on.
OPENFACE_INLINE void compact_columns(const float* area, int stride, int window, int support, float* compact,
                                     int length) {
    const int size = window + support - 1;
    for (int x = 0; x < support; ++x) {
        float* out = compact + x * length;
        for (int y = 0; y < size; ++y, out += window)
            for (int i = 0; i < window; i += lane_count)
                store(out + i, load_lanes(area + y * stride + x + i));
        for (int i = 0; i < 32; i += 8) store(out + i, zero());
    }
}

// Where a window's patches are: element e of the patch (column by column) at position p is values[offsets[e]
// + p].
struct Patches {
    const float* values;
    const int* offsets;
    int support;
    int elements;
};

// Means and reciprocals of the norms of V vectors of positions of E experts, summed as the reference does it:
// values row by row, squares column by column and fused only behind the last multiple of eight (section 9.3,
// item 7). Each sum is a chain of additions, so several experts keep a small window's chains from waiting.
// The experts' values and results are `value_step` and `result_step` floats apart.
template <int V, int E>
OPENFACE_INLINE void patch_statistics(const Patches& patches, std::ptrdiff_t value_step, int position,
                                      float* means, float* reciprocals, std::ptrdiff_t result_step) {
    const float* values = patches.values + position;
    Lanes total[E][V], squares[E][V], mean[E][V];
    for (int i = 0; i < E; ++i)
        for (int v = 0; v < V; ++v) total[i][v] = squares[i][v] = broadcast_lanes(0.0f);
    for (int y = 0; y < patches.support; ++y)
        for (int x = 0; x < patches.support; ++x) {
            const float* p = values + patches.offsets[x * patches.support + y];
            for (int i = 0; i < E; ++i)
                for (int v = 0; v < V; ++v)
                    total[i][v] = total[i][v] + load_lanes(p + i * value_step + v * lane_count);
        }
    for (int i = 0; i < E; ++i)
        for (int v = 0; v < V; ++v) mean[i][v] = total[i][v] / broadcast_lanes(float(patches.elements));
    const int plain = patches.elements / 8 * 8;
    for (int e = 0; e < plain; ++e) {
        const float* p = values + patches.offsets[e];
        for (int i = 0; i < E; ++i)
            for (int v = 0; v < V; ++v) {
                const Lanes u = load_lanes(p + i * value_step + v * lane_count) - mean[i][v];
                squares[i][v] = squares[i][v] + u * u;
            }
    }
    for (int e = plain; e < patches.elements; ++e) {
        const float* p = values + patches.offsets[e];
        for (int i = 0; i < E; ++i)
            for (int v = 0; v < V; ++v) {
                const Lanes u = load_lanes(p + i * value_step + v * lane_count) - mean[i][v];
                squares[i][v] = fma(u, u, squares[i][v]);
            }
    }
    for (int i = 0; i < E; ++i)
        for (int v = 0; v < V; ++v) {
            const std::ptrdiff_t at = i * result_step + position + v * lane_count;
            store(means + at, mean[i][v]);
            store(reciprocals + at, reciprocal_norm(squares[i][v]));
        }
}

// Memory that is needed soon: it comes nearer while the neurons are at work.
struct Upcoming {
    const char* next;
    std::size_t step;
};

OPENFACE_INLINE void approach(Upcoming& memory) {
    __builtin_prefetch(memory.next, 0, 2);
    memory.next += memory.step;
}

// Neurons of which the first `Paired` sum even and odd terms apart, the others in one chain (section 9.3,
// item 8: "I-order" and "S-order"). The bias is the first term.
template <int Paired, int Single, int V>
OPENFACE_INLINE void correlate(const Patches& patches, int position, const float* means,
                               const float* reciprocals, const CcnfNeurons& neurons, int first_neuron,
                               Upcoming& upcoming, float* z, int positions) {
    const float* values = patches.values + position;
    const float* weights = neurons.weights + first_neuron;
    Lanes even[Paired + Single][V], odd[Paired + 1][V], mean[V], reciprocal[V];
    for (int v = 0; v < V; ++v) {
        mean[v] = load_lanes(means + position + v * lane_count);
        reciprocal[v] = load_lanes(reciprocals + position + v * lane_count);
    }
    for (int n = 0; n < Paired + Single; ++n)
        for (int v = 0; v < V; ++v) even[n][v] = broadcast_lanes(neurons.biases[first_neuron + n]);
    for (int n = 0; n < Paired; ++n)
        for (int v = 0; v < V; ++v) odd[n][v] = broadcast_lanes(0.0f);
    const auto add = [&](int e, auto& paired_chain) __attribute__((always_inline)) {
        const float* w = weights + e * neurons.stride;
        approach(upcoming);
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
    float* out = z + position;
    for (int n = 0; n < Paired + Single; ++n)
        for (int v = 0; v < V; ++v) store(out + n * positions + v * lane_count, even[n][v]);
}

// The reference's matrix product treats the first four of seven neurons, the number in all published models,
// differently from the others, except at the window's last position.
constexpr int usual_neurons = 7, paired_neurons = 4;

// Neurons from first_neuron on at V vectors of positions.
template <int V>
OPENFACE_INLINE void evaluate(const Patches& patches, int position, const float* means,
                              const float* reciprocals, const CcnfNeurons& neurons, int first_neuron,
                              int neuron_count, Upcoming& upcoming, float* z, int positions) {
    if (neurons.count == usual_neurons) {
        correlate<paired_neurons, usual_neurons - paired_neurons, V>(patches, position, means, reciprocals,
                                                                     neurons, 0, upcoming, z, positions);
        return;
    }
    for (int n = 0; n < neuron_count; ++n)
        correlate<0, 1, V>(patches, position, means, reciprocals, neurons, first_neuron + n, upcoming,
                           z + n * positions, positions);
}

// Adds the logistic functions of neurons, one after the other, to the responses of eight positions.
OPENFACE_INLINE F8 add_neurons(F8 response, const float* z, int positions, const double* twice_alphas,
                               int count) {
    for (int n = 0; n < count; ++n) {
        if (twice_alphas[n] == 0.0) continue;
        const D8 divisor = exp_in_double(-load(z + n * positions)) + 1.0;
        response = to_float(to_double(response) + broadcast8d(twice_alphas[n]) / divisor);
    }
    return response;
}

// Statistics of the first `count` positions of E experts.
template <int E>
OPENFACE_INLINE void all_statistics(const Patches& patches, std::ptrdiff_t value_step, int count,
                                    float* means, float* reciprocals, std::ptrdiff_t result_step) {
    for (int done = 0; done < count;) {
        const int vectors = (count - done + lane_count - 1) / lane_count;
        if (E == 1 && vectors >= 5) {
            patch_statistics<E == 1 ? 5 : 1, E>(patches, value_step, done, means, reciprocals, result_step);
            done += 5 * lane_count;
        } else if (E <= 2 && vectors >= 3) {
            patch_statistics<E <= 2 ? 3 : 1, E>(patches, value_step, done, means, reciprocals, result_step);
            done += 3 * lane_count;
        } else if (vectors >= 2) {
            patch_statistics<2, E>(patches, value_step, done, means, reciprocals, result_step);
            done += 2 * lane_count;
        } else {
            patch_statistics<1, E>(patches, value_step, done, means, reciprocals, result_step);
            done += lane_count;
        }
    }
}

// The first `count` positions of one expert's window.
OPENFACE_INLINE void evaluate_positions(const Patches& patches, int count, const float* means,
                                        const float* reciprocals, const CcnfNeurons& neurons,
                                        Upcoming upcoming, float* z, int positions, float* responses) {
    for (int i = 0; i < count; i += 8) store(responses + i, zero());
    // Neurons in batches of at most 16, which is what the scratch holds.
    for (int first = 0; first < neurons.count; first += 16) {
        const int batch = neurons.count - first < 16 ? neurons.count - first : 16;
        for (int done = 0; done < count;) {
            if (count - done > lane_count && most_vectors == 2) {
                evaluate<most_vectors>(patches, done, means, reciprocals, neurons, first, batch, upcoming, z,
                                       positions);
                done += most_vectors * lane_count;
            } else {
                evaluate<1>(patches, done, means, reciprocals, neurons, first, batch, upcoming, z, positions);
                done += lane_count;
            }
        }
        for (int i = 0; i < count; i += 8)
            store(responses + i,
                  add_neurons(load(responses + i), z + i, positions, neurons.twice_alphas + first, batch));
    }
}

// The last position of up to eight experts of seven neurons, each neuron in one chain. Lanes are experts
// until the patches are normalised, then neurons.
OPENFACE_INLINE void evaluate_last_positions(const CcnfBatch& batch, int area_stride, int window, int support,
                                             float* scratch) {
    const int elements = support * support, corner = (window - 1) * (area_stride + 1);
    float* patches = scratch;  // column by column, eight experts per element
    for (int y = 0; y < support; ++y)
        for (int x = 0; x < support; x += 8) {
            F8 rows[8];
            for (int i = 0; i < 8; ++i) {
                const float* area = batch.areas[i < batch.count ? i : 0];
                rows[i] = load(area + corner + y * area_stride + x);
            }
            transpose(rows);
            for (int i = 0; i < 8 && x + i < support; ++i)
                store(patches + ((x + i) * support + y) * 8, rows[i]);
        }
    F8 total = zero(), squares = zero();
    for (int y = 0; y < support; ++y)
        for (int x = 0; x < support; ++x) total = total + load(patches + (x * support + y) * 8);
    const F8 mean = total / broadcast(float(elements));
    const int plain = elements / 8 * 8;
    for (int e = 0; e < elements; ++e) {
        const F8 u = load(patches + e * 8) - mean;
        squares = e < plain ? squares + u * u : fma(u, u, squares);
        store(patches + e * 8, u);
    }
    const F8 norm = sqrt(squares);
    const F8 reciprocal = broadcast(1.0f) / select(norm == 0.0f, broadcast(1.0f), norm);
    for (int e = 0; e < elements; ++e) store(patches + e * 8, load(patches + e * 8) * reciprocal);

    const CcnfNeurons* neurons[8];
    F8 sums[8];
    for (int i = 0; i < 8; ++i) {
        neurons[i] = &batch.neurons[i < batch.count ? i : 0];
        sums[i] = load(neurons[i]->biases);
    }
    const int stride = neurons[0]->stride;
    for (int e = 0; e < elements; ++e)
        for (int i = 0; i < 8; ++i)
            sums[i] = fma(load(neurons[i]->weights + e * stride), broadcast(patches[e * 8 + i]), sums[i]);
    for (int i = 0; i < batch.count; ++i) {
        float z[8];
        store(z, sums[i]);
        float response = 0.0f;
        double divisor[8];
        store(divisor, exp_in_double(-load(z)) + 1.0);
        for (int n = 0; n < usual_neurons; ++n)
            if (neurons[i]->twice_alphas[n] != 0.0)
                response = float(double(response) + neurons[i]->twice_alphas[n] / divisor[n]);
        batch.responses[i][window * window - 1] = response;
    }
}

}  // namespace

void ccnf_neuron_responses(const CcnfBatch& batch, int area_stride, int window, int support, float* scratch) {
    const int size = window + support - 1, count = window * window;
    const int length = pad(size * window, 16) + 32;
    const int positions = pad(count, 16) + 32;
    int offsets[ccnf_largest_support * ccnf_largest_support];
    for (int x = 0; x < support; ++x)
        for (int y = 0; y < support; ++y) offsets[x * support + y] = x * length + y * window;
    const std::ptrdiff_t value_step = support * length, result_step = 2 * positions;
    float* means = scratch + ccnf_experts_together * value_step;
    float* reciprocals = means + positions;
    float* z = means + ccnf_experts_together * result_step;
    bool last_together = true;
    for (int i = 0; i < batch.count; ++i)
        last_together = last_together && batch.neurons[i].count == usual_neurons;
    const int evaluated = last_together ? count - 1 : count;
    const int vectors = (evaluated + lane_count - 1) / lane_count;
    const int together = vectors >= 4 ? 1 : vectors == 3 ? 2 : ccnf_experts_together;
    const int passes = (count + most_vectors * lane_count - 1) / (most_vectors * lane_count);
    const Patches first_patches{scratch, offsets, support, support * support};
    for (int first = 0; first < batch.count; first += together) {
        const int here = batch.count - first < together ? batch.count - first : together;
        for (int i = 0; i < here; ++i)
            compact_columns(batch.areas[first + i], area_stride, window, support, scratch + i * value_step,
                            length);
        // Experts that are not there are computed from what the memory holds, and left.
        if (together == 1)
            all_statistics<1>(first_patches, value_step, evaluated, means, reciprocals, result_step);
        else if (together == 2)
            all_statistics<2>(first_patches, value_step, evaluated, means, reciprocals, result_step);
        else
            all_statistics<ccnf_experts_together>(first_patches, value_step, evaluated, means, reciprocals,
                                                  result_step);
        for (int i = 0; i < here; ++i) {
            Patches patches = first_patches;
            patches.values += i * value_step;
            const Upcoming upcoming{reinterpret_cast<const char*>(batch.upcoming[first + i]),
                                    batch.upcoming_bytes / std::size_t(patches.elements * passes) + 1};
            evaluate_positions(patches, evaluated, means + i * result_step, reciprocals + i * result_step,
                               batch.neurons[first + i], upcoming, z, positions, batch.responses[first + i]);
        }
    }
    if (last_together) evaluate_last_positions(batch, area_stride, window, support, scratch);
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
