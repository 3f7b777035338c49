// The two passes of FHOG. Eight pixels at a time find their gradient, channel and orientation; their votes
// are added one by one in the order of the pixels; cells are then normalised with the orientations in the
// lanes.
#include "openface/face_analyser/fhog.h"

#include "openface/core/simd.h"

namespace openface::fhog::OPENFACE_ISA {

using namespace openface::OPENFACE_ISA;

namespace {

constexpr float direction_x[9] = {1.0f, 0.9397f, 0.7660f, 0.5f, 0.1736f, -0.1736f, -0.5f, -0.7660f, -0.9397f};
constexpr float direction_y[9] = {0.0f,    0.3420f, 0.6428f, 0.8660f, 0.9848f,
                                  0.9848f, 0.8660f, 0.6428f, 0.3420f};

struct Gradient {
    F8 x, y, squared;
};

OPENFACE_INLINE Gradient gradient(const std::uint8_t* pixel, int stride) {
    Gradient g;
    g.x = load_u8(pixel + 1) - load_u8(pixel - 1);
    g.y = load_u8(pixel + stride) - load_u8(pixel - stride);
    g.squared = g.x * g.x + g.y * g.y;  // whole numbers below 2^24: exact
    return g;
}

OPENFACE_INLINE void take(I8 mask, const Gradient& g, Gradient& into) {
    into.x = select(mask, g.x, into.x);
    into.y = select(mask, g.y, into.y);
    into.squared = select(mask, g.squared, into.squared);
}

// The longest of the three channels' gradients. On equality the later of red, green, blue wins, except in the
// last columns, where the earlier one does (section 5.1: it decides flat and grey areas).
OPENFACE_INLINE Gradient longest(const Gradient& red, const Gradient& green, const Gradient& blue,
                                 bool later) {
    Gradient best = red;
    take(later ? green.squared >= best.squared : green.squared > best.squared, green, best);
    take(later ? blue.squared >= best.squared : blue.squared > best.squared, blue, best);
    return best;
}

// The nearest of 18 directions: the nine of the table and their opposites, the first one if two are equally
// near.
OPENFACE_INLINE I8 orientation(const Gradient& g) {
    F8 best = zero();
    I8 bin = broadcast(0);
    for (int o = 0; o < 9; ++o) {
        const F8 d = g.x * broadcast(direction_x[o]) + g.y * broadcast(direction_y[o]);
        const I8 negative = d < zero();
        const F8 size = select(negative, -d, d);
        const I8 better = size > best;
        best = select(better, size, best);
        bin = select(better, (negative & 9) + o, bin);
    }
    return bin;
}

}  // namespace

void accumulate(const std::uint8_t* blue, const std::uint8_t* green, const std::uint8_t* red, int stride,
                float* histograms) {
    constexpr int last = image_size - 2;  // rows and columns 1 ... 110 have both neighbours
    // Whole vectors of the pixels that have both neighbours; W_v = 111 in the words of section 5.1. In the
    // columns behind them the reference does without vectors, and multiplies in another order.
    constexpr int single_from = 1 + 8 * ((image_size - 2) / 8);
    static_assert(single_from == 105);
    constexpr int row_of_cells = ringed_cells * bins;
    for (int i = 0; i < ringed_cells * row_of_cells; i += 8) store(histograms + i, zero());
    // The cell of pixel x is (x + 0.5) / 8 - 0.5 = (2 x - 7) / 16, counted from -1, and its fraction the
    // share of the next cell. Both repeat every eight pixels.
    const I8 position = 2 * iota() + 11;
    const F8 next = to_float(position & 15) * broadcast(0.0625f);
    const F8 own = broadcast(1.0f) - next;
    for (int y = 1; y <= last; ++y) {
        const int position_y = 2 * y + 9;
        const float below = float(position_y & 15) * 0.0625f;
        const float above = 1.0f - below;
        const std::ptrdiff_t row = std::ptrdiff_t(y) * stride;
        float* cells_above = histograms + (position_y >> 4) * row_of_cells;
        for (int x = 1; x <= last; x += 8, cells_above += bins) {
            const Gradient r = gradient(red + row + x, stride);
            const Gradient g = gradient(green + row + x, stride);
            const Gradient b = gradient(blue + row + x, stride);
            const Gradient best = longest(r, g, b, x < single_from);
            const F8 magnitude = sqrt(best.squared);
            std::int32_t bin_of[8];
            store(bin_of, orientation(best));
            const auto cell_of = [&](int lane) {
                return cells_above + (2 * lane + 11) / 16 * bins + bin_of[lane];
            };
            if (x < single_from) {
                float votes[4][8];
                store(votes[0], broadcast(above) * (own * magnitude));
                store(votes[1], broadcast(above) * (next * magnitude));
                store(votes[2], broadcast(below) * (own * magnitude));
                store(votes[3], broadcast(below) * (next * magnitude));
                for (int lane = 0; lane < 8; ++lane) {
                    float* cell = cell_of(lane);
                    cell[0] += votes[0][lane];
                    cell[bins] += votes[1][lane];
                    cell[row_of_cells] += votes[2][lane];
                    cell[row_of_cells + bins] += votes[3][lane];
                }
            } else {
                for (int lane = 0; lane < last + 1 - single_from; ++lane) {
                    float* cell = cell_of(lane);
                    cell[0] = fma(above * own[lane], magnitude[lane], cell[0]);
                    cell[bins] = fma(above * next[lane], magnitude[lane], cell[bins]);
                    cell[row_of_cells] = fma(below * own[lane], magnitude[lane], cell[row_of_cells]);
                    cell[row_of_cells + bins] =
                        fma(below * next[lane], magnitude[lane], cell[row_of_cells + bins]);
                }
            }
        }
    }
}

void normalise(const float* histograms, float* norms, float* descriptor) {
    const auto cell = [&](int r, int c) { return histograms + ((r + 1) * ringed_cells + c + 1) * bins; };
    // Energy of each cell, over the nine orientations without their sign.
    float energy[cells * cells];
    for (int r = 0; r < cells; ++r)
        for (int c = 0; c < cells; ++c) {
            const float* h = cell(r, c);
            float sum = 0.0f;
            for (int o = 0; o < 9; ++o) {
                const float both = h[o] + h[o + 9];
                sum = fma(both, both, sum);
            }
            energy[r * cells + c] = sum;
        }
    for (int r = 0; r + 1 < cells; ++r)
        for (int c = 0; c + 1 < cells; ++c) {
            const float* e = energy + r * cells + c;
            norms[r * cells + c] = __builtin_sqrtf(e[0] + e[1] + e[cells] + e[cells + 1] + 0.0001f);
        }
    for (int r = 1; r + 1 < cells; ++r)
        for (int c = 1; c + 1 < cells; ++c) {
            const float* h = cell(r, c);
            const float* norm = norms + r * cells + c;
            const float block[4] = {norm[0], norm[-cells], norm[-1], norm[-cells - 1]};
            const F8 h0 = load(h), h1 = load(h + 8), h2 = load(h + 16);
            const F8 unsigned0 = h0 + load(h + 9);
            const float unsigned8 = h[8] + h[17];
            F8 sensitive[4][3], insensitive[4];
            float insensitive8[4], texture[4];
            for (int j = 0; j < 4; ++j) {
                const float limit = 0.2f * block[j];
                const float factor = 0.1f / limit;
                const F8 l = broadcast(limit), f = broadcast(factor);
                sensitive[j][0] = min(h0, l) * f;
                sensitive[j][1] = min(h1, l) * f;
                sensitive[j][2] = min(h2, l) * f;
                insensitive[j] = min(unsigned0, l) * f;
                insensitive8[j] = (unsigned8 < limit ? unsigned8 : limit) * factor;
                float values[24];
                for (int i = 0; i < 3; ++i) store(values + 8 * i, sensitive[j][i]);
                float sum = 0.0f;
                for (int o = 0; o < 18; o += 3) sum += (values[o] + values[o + 1]) + values[o + 2];
                texture[j] = 0.4714f * sum;
            }
            const auto in_pairs = [](const auto& of_block) {
                return (of_block(0) + of_block(1)) + (of_block(2) + of_block(3));
            };
            // Each store may reach over the values that follow, which the next ones overwrite.
            float* out = descriptor + ((r - 1) * rows + (c - 1)) * channels;
            for (int i = 0; i < 3; ++i) store(out + 8 * i, in_pairs([&](int j) { return sensitive[j][i]; }));
            store(out + 18, in_pairs([&](int j) { return insensitive[j]; }));
            out[26] = in_pairs([&](int j) { return insensitive8[j]; });
            for (int j = 0; j < 4; ++j) out[27 + j] = texture[j];
        }
}

}  // namespace openface::fhog::OPENFACE_ISA
